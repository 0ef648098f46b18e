/**
 * A small in-memory cluster for tests of the core: each member has a "disk" that holds only what
 * was persisted, and messages wait in a list until the test delivers, drops or keeps them.
 */

import {
  type ConfigChange,
  type Configuration,
  configurationOf,
  decodeConfigChange,
  type Entry,
  type HardState,
  initialRestore,
  type Message,
  Raft,
  type RaftOptions,
  type RaftRestore,
  type ReadState,
  type Ready,
  type SnapshotMeta,
} from '../../../src/raft/index.js';

export const defaultOptions: Omit<RaftOptions, 'id' | 'randomU32'> = {
  electionTimeoutTicks: 10,
  heartbeatTicks: 1,
  preVote: false,
  checkQuorum: false,
  appendBytesMax: 1 << 20,
  inflightAppendsMax: 256,
  uncommittedBytesMax: 1 << 30,
  applyBytesMax: 1 << 30,
};

export type TestOptions = Partial<Omit<RaftOptions, 'id'>>;

/** A seeded xorshift32; never 0. */
export function seededU32(seed: number): () => number {
  let state = (seed * 2654435761 + 1) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
}

/** Text as proposal data and back. */
export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
export function text(data: Uint8Array): string {
  return new TextDecoder().decode(data);
}

/** What survives a crash, in order of what was persisted. */
export class MemoryDisk {
  hardState: HardState;
  /** The state machine's point on disk; entries follow it. */
  snapshot: SnapshotMeta;
  entries: Entry[];

  constructor(restore: RaftRestore) {
    this.hardState = restore.hardState;
    this.snapshot = restore.snapshot;
    this.entries = [...restore.entries];
  }

  save(ready: Ready): void {
    if (ready.hardState !== undefined) this.hardState = ready.hardState;
    if (ready.snapshot !== undefined) {
      this.snapshot = ready.snapshot;
      this.entries = [];
    }
    const first = ready.entries[0];
    if (first === undefined) return;
    this.entries.length = first.index - this.snapshot.index - 1;
    this.entries.push(...ready.entries);
  }

  restore(): RaftRestore {
    const { hardState, snapshot, entries } = this;
    return { hardState, snapshot, entries: [...entries], applied: snapshot.index };
  }
}

/** One member with its disk and its applied entries. */
export class TestNode {
  raft: Raft;
  readonly disk: MemoryDisk;
  readonly options: RaftOptions;
  /** Readys handed out, not yet persisted. */
  writing: Ready[] = [];
  applied: Entry[] = [];
  readStates: ReadState[] = [];
  configuration: Configuration;
  /** While true, Readys stay in `writing` until `flush`. */
  stalledDisk = false;

  constructor(options: RaftOptions, restore: RaftRestore) {
    this.options = options;
    this.disk = new MemoryDisk(restore);
    this.raft = new Raft(options, restore);
    this.configuration = restore.snapshot.configuration;
  }

  /** Takes all Readys; returns the messages that may leave. */
  drain(): Message[] {
    const out: Message[] = [];
    while (this.raft.hasReady()) {
      const ready = this.raft.ready();
      out.push(...ready.messages);
      this.writing.push(ready);
      this.readStates.push(...ready.readStates);
      if (!this.stalledDisk) out.push(...this.flush(1));
      this.#apply(ready);
    }
    return out;
  }

  /** Makes the oldest `count` Readys durable; returns what waited for it. */
  flush(count = this.writing.length): Message[] {
    const out: Message[] = [];
    for (const ready of this.writing.splice(0, count)) {
      this.disk.save(ready);
      this.raft.persisted(ready.sequence);
      out.push(...ready.messagesAfterPersist);
    }
    return out;
  }

  #apply(ready: Ready): void {
    if (ready.snapshot !== undefined) {
      this.configuration = ready.snapshot.configuration;
      this.raft.applied(ready.snapshot.index);
    }
    for (const entry of ready.committedEntries) {
      if (entry.type === 'configChange') {
        this.configuration = this.raft.applyConfigChange(decodeConfigChange(entry.data));
      }
      this.applied.push(entry);
      this.raft.applied(entry.index);
    }
  }

  /** Loses everything that is not on disk, and starts again. */
  restart(): void {
    this.writing = [];
    this.applied = [];
    this.readStates = [];
    const restore = this.disk.restore();
    this.configuration = restore.snapshot.configuration;
    this.raft = new Raft(this.options, restore);
  }
}

export interface ClusterOptions extends TestOptions {
  readonly seed?: number;
}

export class TestCluster {
  readonly nodes = new Map<bigint, TestNode>();
  /** Under way. */
  inbox: Message[] = [];
  /** Return false to lose a message. */
  filter: (message: Message) => boolean = () => true;
  readonly #options: ClusterOptions;

  constructor(voters: number | readonly bigint[], options: ClusterOptions = {}) {
    this.#options = options;
    const ids =
      typeof voters === 'number' ? Array.from({ length: voters }, (_, i) => BigInt(i + 1)) : voters;
    for (const id of ids) this.add(id, initialRestore(ids));
  }

  add(id: bigint, restore: RaftRestore, options: TestOptions = {}): TestNode {
    const { seed = 1, ...rest } = this.#options;
    const randomU32 = seededU32(seed * 1000 + Number(id));
    const node = new TestNode({ ...defaultOptions, randomU32, ...rest, ...options, id }, restore);
    this.nodes.set(id, node);
    return node;
  }

  node(id: bigint): TestNode {
    const node = this.nodes.get(id);
    if (node === undefined) throw new Error(`no member ${id}`);
    return node;
  }

  raft(id: bigint): Raft {
    return this.node(id).raft;
  }

  /** Collects what members want to send, without delivering. */
  collect(): void {
    for (const node of this.nodes.values()) this.inbox.push(...node.drain());
  }

  /** Delivers everything, and what follows from it, until nothing is left. */
  deliver(): void {
    this.collect();
    for (let round = 0; this.inbox.length > 0; round += 1) {
      if (round > 10_000) throw new Error('the cluster does not come to rest');
      const batch = this.inbox;
      this.inbox = [];
      for (const message of batch) {
        if (this.filter(message)) this.nodes.get(message.to)?.raft.step(message);
      }
      this.collect();
    }
  }

  /** `count` ticks on all members, delivering after each. */
  tick(count = 1): void {
    for (let i = 0; i < count; i += 1) {
      for (const node of this.nodes.values()) node.raft.tick();
      this.deliver();
    }
  }

  elect(id: bigint): void {
    this.raft(id).campaign();
    this.deliver();
    if (this.raft(id).status().role !== 'leader') throw new Error(`${id} did not win`);
  }

  /** Cuts `members` off from the others (they hear nobody, nor each other). */
  isolate(...members: bigint[]): void {
    this.filter = (message) => !members.includes(message.from) && !members.includes(message.to);
  }

  heal(): void {
    this.filter = () => true;
  }

  propose(id: bigint, ...texts: string[]): string | undefined {
    const refused = this.raft(id).propose(texts.map(bytes));
    this.deliver();
    return refused;
  }

  change(id: bigint, change: ConfigChange): string | undefined {
    const refused = this.raft(id).proposeConfigChange(change);
    this.deliver();
    return refused;
  }

  /** Applied client commands of a member, as texts. */
  commands(id: bigint): string[] {
    return this.node(id)
      .applied.filter((entry) => entry.type === 'normal')
      .map((entry) => text(entry.data));
  }
}

const noContext = new Uint8Array(0);

/** Changes as tests write them. */
export function change(
  steps: ConfigChange['steps'],
  transition: ConfigChange['transition'] = 'auto',
): ConfigChange {
  return { steps, transition, context: noContext };
}
export const addVoter = (member: bigint) => ({ type: 'addVoter', member }) as const;
export const addLearner = (member: bigint) => ({ type: 'addLearner', member }) as const;
export const remove = (member: bigint) => ({ type: 'remove', member }) as const;

/** A log with these terms, from index 1, as a restart finds it. */
export function restoreWithTerms(
  voters: readonly bigint[],
  terms: readonly number[],
  hardState: Partial<HardState> = {},
): RaftRestore {
  const entries = terms.map(
    (term, i): Entry => ({ index: i + 1, term, type: 'normal', data: bytes(`${term}.${i + 1}`) }),
  );
  return {
    hardState: { term: terms.at(-1) ?? 0, vote: 0n, commit: 0, ...hardState },
    snapshot: { index: 0, term: 0, configuration: configurationOf(voters) },
    entries,
    applied: 0,
  };
}
