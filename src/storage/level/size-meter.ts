/**
 * How much the files of the KvStore take. They are looked at in the background, some time after
 * something was written, because nobody who asks should have to wait for a disk.
 */

import { type Clock, type KvStore, sizeMeasureIntervalMs, type Timer } from '../../common/index.js';

/** One a store; `kick` after each batch of the flush. */
export class SizeMeter {
  /** As of the last look; 0 before the first. */
  allocatedBytes = 0;
  readonly #kv: Pick<KvStore, 'sizeBytes'>;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(kv: Pick<KvStore, 'sizeBytes'>, clock: Clock) {
    this.#kv = kv;
    this.#clock = clock;
  }

  /** Something was written. */
  kick(): void {
    if (this.#timer !== undefined || this.#closed) return;
    this.#timer = this.#clock.after(sizeMeasureIntervalMs, () => {
      this.#timer = undefined;
      void this.measure();
    });
  }

  /** Looks now; never rejects: what can't be measured keeps its last size. */
  measure(): Promise<void> {
    if (!this.#closed) this.#running = this.#running.then(() => this.#look());
    return this.#running;
  }

  /** Resolves when it no longer uses the KvStore. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  async #look(): Promise<void> {
    if (this.#closed) return;
    try {
      this.allocatedBytes = await this.#kv.sizeBytes();
    } catch {
      // The store is on its way out, or its next write will say what is wrong with the disk.
    }
  }
}
