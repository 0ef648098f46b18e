/** Which history running reads hold, so that compactions wait for them. */

import { assert, type Revision } from '../../common/index.js';

/** What one read holds. */
export interface Pin {
  readonly revision: Revision;
}

/** Revisions that running reads still need; a compaction waits until it would take none of them. */
export class PinSet {
  readonly #pinned = new Set<Pin>();
  #waiters: Array<{ below: Revision; resolve: () => void }> = [];

  /** Reads that hold something. */
  get size(): number {
    return this.#pinned.size;
  }

  /** Holds history from `revision` on until the result is given to `release`. */
  pin(revision: Revision): Pin {
    const pin = { revision };
    this.#pinned.add(pin);
    return pin;
  }

  release(pin: Pin): void {
    assert(this.#pinned.delete(pin), 'what is held is let go once');
    if (this.#waiters.length === 0) return;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter((w) => this.#blocks(w.below));
    for (const w of waiting) if (!this.#waiters.includes(w)) w.resolve();
  }

  /** Resolves once no read needs anything below `revision`. */
  waitBelow(revision: Revision): Promise<void> {
    if (!this.#blocks(revision)) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push({ below: revision, resolve }));
  }

  #blocks(below: Revision): boolean {
    for (const pin of this.#pinned) if (pin.revision < below) return true;
    return false;
  }
}
