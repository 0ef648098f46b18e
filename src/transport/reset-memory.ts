/** Streams that we reset lately: frames that were already under way to them are no violation. */

import { resetMemoryStreams } from './limits.js';

/** The newest `resetMemoryStreams` of them. */
export class ResetMemory {
  // A Set keeps the order of insertion, so its first is the oldest.
  readonly #ids = new Set<number>();

  add(streamId: number): void {
    this.#ids.add(streamId);
    if (this.#ids.size <= resetMemoryStreams) return;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      return;
    }
  }

  has(streamId: number): boolean {
    return this.#ids.has(streamId);
  }
}
