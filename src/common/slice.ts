/**
 * How long work gives way to the event loop: it is cut into slices, each bounded by keys and by
 * time. A key costs between 0.1 and 10 us, depending on what is cached, so a number of keys alone
 * says little about how long others wait.
 *
 * All slices of one lane share the time of a turn: a thousand ranges that come in together, or go
 * on together, take one slice of time a turn between them, and go on one after the other. What is
 * applied has a lane of its own, so that it waits for no reader.
 */

import { mvccSliceKeysMax, sliceMsMax } from './limits.js';
import type { Clock } from './ports.js';

/** Whose work it is: calls of clients wait for each other, but applying does not wait for them. */
export type Lane = 'read' | 'apply';

/** Looking at the clock after each key would cost more than some keys. */
const keysPerLook = 64;
/** Places of resumed work in front of the queue above which they are given back. */
const resumedMax = 1024;

/** The turns that the slices of one lane share. */
class Turns {
  readonly #clock: Clock;
  /** End of the time that this turn has for slices; undefined: no slice has begun in it. */
  #untilMs: number | undefined;
  /** Who waits for a turn, from `first` on. */
  #waiting: Array<() => void> = [];
  #first = 0;
  #armed = false;
  readonly #next = (): void => this.#begin();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  deadlineMs(): number {
    if (this.#untilMs === undefined) {
      this.#untilMs = this.#clock.nowMs() + sliceMsMax;
      this.#arm();
    }
    return this.#untilMs;
  }

  wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#arm();
    });
  }

  #arm(): void {
    if (this.#armed) return;
    this.#armed = true;
    this.#clock.afterTurn(this.#next);
  }

  /** A turn has begun: the one who waits longest goes on in it. */
  #begin(): void {
    this.#armed = false;
    this.#untilMs = undefined;
    const resume = this.#waiting[this.#first];
    if (resume === undefined) return;
    this.#first += 1;
    if (this.#first === this.#waiting.length) {
      this.#waiting = [];
      this.#first = 0;
    } else {
      if (this.#first > resumedMax) {
        this.#waiting = this.#waiting.slice(this.#first);
        this.#first = 0;
      }
      this.#arm();
    }
    resume();
  }
}

/** One event loop, so one set of turns, for all that run on a clock. */
const turnsOf = new WeakMap<Clock, Record<Lane, Turns>>();

function turnsFor(clock: Clock, lane: Lane): Turns {
  let lanes = turnsOf.get(clock);
  if (lanes === undefined) {
    lanes = { read: new Turns(clock), apply: new Turns(clock) };
    turnsOf.set(clock, lanes);
  }
  return lanes[lane];
}

/** As `turn`, behind those of the lane that already wait for theirs. */
export function laneTurn(clock: Clock, lane: Lane = 'read'): Promise<void> {
  return turnsFor(clock, lane).wait();
}

/** The slice that is running; a long job makes one and begins it again after each rest. */
export class Slice {
  readonly #clock: Clock;
  readonly #turns: Turns;
  /** The last call of `next` was the last one of the slice. */
  isSpent = false;
  #left = 0;
  #untilMs = 0;

  /** Begins the first slice. */
  constructor(clock: Clock, lane: Lane = 'read') {
    this.#clock = clock;
    this.#turns = turnsFor(clock, lane);
    this.begin();
  }

  begin(): void {
    this.isSpent = false;
    this.#left = mvccSliceKeysMax;
    this.#untilMs = this.#turns.deadlineMs();
  }

  /** Counts one key; false if it was the last one of the slice. */
  next(): boolean {
    this.#left -= 1;
    if (this.#left % keysPerLook !== 0) return true;
    this.isSpent = this.#left <= 0 || this.#clock.nowMs() >= this.#untilMs;
    return !this.isSpent;
  }

  /** Looks at the clock, for work whose pieces cost more than that. */
  isOver(): boolean {
    this.isSpent = this.#clock.nowMs() >= this.#untilMs;
    return this.isSpent;
  }

  /** Gives way to the event loop and begins the next slice. */
  async rest(): Promise<void> {
    await this.#turns.wait();
    this.begin();
  }
}

/**
 * Work that can be paused: it yields a promise wherever it has to wait, for its next turn or for
 * something to be read, and goes on when that has resolved. Short work never yields, so it is done
 * within the call that began it.
 */
export type Steps<T> = Generator<Promise<unknown>, T, void>;

/** Runs `steps` to the end: at once if there is nothing to wait for. Throws or rejects as they do. */
export function runSteps<T>(steps: Steps<T>): T | Promise<T> {
  const first = steps.next();
  return first.done === true ? first.value : runRest(steps, first.value);
}

async function runRest<T>(steps: Steps<T>, first: Promise<unknown>): Promise<T> {
  let waits = first;
  for (;;) {
    let after: IteratorResult<Promise<unknown>, T>;
    try {
      await waits;
      after = steps.next();
    } catch (error) {
      // Theirs, for they may have something to give back; thrown again if it came from them.
      after = steps.throw(error);
    }
    if (after.done === true) return after.value;
    waits = after.value;
  }
}
