/**
 * What a write-ahead log holds, without the entries themselves: its ends, its terms, and the rules
 * by which one more item changes them. Writing and replaying go through the same rules, so that a
 * log that could be written can be read back to the same thing.
 */

import { assert, type LogIndex, type Term } from '../../common/index.js';
import { emptyConfiguration, type HardState, type SnapshotMeta } from '../../raft/index.js';

/** The snapshot of a log that has none. */
export const noSnapshot: SnapshotMeta = { index: 0, term: 0, configuration: emptyConfiguration };
/** The hard state before anything happened. */
export const noHardState: HardState = { term: 0, vote: 0n, commit: 0 };

interface TermRun {
  readonly firstIndex: LogIndex;
  readonly term: Term;
}

/** Ends, terms, hard state and snapshot mark of a log. */
export class LogShape {
  snapshot: SnapshotMeta = noSnapshot;
  hardState: HardState = noHardState;
  lastIndex: LogIndex = 0;
  /** Ascending; entries of the same term share one. Nothing at or below the snapshot. */
  #runs: TermRun[] = [];

  /** The state at the head of a segment whose predecessors are gone. */
  restart(
    snapshot: SnapshotMeta,
    hardState: HardState,
    last: { readonly index: LogIndex; readonly term: Term },
  ): void {
    this.snapshot = snapshot;
    this.hardState = hardState;
    this.lastIndex = last.index;
    this.#runs = last.index > snapshot.index ? [{ firstIndex: last.index, term: last.term }] : [];
  }

  get lastTerm(): Term {
    return this.termAt(this.lastIndex) ?? 0;
  }

  /** Undefined if the log does not know: before the snapshot, or in a released segment. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.snapshot.index) return this.snapshot.term;
    if (index > this.lastIndex) return undefined;
    for (let i = this.#runs.length - 1; i >= 0; i--) {
      const run = this.#runs[i];
      if (run !== undefined && run.firstIndex <= index) return run.term;
    }
    return undefined;
  }

  /** Why an entry can't come next; undefined if it can. */
  refuses(index: LogIndex, term: Term): string | undefined {
    if (index > this.lastIndex + 1) {
      return `entry ${index} does not follow entry ${this.lastIndex}`;
    }
    if (index <= this.snapshot.index) {
      return `entry ${index} lies at or before the snapshot at ${this.snapshot.index}`;
    }
    if (index <= this.hardState.commit) return `entry ${index} is committed already`;
    if (term < (this.termAt(index - 1) ?? 0)) return `the term of entry ${index} goes back`;
    return undefined;
  }

  /** Takes an entry that is not refused; those at and behind its index are overwritten. */
  append(index: LogIndex, term: Term): void {
    const runs = this.#runs;
    if (index <= this.lastIndex) {
      while ((runs[runs.length - 1]?.firstIndex ?? 0) >= index) runs.pop();
    }
    if (runs[runs.length - 1]?.term !== term) runs.push({ firstIndex: index, term });
    this.lastIndex = index;
  }

  /**
   * Moves the snapshot mark. Entries behind it stay if the log agrees with the snapshot, else the
   * whole log is dropped (Raft paper, figure 13, steps 6 and 7); returns whether they stay.
   */
  mark(snapshot: SnapshotMeta): boolean {
    assert(snapshot.index >= this.snapshot.index, 'a snapshot mark goes back');
    const known = this.termAt(snapshot.index);
    const stays =
      snapshot.index <= this.lastIndex && (known === undefined || known === snapshot.term);
    this.snapshot = snapshot;
    if (stays) this.#dropRuns(snapshot.index);
    else this.dropBehindMark();
    return stays;
  }

  /** The log ends with the snapshot mark: whatever was behind it is none of it any more. */
  dropBehindMark(): void {
    this.#runs = [];
    this.lastIndex = this.snapshot.index;
  }

  /**
   * The hard state, made to agree with the log: never behind what the snapshot and the entries
   * prove. A term seen only there is one without a vote, because a vote is stored with its term.
   */
  consistentHardState(): HardState {
    const { hardState, snapshot } = this;
    const term = Math.max(hardState.term, snapshot.term, this.lastTerm);
    const vote = term === hardState.term ? hardState.vote : 0n;
    const commit = Math.max(snapshot.index, Math.min(hardState.commit, this.lastIndex));
    return { term, vote, commit };
  }

  #dropRuns(through: LogIndex): void {
    const runs = this.#runs;
    let count = 0;
    while ((runs[count + 1]?.firstIndex ?? Number.POSITIVE_INFINITY) <= through + 1) count += 1;
    runs.splice(0, count);
    if (this.lastIndex === through) runs.length = 0;
  }
}
