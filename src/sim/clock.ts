/**
 * Simulated time: one queue of events for everything that happens in a simulation. Time stands
 * still while code runs and jumps to the next event when it is done, so thousands of simulated
 * seconds fit into one real one, and the same seed gives the same order.
 *
 * Before the next event fires, all promise reactions that the last one caused must have run. That
 * needs no turn of the real event loop: Node calls a `process.nextTick` that was queued from a
 * promise reaction exactly when no reaction is left.
 *
 * A process of the simulation gets its own `SimProcessClock`: it may run at a wrong speed, its wall
 * time may jump, it can be frozen (a stopped process) and killed (none of its timers ever fires).
 */

import { assert, type Clock, type Timer } from '../common/index.js';
import type { SimRandom } from './random.js';

/** Wall time at simulated time 0: 2030-01-01, far from anything a test might mean by itself. */
const epochMs = Date.UTC(2030, 0, 1);

/** How long one turn of the event loop takes; what makes time pass for those who poll in turns. */
const turnMs = 0.01;

interface Event {
  readonly atMs: number;
  /** Order among events of the same time: random if the clock has a Random, else 0. */
  readonly tie: number;
  readonly sequence: number;
  /** Undefined once cancelled. */
  fire: (() => void) | undefined;
}

/** Options of {@link SimClock}. */
export interface SimClockOptions {
  /** Shuffles events that are due at the same time; without it they fire in order of creation. */
  readonly random?: SimRandom;
}

/** The event queue of a simulation and the Clock of its outermost process. */
export class SimClock implements Clock {
  readonly #queue: Event[] = [];
  readonly #random: SimRandom | undefined;
  #nowMs = 0;
  #sequence = 0;
  #fired = 0;

  constructor(options: SimClockOptions = {}) {
    this.#random = options.random;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Math.floor(epochMs + this.#nowMs);
  }

  /** Events fired so far: with the same seed always the same number. */
  get eventsFired(): number {
    return this.#fired;
  }

  after(delayMs: number, fire: () => void): Timer {
    assert(!Number.isNaN(delayMs), 'a delay is not a number');
    const tie = this.#random === undefined ? 0 : this.#random.u32();
    return this.#push(this.#nowMs + Math.max(0, delayMs), tie, fire);
  }

  /** In the order of the calls, and before timers of the same time. */
  afterTurn(fire: () => void): void {
    this.#push(this.#nowMs + turnMs, -1, fire);
  }

  /** A Clock for one process of the simulation. */
  process(): SimProcessClock {
    return new SimProcessClock(this);
  }

  /** Fires the next event, if any, without waiting for promise reactions; for code without any. */
  step(): boolean {
    return this.#fireNext(Number.POSITIVE_INFINITY);
  }

  /** Fires the next `count` events, however long that takes; fewer if none is left. */
  async runEvents(count: number): Promise<void> {
    await settled();
    for (let i = 0; i < count && this.step(); i++) await settled();
  }

  /** Fires everything due up to `untilMs` and leaves the time there. */
  async run(untilMs: number): Promise<void> {
    await settled();
    while (this.#fireNext(untilMs)) await settled();
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /**
   * Fires events until `promise` settles and returns its value. Throws if it can no longer settle
   * because nothing is left to happen, or did not within `limitMs` of simulated time.
   */
  async runUntil<T>(promise: Promise<T>, limitMs = 3_600_000): Promise<T> {
    let isSettled = false;
    const note = (): void => {
      isSettled = true;
    };
    promise.then(note, note);
    const end = this.#nowMs + limitMs;
    await settled();
    while (!isSettled) {
      assert(this.#fireNext(end), 'nothing is left to happen that could settle the promise');
      await settled();
    }
    return promise;
  }

  /** Fires events until none is left. Never ends if something keeps a timer going. */
  async runAll(): Promise<void> {
    await settled();
    while (this.step()) await settled();
  }

  #fireNext(untilMs: number): boolean {
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || next.atMs > untilMs) return false;
      this.#pop();
      const fire = next.fire;
      if (fire === undefined) continue;
      next.fire = undefined;
      assert(next.atMs >= this.#nowMs, 'time does not go back');
      this.#nowMs = next.atMs;
      this.#fired += 1;
      fire();
      return true;
    }
  }

  #push(atMs: number, tie: number, fire: () => void): Timer {
    const event: Event = { atMs, tie, sequence: this.#sequence++, fire };
    const queue = this.#queue;
    let at = queue.length;
    queue.push(event);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      const above = queue[parent] as Event;
      if (!isBefore(event, above)) break;
      queue[at] = above;
      at = parent;
    }
    queue[at] = event;
    return {
      cancel() {
        event.fire = undefined;
      },
    };
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop();
    if (last === undefined || queue.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= queue.length) break;
      const right = queue[child + 1];
      if (right !== undefined && isBefore(right, queue[child] as Event)) child += 1;
      const below = queue[child] as Event;
      if (!isBefore(below, last)) break;
      queue[at] = below;
      at = child;
    }
    queue[at] = last;
  }
}

/** The clock of one simulated process; see {@link SimClock.process}. */
export class SimProcessClock implements Clock {
  readonly #clock: SimClock;
  #rate = 1;
  /** What `nowMs` was when the rate last changed, here and on the simulation's clock. */
  #baseMs = 0;
  #baseTrueMs = 0;
  #wallOffsetMs = 0;
  #killed = false;
  #frozen = false;
  /** What came due while frozen. */
  readonly #held: Array<() => void> = [];

  constructor(clock: SimClock) {
    this.#clock = clock;
    this.#baseMs = clock.nowMs();
    this.#baseTrueMs = clock.nowMs();
  }

  nowMs(): number {
    return this.#baseMs + (this.#clock.nowMs() - this.#baseTrueMs) * this.#rate;
  }

  wallMs(): number {
    return Math.floor(epochMs + this.nowMs() + this.#wallOffsetMs);
  }

  after(delayMs: number, fire: () => void): Timer {
    let cancelled = false;
    const timer = this.#clock.after(Math.max(0, delayMs) / this.#rate, () => {
      this.#deliver(() => {
        if (!cancelled) fire();
      });
    });
    return {
      cancel() {
        cancelled = true;
        timer.cancel();
      },
    };
  }

  afterTurn(fire: () => void): void {
    this.#clock.afterTurn(() => this.#deliver(fire));
  }

  /** How fast its time passes, 1 being right; timers set before keep their date. */
  setRate(rate: number): void {
    assert(rate > 0, 'a clock can not stand still or go back: freeze it');
    this.#baseMs = this.nowMs();
    this.#baseTrueMs = this.#clock.nowMs();
    this.#rate = rate;
  }

  /** Moves wall time only, as a person or an NTP step does. */
  jumpWall(byMs: number): void {
    assert(Number.isFinite(byMs), 'wall time jumps to somewhere');
    this.#wallOffsetMs += byMs;
  }

  /** Stops firing, as SIGSTOP does; monotonic time goes on. */
  freeze(): void {
    this.#frozen = true;
  }

  /** What came due meanwhile fires now, in order. */
  unfreeze(): void {
    this.#frozen = false;
    for (const fire of this.#held.splice(0)) this.#clock.afterTurn(() => this.#deliver(fire));
  }

  /** Nothing set on this clock fires any more. */
  kill(): void {
    this.#killed = true;
    this.#held.length = 0;
  }

  #deliver(fire: () => void): void {
    if (this.#killed) return;
    if (this.#frozen) this.#held.push(fire);
    else fire();
  }
}

function isBefore(a: Event, b: Event): boolean {
  if (a.atMs !== b.atMs) return a.atMs < b.atMs;
  if (a.tie !== b.tie) return a.tie < b.tie;
  return a.sequence < b.sequence;
}

/** Resolves when no promise reaction is left to run. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    process.nextTick(resolve);
  });
}
