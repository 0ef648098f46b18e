/**
 * One `afterTurn` for all connections that got something to send in this turn of the event loop,
 * instead of one for each: everything answered in a turn leaves in one write per connection.
 */

import type { Clock } from '../common/index.js';

/** Something with output to write at the end of the turn. */
export interface Flushable {
  flush(): void;
}

/** The connections to flush; one object for each clock, so for each event loop. */
export class TurnFlusher {
  readonly #clock: Clock;
  #waiting: Flushable[] = [];
  #running: Flushable[] = [];
  readonly #run = (): void => {
    const batch = this.#waiting;
    this.#waiting = this.#running;
    this.#running = batch;
    for (let i = 0; i < batch.length; i++) batch[i]?.flush();
    batch.length = 0;
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `target.flush()` after this turn. The caller sees to it that it asks only once. */
  add(target: Flushable): void {
    if (this.#waiting.length === 0) this.#clock.afterTurn(this.#run);
    this.#waiting.push(target);
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
