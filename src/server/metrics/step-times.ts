/**
 * When entries of the log became durable and committed: what tells where a slow request spent its
 * time. Noted once for each write and each Ready, however many entries these have, so that a put
 * costs nothing; looked up only for a request that is slow, or traced.
 */

import type { LogIndex } from '../../common/index.js';

/** A power of two. Some seconds of writes; what is older is not known any more. */
const notesMax = 4096;

/** Times at which everything up to an index had happened. */
export class IndexTimes {
  readonly #upTo = new Float64Array(notesMax);
  readonly #atMs = new Float64Array(notesMax);
  /** Notes ever taken since the last reset; the newest stands before this place. */
  #count = 0;

  /** All entries up to `index` had got there at `atMs`. */
  note(index: LogIndex, atMs: number): void {
    // A new leader has overwritten the end of the log: what was noted of it is of other entries.
    if (this.#count > 0 && index < (this.#upTo[(this.#count - 1) % notesMax] as number)) {
      this.#count = 0;
    }
    this.#upTo[this.#count % notesMax] = index;
    this.#atMs[this.#count % notesMax] = atMs;
    this.#count += 1;
  }

  /** Undefined: it has not happened, or too long ago. */
  at(index: LogIndex): number | undefined {
    const oldest = Math.max(0, this.#count - notesMax);
    let low = oldest;
    let high = this.#count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#upTo[middle % notesMax] as number) >= index) high = middle;
      else low = middle + 1;
    }
    if (low === this.#count) return undefined;
    // Of the oldest note nobody knows where it begins.
    if (low === oldest && oldest > 0) return undefined;
    return this.#atMs[low % notesMax];
  }
}

/** Of one member. */
export class StepTimes {
  readonly durable = new IndexTimes();
  readonly committed = new IndexTimes();
  /** When the linearizable reads that run now were confirmed. */
  confirmedMs = 0;
}
