/** Warnings about slow things, of which there may be thousands a second just when it is worst. */

import type { Clock, Logger } from '../../common/index.js';

const intervalMs = 1000;

type Fields = Readonly<Record<string, unknown>>;

/** Lets a few lines a second through and counts the others into the next. */
export class SlowLog {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #linesMax: number;
  #nextMs = Number.NEGATIVE_INFINITY;
  #lines = 0;
  #suppressed = 0;

  /** `linesMax`: in a second. */
  constructor(clock: Clock, logger: Logger, linesMax = 1) {
    this.#clock = clock;
    this.#logger = logger;
    this.#linesMax = linesMax;
  }

  /** Fields that cost something to find out come as a function. */
  warn(message: string, given: Fields | (() => Fields)): void {
    const now = this.#clock.nowMs();
    if (now >= this.#nextMs) {
      this.#nextMs = now + intervalMs;
      this.#lines = 0;
    }
    this.#lines += 1;
    if (this.#lines > this.#linesMax) {
      this.#suppressed += 1;
      return;
    }
    const fields = typeof given === 'function' ? given() : given;
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    this.#logger.warn(message, suppressed === 0 ? fields : { ...fields, suppressed });
  }
}
