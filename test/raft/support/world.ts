/**
 * A random world for the core: members with disks that lose what was not persisted, a network that
 * loses, repeats and reorders, partitions, crashes with torn writes, compaction, snapshots and
 * membership changes. Everything follows from one seed. The properties of paper figure 3 are
 * checked at every step; see `World.check*`.
 */

import {
  type ConfigChange,
  type ConfigChangeStep,
  type Configuration,
  configurationOf,
  decodeConfigChange,
  type Entry,
  initialRestore,
  joiningRestore,
  type Message,
  membersOf,
  Raft,
  type RaftOptions,
  type RaftRestore,
  type Ready,
  type SnapshotMeta,
} from '../../../src/raft/index.js';
import { bytes, MemoryDisk, seededU32, text } from './cluster.js';

type ToApply = { readonly snapshot: SnapshotMeta } | { readonly entry: Entry };

class Member {
  readonly disk: MemoryDisk;
  raft: Raft;
  up = true;
  writing: Ready[] = [];
  toApply: ToApply[] = [];
  applied: number;
  /** Applied and durable in the state machine. */
  flushed: number;
  reads = new Map<number, number>();

  constructor(
    readonly options: RaftOptions,
    restore: RaftRestore,
  ) {
    this.disk = new MemoryDisk(restore);
    this.raft = new Raft(options, restore);
    this.applied = restore.applied;
    this.flushed = restore.applied;
  }
}

function fail(what: string): never {
  throw new Error(what);
}

function sameEntry(a: Entry, b: Entry): boolean {
  return a.term === b.term && a.type === b.type && text(a.data) === text(b.data);
}

export interface WorldStats {
  committed: number;
  elections: number;
  snapshots: number;
  reads: number;
  changes: number;
  crashes: number;
}

export class World {
  readonly members = new Map<bigint, Member>();
  readonly stats: WorldStats = {
    committed: 0,
    elections: 0,
    snapshots: 0,
    reads: 0,
    changes: 0,
    crashes: 0,
  };
  readonly #u32: () => number;
  readonly #tuning: Omit<RaftOptions, 'id' | 'randomU32'>;
  readonly #loss: number;
  readonly #duplication: number;
  #network: Message[] = [];
  #cut = new Set<string>();
  #nextContext = 1;
  #nextCommand = 1;
  #healed = false;
  // What is known to be true of the whole cluster.
  readonly #leaders = new Map<number, bigint>();
  readonly #entries = new Map<string, { entry: Entry; previousTerm: number }>();
  readonly #appliedEntries = new Map<number, Entry>();
  readonly #configurations = new Map<number, Configuration>();
  #commit = 1;

  constructor(seed: number, size: number) {
    this.#u32 = seededU32(seed);
    this.#tuning = {
      electionTimeoutTicks: 10,
      heartbeatTicks: this.#pick([1, 3]),
      preVote: this.#chance(0.5),
      checkQuorum: this.#chance(0.5),
      appendBytesMax: this.#pick([40, 200, 1 << 20]),
      inflightAppendsMax: this.#pick([1, 2, 64]),
      uncommittedBytesMax: this.#pick([400, 1 << 20]),
      applyBytesMax: this.#pick([100, 1 << 20]),
    };
    this.#loss = this.#pick([0, 0.02, 0.2]);
    this.#duplication = this.#pick([0, 0.1]);
    const ids = Array.from({ length: size }, (_, i) => BigInt(i + 1));
    this.#configurations.set(1, configurationOf(ids));
    for (const id of ids) this.#start(id, initialRestore(ids));
  }

  #start(id: bigint, restore: RaftRestore): void {
    const options = { ...this.#tuning, id, randomU32: this.#u32 };
    this.members.set(id, new Member(options, restore));
  }

  #below(n: number): number {
    return this.#u32() % n;
  }

  #chance(p: number): boolean {
    return this.#u32() / 2 ** 32 < p;
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#below(items.length)] ?? fail('pick from nothing');
  }

  /** `steps` random events. */
  run(steps: number): void {
    for (let i = 0; i < steps; i += 1) this.#step();
  }

  #step(): void {
    const id = this.#pick([...this.members.keys()]);
    const member = this.#member(id);
    const dice = this.#below(1000);
    if (!member.up) {
      if (dice < 300) this.#restart(member);
      return;
    }
    if (dice < 120) this.#tickAll();
    else if (dice < 620) this.#deliverSome();
    else if (dice < 720) this.#propose(member);
    else if (dice < 760) this.#read(member);
    else if (dice < 850) this.#flush(id, member, 1 + this.#below(3));
    else if (dice < 920) this.#apply(id, member, 1 + this.#below(5));
    else if (dice < 940) this.#compact(member);
    else if (dice < 945) this.#crash(member);
    else if (dice < 953) this.#partition();
    else if (dice < 985) this.#change();
    else if (dice < 990) member.raft.transferLeadership(this.#pick([...this.members.keys()]));
    else if (dice < 993) member.raft.campaign();
    else if (dice < 994) member.raft.reportGone(this.#pick([...this.members.keys()]));
    else if (dice < 995) member.raft.campaignEarly();
    else if (dice < 996) member.raft.reportUnreachable(this.#pick([...this.members.keys()]));
    else member.flushed = Math.max(member.flushed, member.applied);
    if (!member.up) return;
    this.#observe(id, member);
    if (this.#chance(0.7)) this.#pump(id, member);
    if (this.#chance(0.3)) this.#settle(id, member);
  }

  #member(id: bigint): Member {
    return this.members.get(id) ?? fail(`no member ${id}`);
  }

  #tickAll(): void {
    for (const [id, member] of this.members) {
      if (!member.up || (!this.#healed && this.#chance(0.2))) continue;
      member.raft.tick();
      this.#observe(id, member);
    }
  }

  #deliverSome(): void {
    for (let i = 1 + this.#below(8); i > 0 && this.#network.length > 0; i -= 1) {
      const at = this.#chance(0.7) ? 0 : this.#below(this.#network.length);
      const message = this.#network[at] ?? fail('no message');
      if (!this.#healed && this.#chance(this.#duplication)) this.#deliver(message);
      else {
        this.#network.splice(at, 1);
        this.#deliver(message);
      }
    }
  }

  #deliver(message: Message): void {
    const member = this.members.get(message.to);
    const sender = this.members.get(message.from);
    const lost =
      member?.up !== true ||
      this.#cut.has(`${message.from}-${message.to}`) ||
      (!this.#healed && this.#chance(this.#loss));
    if (message.type === 'InstallSnapshot' && sender?.up === true) {
      sender.raft.reportSnapshot(message.to, !lost);
    }
    if (lost || member === undefined) return;
    member.raft.step(message);
    this.#observe(message.to, member);
    if (this.#chance(0.7)) this.#pump(message.to, member);
    if (this.#healed) this.#settle(message.to, member);
  }

  #propose(member: Member): void {
    const data = Array.from({ length: 1 + this.#below(4) }, () => {
      const command = `c${this.#nextCommand}`;
      this.#nextCommand += 1;
      return bytes(command);
    });
    member.raft.propose(data);
  }

  #read(member: Member): void {
    const context = this.#nextContext;
    this.#nextContext += 1;
    // A linearizable read must see everything committed before it was asked for.
    if (member.raft.readIndex(context) === undefined) member.reads.set(context, this.#commit);
  }

  #change(): void {
    const all = [...this.members.values()].filter((m) => m.up);
    const leaders = all.filter((m) => m.raft.status().role === 'leader');
    const member = this.#pick(leaders.length > 0 && this.#chance(0.9) ? leaders : all);
    const steps: ConfigChangeStep[] = [];
    for (let i = this.#pick([1, 1, 1, 2, 3]); i > 0; i -= 1) {
      const id = BigInt(1 + this.#below(7));
      if (!this.members.has(id)) this.#start(id, joiningRestore());
      steps.push({
        type: this.#pick(['addVoter', 'addVoter', 'addLearner', 'remove']),
        member: id,
      });
    }
    const transition = this.#pick(['auto', 'auto', 'jointImplicit', 'jointExplicit'] as const);
    const leave = this.#chance(0.3);
    const change: ConfigChange = {
      steps: leave ? [] : steps,
      transition: leave ? 'auto' : transition,
      context: new Uint8Array(0),
    };
    member.raft.proposeConfigChange(change);
  }

  #compact(member: Member): void {
    const { disk, raft, applied } = member;
    const from = disk.snapshot.index;
    if (applied <= from) return;
    member.flushed = applied;
    const index = from + 1 + this.#below(applied - from);
    const term = disk.entries[index - from - 1]?.term;
    if (term === undefined) return;
    disk.entries = disk.entries.slice(index - from);
    disk.snapshot = { index, term, configuration: this.#configurationAt(index) };
    raft.compact(index);
  }

  #configurationAt(index: number): Configuration {
    for (let at = index; at > 0; at -= 1) {
      const configuration = this.#configurations.get(at);
      if (configuration !== undefined) return configuration;
    }
    return fail(`no configuration at ${index}`);
  }

  /** Loses everything in memory; of the writes under way any prefix may have made it. */
  #crash(member: Member): void {
    this.stats.crashes += 1;
    const { disk } = member;
    const written = this.#below(member.writing.length + 1);
    for (let i = 0; i < written; i += 1) this.#save(member, member.writing[i] ?? fail('write'));
    const torn = member.writing[written];
    // The write that was cut short: nobody had been told of it, so any part of it may be there.
    if (torn !== undefined && torn.snapshot === undefined && this.#chance(0.7)) {
      if (torn.hardState !== undefined && this.#chance(0.5)) disk.hardState = torn.hardState;
      const first = torn.entries[0];
      if (first !== undefined && this.#chance(0.7)) {
        disk.entries.length = first.index - disk.snapshot.index - 1;
        disk.entries.push(...torn.entries.slice(0, this.#below(torn.entries.length + 1)));
      }
    }
    member.up = false;
    member.writing = [];
    member.toApply = [];
    member.reads.clear();
  }

  #restart(member: Member): void {
    const { disk } = member;
    const { hardState, snapshot, entries } = disk;
    let restore: RaftRestore = { hardState, snapshot, entries, applied: member.flushed };
    if (this.#chance(0.5) && member.flushed > snapshot.index) {
      const index = member.flushed;
      const term = entries[index - snapshot.index - 1]?.term ?? fail('applied beyond the log');
      restore = {
        hardState,
        snapshot: { index, term, configuration: this.#configurationAt(index) },
        entries: entries.slice(index - snapshot.index),
        applied: index,
      };
      disk.snapshot = restore.snapshot;
      disk.entries = [...restore.entries];
    }
    member.raft = new Raft(member.options, restore);
    member.applied = member.flushed;
    member.up = true;
    const expected = this.#configurationAt(Math.max(1, member.applied));
    const { configuration } = member.raft.status();
    if (member.applied > 0) this.#checkSame(configuration, expected, 'restored configuration');
  }

  #partition(): void {
    this.#cut.clear();
    if (this.#chance(0.4)) return;
    const ids = [...this.members.keys()];
    const side = new Set(ids.filter(() => this.#chance(0.5)));
    const oneWay = this.#chance(0.2);
    for (const a of ids) {
      for (const b of ids) {
        if (side.has(a) === side.has(b) || (oneWay && side.has(a))) continue;
        this.#cut.add(`${a}-${b}`);
      }
    }
  }

  /** Takes a Ready, sends what may be sent at once, and queues the rest of the duties. */
  #pump(id: bigint, member: Member): void {
    while (member.raft.hasReady()) {
      const ready = member.raft.ready();
      this.#network.push(...ready.messages);
      member.writing.push(ready);
      if (ready.snapshot !== undefined) member.toApply.push({ snapshot: ready.snapshot });
      for (const entry of ready.committedEntries) member.toApply.push({ entry });
      for (const { context, index } of ready.readStates) {
        const least = member.reads.get(context);
        if (least !== undefined && index < least) {
          fail(`stale read at ${id}: index ${index}, ${least} was committed before`);
        }
        if (member.reads.delete(context)) this.stats.reads += 1;
      }
      this.#observe(id, member);
    }
  }

  #flush(id: bigint, member: Member, count: number): void {
    for (const ready of member.writing.splice(0, count)) {
      this.#save(member, ready);
      member.raft.persisted(ready.sequence);
      for (const message of ready.messagesAfterPersist) this.#checkPromise(member, message);
      this.#network.push(...ready.messagesAfterPersist);
      this.#observe(id, member);
    }
  }

  #save(member: Member, ready: Ready): void {
    const { disk } = member;
    disk.save(ready);
    if (ready.snapshot !== undefined) member.flushed = ready.snapshot.index;
    let { index, term } = disk.snapshot;
    for (const entry of disk.entries) {
      if (entry.index !== index + 1) fail(`the disk has ${entry.index} after ${index}`);
      const first = ready.entries[0];
      if (first !== undefined && entry.index >= first.index) this.#checkMatching(entry, term);
      index = entry.index;
      term = entry.term;
    }
  }

  #apply(id: bigint, member: Member, count: number): void {
    for (const item of member.toApply.splice(0, count)) {
      if ('snapshot' in item) {
        const { index, configuration } = item.snapshot;
        this.stats.snapshots += 1;
        this.#checkSame(configuration, this.#configurationAt(index), 'snapshot configuration');
        member.applied = index;
      } else this.#applyEntry(id, member, item.entry);
      member.raft.applied(member.applied);
      this.#observe(id, member);
    }
  }

  #applyEntry(id: bigint, member: Member, entry: Entry): void {
    const { index } = entry;
    if (index !== member.applied + 1) fail(`${id} applied ${index} after ${member.applied}`);
    const last = member.disk.snapshot.index + member.disk.entries.length;
    if (index > last) fail(`${id} applied ${index}, which is not on its disk`);
    // State machine safety (paper 5.4.3).
    const known = this.#appliedEntries.get(index);
    if (known === undefined) {
      this.#appliedEntries.set(index, entry);
      this.stats.committed += 1;
    } else if (!sameEntry(known, entry)) fail(`two different entries applied at ${index}`);
    member.applied = index;
    if (entry.type !== 'configChange') return;
    const configuration = member.raft.applyConfigChange(decodeConfigChange(entry.data));
    const before = this.#configurations.get(index);
    if (before === undefined) this.stats.changes += 1;
    else this.#checkSame(configuration, before, 'configuration');
    this.#configurations.set(index, configuration);
  }

  #settle(id: bigint, member: Member): void {
    for (let i = 0; i < 3; i += 1) {
      this.#flush(id, member, member.writing.length);
      this.#pump(id, member);
      this.#apply(id, member, member.toApply.length);
    }
  }

  /** Election safety, leader completeness, and how far anything is committed. */
  #observe(id: bigint, member: Member): void {
    const { role, term, commit } = member.raft.status();
    if (commit > this.#commit) this.#commit = commit;
    if (role !== 'leader') return;
    const known = this.#leaders.get(term);
    if (known === id) return;
    if (known !== undefined) fail(`${known} and ${id} both lead in term ${term}`);
    this.#leaders.set(term, id);
    this.stats.elections += 1;
    const { snapshot, entries } = member.disk;
    for (const [index, entry] of this.#appliedEntries) {
      if (index <= snapshot.index) continue;
      const own = entries[index - snapshot.index - 1];
      if (own === undefined || !sameEntry(own, entry)) {
        fail(`${id} leads in term ${term} without the committed entry ${index}`);
      }
    }
  }

  /** Log matching (paper 5.3): index and term say which entry it is, and what comes before. */
  #checkMatching(entry: Entry, previousTerm: number): void {
    const key = `${entry.index}/${entry.term}`;
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, { entry, previousTerm });
    else if (!sameEntry(known.entry, entry) || known.previousTerm !== previousTerm) {
      fail(`two logs differ at or before ${key}`);
    }
  }

  /** R-1: no reply leaves before what it promises is durable. */
  #checkPromise(member: Member, message: Message): void {
    const { disk } = member;
    if (message.term > disk.hardState.term && message.type !== 'RequestVoteResponse') {
      fail(`${message.type} in term ${message.term} before the term is durable`);
    }
    if (message.type === 'AppendEntriesResponse' && message.success) {
      const last = disk.snapshot.index + disk.entries.length;
      if (message.index > last) fail(`acknowledged ${message.index}, durable is ${last}`);
    }
    if (message.type === 'RequestVoteResponse' && message.granted && !message.preVote) {
      const { term, vote } = disk.hardState;
      if (term !== message.term || vote !== message.to) fail('a vote left before it was durable');
    }
  }

  #checkSame(a: Configuration, b: Configuration, what: string): void {
    const print = (c: Configuration): string =>
      `${c.voters}/${c.votersOutgoing}/${c.learners}/${c.learnersNext}/${c.autoLeave}`;
    if (print(a) !== print(b)) fail(`${what}: ${print(a)} is not ${print(b)}`);
  }

  /** No more faults: the cluster must elect a leader, take a proposal, and all come to agree. */
  heal(): void {
    this.#healed = true;
    this.#cut.clear();
    for (const member of this.members.values()) if (!member.up) this.#restart(member);
    const command = 'the end';
    for (let round = 0; round < 2000; round += 1) {
      this.#calm();
      const configuration = this.#configurationAt(Math.max(1, this.#lastApplied()));
      const leader = [...this.members.values()].find((m) => m.raft.status().role === 'leader');
      if (leader !== undefined && round % 50 === 20) leader.raft.propose([bytes(command)]);
      const last = this.#appliedEntries.get(this.#lastApplied());
      const done = membersOf(configuration).every(
        (id) => this.#member(id).applied === this.#lastApplied(),
      );
      if (done && last !== undefined && text(last.data) === command) return;
    }
    const states = [...this.members.values()].map((m) => ({
      ...m.raft.status(),
      p: m.raft.progress(),
    }));
    fail(
      `no progress after healing: ${JSON.stringify(states, (_, v) => (typeof v === 'bigint' ? `${v}` : v))}`,
    );
  }

  #lastApplied(): number {
    return Math.max(1, ...this.#appliedEntries.keys());
  }

  #calm(): void {
    this.#tickAll();
    for (const [id, member] of this.members) {
      this.#pump(id, member);
      this.#settle(id, member);
    }
    for (let i = 0; i < 20 && this.#network.length > 0; i += 1) {
      const batch = this.#network;
      this.#network = [];
      for (const message of batch) this.#deliver(message);
    }
  }
}
