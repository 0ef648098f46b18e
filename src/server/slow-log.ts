/** Warnings about slow things, of which there may be thousands a second just when it is worst. */

import type { Clock, Logger } from '../common/index.js';

const intervalMs = 1000;

/** Lets one line a second through and counts the others into the next. */
export class SlowLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  #nextMs = Number.NEGATIVE_INFINITY;
  #suppressed = 0;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  warn(message: string, fields: Readonly<Record<string, unknown>>): void {
    const now = this.#clock.nowMs();
    if (now < this.#nextMs) {
      this.#suppressed += 1;
      return;
    }
    this.#nextMs = now + intervalMs;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#logger.warn(message, suppressed === 0 ? fields : { ...fields, suppressed });
  }
}
