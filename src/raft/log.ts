/**
 * The replicated log (paper 5.3, figure 6) since the last compaction (paper 7), all of it in
 * memory: the driver bounds it.
 *
 *   snapshotIndex | first .. applied .. handedApplyIndex .. commitIndex .. lastIndex
 *
 * Invariants: commitIndex never goes down and entries at or below it never change (paper 5.3, 5.4);
 * entries are contiguous; only entries that are both committed and durable here are applied.
 */

import { assert, type LogIndex, present, type Term } from '../common/index.js';
import type { Entry, HardState, SnapshotMeta } from './types.js';
import { Writes } from './writes.js';

/** What `term` answers for an index that the log does not hold; no term is negative. */
export const unknownTerm = -1;

/** What an entry costs beside its data, in memory and in a frame, for the byte limits. */
const entryOverheadBytes = 32;

/** Cost of an entry with `dataBytes` of data, for all byte limits of this folder. */
export function entryBytes(dataBytes: number): number {
  return dataBytes + entryOverheadBytes;
}

export interface LogRestore {
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  readonly entries: readonly Entry[];
  readonly applied: LogIndex;
}

export class RaftLog {
  /** The position right before the first entry held here, and its term. */
  snapshotIndex: LogIndex;
  snapshotTerm: Term;
  commitIndex: LogIndex;
  /** Applied to the state machine, as the driver reported. */
  appliedIndex: LogIndex;
  /** Handed out to be applied. */
  handedApplyIndex: LogIndex;
  /** A snapshot that no Ready has handed out yet. */
  pendingSnapshot: SnapshotMeta | undefined = undefined;
  readonly writes: Writes;
  /** `#entries[i]` has index `snapshotIndex + 1 + i`. */
  #entries: Entry[];

  constructor(restore: LogRestore) {
    const { hardState, snapshot, applied } = restore;
    this.snapshotIndex = snapshot.index;
    this.snapshotTerm = snapshot.term;
    this.#entries = restore.entries.slice();
    this.#checkContiguous();
    assert(applied >= snapshot.index, 'the state machine holds the snapshot');
    assert(applied <= this.lastIndex, 'applied is not beyond the end of the log');
    // The hint may be ahead of a log whose last write was torn: only what is there is committed.
    this.commitIndex = Math.max(applied, Math.min(hardState.commit, this.lastIndex));
    this.appliedIndex = applied;
    this.handedApplyIndex = applied;
    this.writes = new Writes(this.lastIndex, hardState);
  }

  #checkContiguous(): void {
    let { snapshotIndex: index, snapshotTerm: term } = this;
    for (const entry of this.#entries) {
      assert(entry.index === index + 1, `entry ${entry.index} follows ${index}`);
      assert(entry.term >= term, `term at ${entry.index} does not go down`);
      index = entry.index;
      term = entry.term;
    }
  }

  get firstIndex(): LogIndex {
    return this.snapshotIndex + 1;
  }

  get lastIndex(): LogIndex {
    return this.snapshotIndex + this.#entries.length;
  }

  get lastTerm(): Term {
    return this.term(this.lastIndex);
  }

  /** The last index that may be applied: committed and durable here. */
  get applicableIndex(): LogIndex {
    return Math.min(this.commitIndex, this.writes.persistedIndex);
  }

  /** A snapshot has replaced the log, and the state machine has not installed it yet. */
  get awaitsSnapshot(): boolean {
    return this.appliedIndex < this.snapshotIndex;
  }

  /** Term of the entry at `index`; {@link unknownTerm} if compacted or not there. */
  term(index: LogIndex): Term {
    const position = index - this.snapshotIndex;
    if (position === 0) return this.snapshotTerm;
    if (position < 0) return unknownTerm;
    return this.#entries[position - 1]?.term ?? unknownTerm;
  }

  /** The entry at `index`, which must be held here. */
  entry(index: LogIndex): Entry {
    return present(this.#entries[index - this.snapshotIndex - 1], 'an entry of the log');
  }

  /** Entries `from`..`to`, both inclusive, of at most `bytesMax` but at least one. */
  slice(from: LogIndex, to: LogIndex, bytesMax: number): Entry[] {
    assert(from > this.snapshotIndex && to <= this.lastIndex, 'the slice is within the log');
    const start = from - this.snapshotIndex - 1;
    const end = to - this.snapshotIndex;
    const entries = this.#entries;
    let bytes = 0;
    let at = start;
    while (at < end) {
      bytes += entryBytes(present(entries[at], 'entry').data.byteLength);
      if (bytes > bytesMax && at > start) break;
      at += 1;
    }
    return entries.slice(start, at);
  }

  /** All entries after `after`. */
  tail(after: LogIndex): Entry[] {
    return this.#entries.slice(after - this.snapshotIndex);
  }

  /** Appends at the leader; the index is the next one. */
  push(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'a leader only appends (paper 5.3)');
    this.#entries.push(entry);
  }

  /**
   * Appends what follows a position that matches. Entries that are there already stay; only a
   * conflict truncates (paper 5.3, figure 2 step 3), so that a delayed shorter message can't cut
   * off what a later one brought. Returns the last index known to match the leader's log.
   */
  merge(prevLogIndex: LogIndex, entries: readonly Entry[]): LogIndex {
    const last = prevLogIndex + entries.length;
    for (let i = 0; i < entries.length; i += 1) {
      const entry = present(entries[i], 'entry');
      assert(entry.index === prevLogIndex + 1 + i, 'the entries of a message are contiguous');
      const term = this.term(entry.index);
      if (term === entry.term) continue;
      if (term !== unknownTerm) this.#truncate(entry.index);
      for (let j = i; j < entries.length; j += 1) {
        const next = present(entries[j], 'entry');
        assert(next.index === this.lastIndex + 1, 'the entries of a message are contiguous');
        this.#entries.push(next);
      }
      break;
    }
    return last;
  }

  #truncate(from: LogIndex): void {
    assert(from > this.commitIndex, `entry ${from} is committed and would be overwritten`);
    this.#entries.length = from - this.snapshotIndex - 1;
    this.writes.truncated(from);
  }

  /** Moves the commit index up to `index`, if that is news. */
  commitTo(index: LogIndex): void {
    if (index <= this.commitIndex) return;
    assert(
      index <= this.lastIndex,
      `index ${index} is committed but the log ends at ${this.lastIndex}: was it lost or replaced?`,
    );
    this.commitIndex = index;
  }

  /** Paper 5.4.1: the later last term wins, then the longer log. Length alone says nothing. */
  isUpToDate(lastLogIndex: LogIndex, lastLogTerm: Term): boolean {
    const { lastTerm } = this;
    return lastLogTerm > lastTerm || (lastLogTerm === lastTerm && lastLogIndex >= this.lastIndex);
  }

  /**
   * The largest index <= `index` whose term is <= `term`: nothing above it can agree with a log
   * that has `term` at `index` (paper 5.3, the accelerated back-off). Terms never go down, so a
   * binary search finds it. An index that is compacted away is returned as it is.
   */
  lastWithTermUpTo(index: LogIndex, term: Term): LogIndex {
    if (index <= this.snapshotIndex) return index;
    let low = this.snapshotIndex;
    let high = Math.min(index, this.lastIndex);
    if (this.snapshotTerm > term) return low;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.term(middle) <= term) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Replaces everything by a snapshot (paper section 7). */
  restore(snapshot: SnapshotMeta): void {
    assert(snapshot.index > this.commitIndex, 'a snapshot does not take back what is committed');
    this.snapshotIndex = snapshot.index;
    this.snapshotTerm = snapshot.term;
    this.#entries = [];
    this.commitIndex = snapshot.index;
    this.pendingSnapshot = snapshot;
    this.writes.replaced(snapshot.index);
  }

  /** Forgets entries up to `index`, which the state machine holds. */
  compact(index: LogIndex): void {
    assert(index <= this.appliedIndex, 'only what is applied may be compacted');
    if (index <= this.snapshotIndex) return;
    const term = this.term(index);
    this.#entries = this.#entries.slice(index - this.snapshotIndex);
    this.snapshotIndex = index;
    this.snapshotTerm = term;
  }

  /** The driver has applied everything up to `index`. */
  appliedTo(index: LogIndex): void {
    assert(index >= this.appliedIndex, 'the applied index does not go down');
    assert(index <= this.handedApplyIndex, 'only what was handed out can have been applied');
    this.appliedIndex = index;
  }

  /** Whether a configuration change is committed but not yet applied. */
  hasUnappliedConfigChange(): boolean {
    const from = Math.max(this.appliedIndex, this.snapshotIndex) + 1;
    for (let index = from; index <= this.commitIndex; index += 1) {
      if (this.entry(index).type === 'configChange') return true;
    }
    return false;
  }
}
