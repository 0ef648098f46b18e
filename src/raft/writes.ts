/**
 * What of the log and of term and vote is on stable storage, while several Readys are being
 * written at once (paper figure 2, "persistent state"; thesis 3.8, 10.2.1).
 *
 * Readys become durable in the order in which they were handed out. Each one in flight remembers
 * the last log index that it makes durable. When the log is truncated meanwhile, that memory is
 * cut back: the file may well hold the old entries then, but they are not the ones in the log, so
 * an acknowledgement that arrives late must not count for them. This is exact even if an entry is
 * overwritten and later written again with the same term, which a comparison of terms is not.
 */

import { assert, type LogIndex, type MemberId, type Term } from '../common/index.js';
import type { HardState } from './types.js';

interface Write {
  readonly sequence: number;
  /** The log up to here is durable once this write is. Cut back by truncation. */
  lastIndex: LogIndex;
  readonly hardState: HardState | undefined;
}

export class Writes {
  /** Entries up to here were handed out for writing. */
  handedIndex: LogIndex;
  /** Entries up to here are durable, exactly as they are in the log. */
  persistedIndex: LogIndex;
  /** Durable term and vote. */
  persistedTerm: Term;
  persistedVote: MemberId;
  readonly #inFlight: Write[] = [];

  constructor(lastIndex: LogIndex, hardState: HardState) {
    this.handedIndex = lastIndex;
    this.persistedIndex = lastIndex;
    this.persistedTerm = hardState.term;
    this.persistedVote = hardState.vote;
  }

  /** A Ready leaves with everything up to `lastIndex`. */
  handOut(sequence: number, lastIndex: LogIndex, hardState: HardState | undefined): void {
    assert(lastIndex >= this.handedIndex, 'entries are handed out in order');
    this.handedIndex = lastIndex;
    this.#inFlight.push({ sequence, lastIndex, hardState });
  }

  /** The Ready `sequence` and all before it are durable. */
  persisted(sequence: number): void {
    let done = 0;
    for (const write of this.#inFlight) {
      if (write.sequence > sequence) break;
      done += 1;
      if (write.lastIndex > this.persistedIndex) this.persistedIndex = write.lastIndex;
      if (write.hardState !== undefined) {
        this.persistedTerm = write.hardState.term;
        this.persistedVote = write.hardState.vote;
      }
    }
    assert(done > 0, `Ready ${sequence} was not in flight`);
    assert(this.persistedIndex <= this.handedIndex, 'only what was handed out is durable');
    this.#inFlight.splice(0, done);
  }

  /** The log lost everything from `index` on. */
  truncated(index: LogIndex): void {
    const kept = index - 1;
    this.handedIndex = Math.min(this.handedIndex, kept);
    this.persistedIndex = Math.min(this.persistedIndex, kept);
    for (const write of this.#inFlight) write.lastIndex = Math.min(write.lastIndex, kept);
  }

  /** The log was replaced by a snapshot at `index`: nothing that was written before counts. */
  replaced(index: LogIndex): void {
    this.truncated(1);
    this.handedIndex = index;
  }
}
