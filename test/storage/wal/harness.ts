/**
 * A write-ahead log on a simulated disk, a plain model of what it should hold, and a generator of
 * what Raft could ask of it.
 */

import type { Entry, HardState, SnapshotMeta } from '../../../src/raft/index.js';
import { SimClock, SimDisk, SimRandom } from '../../../src/sim/index.js';
import type { Wal, WalContents } from '../../../src/storage/wal/types.js';
import { openWal } from '../../../src/storage/wal/wal.js';

export const dir = '/data/member/wal';
export const metadataIfNew = Buffer.from('cluster 7, member 9');

export interface World {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly disk: SimDisk;
  readonly segmentBytes: number;
}

export function newWorld(seed: number, segmentBytes = 2048): World {
  const clock = new SimClock();
  const random = new SimRandom(seed);
  return { clock, random, disk: new SimDisk({ clock, random: random.fork() }), segmentBytes };
}

export type Opened = Awaited<ReturnType<typeof openWal>>;

export function open(world: World): Promise<Opened> {
  const { segmentBytes, random } = world;
  const opening = openWal(world.disk.process(), dir, { random, segmentBytes, metadataIfNew });
  return world.clock.runUntil(opening);
}

/** Opens, closes, and tells what was there. */
export async function contentsOf(world: World): Promise<WalContents> {
  const { wal, contents } = await open(world);
  await world.clock.runUntil(wal.close());
  return contents;
}

export function entry(index: number, term: number, data: Uint8Array | number = 100): Entry {
  const bytes = typeof data === 'number' ? Buffer.alloc(data, index) : data;
  return { index, term, type: 'normal', data: bytes };
}

export function snapshot(index: number, term: number): SnapshotMeta {
  const configuration = {
    voters: [1n, 2n, 2n ** 64n - 1n],
    votersOutgoing: [1n],
    learners: [4n],
    learnersNext: [],
    autoLeave: true,
  };
  return { index, term, configuration };
}

export type Operation =
  | { readonly type: 'append'; readonly entries: readonly Entry[]; readonly hardState?: HardState }
  | { readonly type: 'hardState'; readonly hardState: HardState; readonly sync: boolean }
  | { readonly type: 'mark'; readonly snapshot: SnapshotMeta }
  | { readonly type: 'release'; readonly index: number };

/** What must be read back, in a form that `toEqual` compares well. */
export interface Expected {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  readonly entries: readonly string[];
}

/** The obvious implementation. */
export class Model {
  entries: Entry[] = [];
  snapshot: SnapshotMeta;
  hardState: HardState = { term: 0, vote: 0n, commit: 0 };

  constructor(contents?: WalContents) {
    this.snapshot = contents?.snapshot ?? {
      index: 0,
      term: 0,
      configuration: {
        voters: [],
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      },
    };
    if (contents !== undefined) {
      this.entries = [...contents.entries];
      this.hardState = contents.hardState;
    }
  }

  get lastIndex(): number {
    return this.entries.at(-1)?.index ?? this.snapshot.index;
  }

  termAt(index: number): number | undefined {
    if (index === this.snapshot.index) return this.snapshot.term;
    return this.entries.find((one) => one.index === index)?.term;
  }

  apply(operation: Operation): void {
    switch (operation.type) {
      case 'append':
        for (const one of operation.entries) {
          this.entries = this.entries.filter((old) => old.index < one.index);
          this.entries.push(one);
        }
        this.hardState = operation.hardState ?? this.hardState;
        break;
      case 'hardState':
        this.hardState = operation.hardState;
        break;
      case 'mark': {
        const { index, term } = operation.snapshot;
        const agrees = this.termAt(index) === term;
        this.entries = agrees ? this.entries.filter((old) => old.index > index) : [];
        this.snapshot = operation.snapshot;
        break;
      }
      case 'release':
        break;
    }
  }

  expected(): Expected {
    const { term, vote, commit } = this.hardState;
    const lastTerm = this.entries.at(-1)?.term ?? this.snapshot.term;
    const newTerm = Math.max(term, lastTerm, this.snapshot.term);
    return {
      hardState: {
        term: newTerm,
        vote: newTerm === term ? vote : 0n,
        commit: Math.max(this.snapshot.index, Math.min(commit, this.lastIndex)),
      },
      snapshot: this.snapshot,
      entries: this.entries.map(entryText),
    };
  }
}

export function asExpected(contents: WalContents): Expected {
  const { hardState, snapshot: mark, entries } = contents;
  return { hardState, snapshot: mark, entries: entries.map(entryText) };
}

function entryText(one: Entry): string {
  return `${one.index}@${one.term} ${one.type} ${Buffer.from(one.data).toString('base64')}`;
}

/** Something that Raft could do next, given what the log holds. */
export function nextOperation(model: Model, random: SimRandom): Operation {
  const { term, vote, commit } = model.expected().hardState;
  const last = model.lastIndex;
  const dice = random.below(100);
  if (dice < 50) {
    return { type: 'append', entries: someEntries(last + 1, Math.max(term, 1), random) };
  }
  if (dice < 65) {
    // A new leader overwrites what was not committed.
    const from = random.between(Math.max(commit, model.snapshot.index) + 1, last + 1);
    const newTerm = term + random.between(1, 3);
    const hardState = { term: newTerm, vote: random.u64(), commit };
    return { type: 'append', entries: someEntries(from, newTerm, random), hardState };
  }
  if (dice < 85) {
    const sync = random.chance(0.3);
    const newCommit = random.between(commit, Math.max(commit, last));
    const newVote = sync ? random.u64() : vote;
    const newTerm = sync ? term + 1 : term;
    return {
      type: 'hardState',
      sync,
      hardState: { term: newTerm, vote: newVote, commit: newCommit },
    };
  }
  if (dice < 93 && commit > model.snapshot.index) {
    const index = random.between(model.snapshot.index, commit);
    return { type: 'mark', snapshot: snapshot(index, model.termAt(index) ?? 0) };
  }
  if (dice < 95) {
    // One that a leader sent: beyond the end, or in conflict with what is here.
    const behind = Math.max(commit, model.snapshot.index) + 1;
    const isConflict = random.chance(0.5) && behind <= last;
    const index = isConflict ? random.between(behind, last) : last + random.between(1, 20);
    const own = model.termAt(index) ?? 0;
    return { type: 'mark', snapshot: snapshot(index, Math.max(own + 1, term, 1)) };
  }
  return { type: 'release', index: random.between(0, last + 5) };
}

function someEntries(from: number, term: number, random: SimRandom): Entry[] {
  const types = ['normal', 'normal', 'configChange', 'noop'] as const;
  return Array.from({ length: random.between(1, 4) }, (_, i) => ({
    index: from + i,
    term,
    type: random.pick(types),
    data: random.bytes(random.chance(0.1) ? random.below(1500) : random.below(120)),
  }));
}

/** Hands `operation` to the log. */
export function perform(wal: Wal, operation: Operation): Promise<void> {
  switch (operation.type) {
    case 'append':
      return wal.append(operation.hardState, operation.entries, true);
    case 'hardState':
      return wal.append(operation.hardState, [], operation.sync);
    case 'mark':
      return wal.markSnapshot(operation.snapshot);
    case 'release':
      return wal.release(operation.index);
  }
}

/** True if the operation is on disk once it is acknowledged. */
export function isDurable(operation: Operation): boolean {
  return operation.type !== 'release' && (operation.type !== 'hardState' || operation.sync);
}

/** A run of operations against one open log, remembering what the disk may hold afterwards. */
export class Run {
  readonly model: Model;
  /** What the disk may hold after each operation; the first is the start. */
  readonly states: Expected[];
  /** The disk holds `states[acknowledged]` or a later one. */
  acknowledged = 0;
  readonly errors: unknown[] = [];
  readonly #wal: Wal;

  constructor(wal: Wal, contents: WalContents) {
    this.#wal = wal;
    this.model = new Model(contents);
    this.states = [this.model.expected()];
  }

  submit(operation: Operation): Promise<void> {
    this.model.apply(operation);
    const state = this.states.push(this.model.expected()) - 1;
    return perform(this.#wal, operation).then(
      () => {
        if (isDurable(operation)) this.acknowledged = Math.max(this.acknowledged, state);
      },
      (error: unknown) => {
        this.errors.push(error);
      },
    );
  }

  /** Closing writes what was left for later. */
  async close(): Promise<void> {
    const state = this.states.push(this.model.expected()) - 1;
    await this.#wal.close();
    this.acknowledged = state;
  }

  /** Which state was read back, of those that it may be; -1 if it is none of them. */
  find(contents: WalContents): number {
    const found = JSON.stringify(asExpected(contents), text);
    for (let i = this.acknowledged; i < this.states.length; i++) {
      if (JSON.stringify(this.states[i], text) === found) return i;
    }
    return -1;
  }
}

function text(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
