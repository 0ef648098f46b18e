/**
 * One `afterTurn` for all connections that got something to send in this turn of the event loop,
 * instead of one for each: everything answered in a turn leaves in one write per connection.
 *
 * Work that runs at the end of a turn itself would wait for one more turn that way. Where it is
 * gathered, its output leaves with its end, if that is a write or two; else it waits all the same,
 * because what the next turn brings for the same connections can share their writes.
 */

import type { Clock } from '../common/index.js';

/** Something with output to write at the end of the turn. */
export interface Flushable {
  flush(): void;
}

/** So many connections are written to at once: two other members, and whoever asked. */
const hurriedMax = 4;

/** The connections to flush; one object for each clock, so for each event loop. */
export class TurnFlusher {
  readonly #clock: Clock;
  #waiting: Flushable[] = [];
  #running: Flushable[] = [];
  #scheduled = false;
  #gathering = false;
  readonly #run = (): void => {
    this.#scheduled = false;
    this.#flushAll();
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `target.flush()` after this turn. The caller sees to it that it asks only once. */
  add(target: Flushable): void {
    this.#waiting.push(target);
    if (!this.#gathering) this.#schedule();
  }

  /** Runs `work` and flushes what it brought: now if that is little, else after this turn. */
  gather(work: () => void): void {
    this.#gathering = true;
    try {
      work();
    } finally {
      this.#gathering = false;
      this.flushFew();
      if (this.#waiting.length > 0) this.#schedule();
    }
  }

  /** Flushes what there is, if that is little. */
  flushFew(): void {
    const { length } = this.#waiting;
    if (length > 0 && length <= hurriedMax && this.#running.length === 0) this.#flushAll();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.afterTurn(this.#run);
  }

  #flushAll(): void {
    const batch = this.#waiting;
    this.#waiting = this.#running;
    this.#running = batch;
    for (let i = 0; i < batch.length; i++) batch[i]?.flush();
    batch.length = 0;
  }
}

const flushers = new WeakMap<Clock, TurnFlusher>();

/** The flusher that everything on this clock shares. */
export function turnFlusherOf(clock: Clock): TurnFlusher {
  let flusher = flushers.get(clock);
  if (flusher === undefined) {
    flusher = new TurnFlusher(clock);
    flushers.set(clock, flusher);
  }
  return flusher;
}
