/**
 * Deadlines of calls without a timer for each: a hashed wheel (Varghese & Lauck) of intrusive
 * lists with one clock timer, set for the next slot that has an entry. Adding and removing are a
 * few stores. An entry fires up to one tick late and never early.
 */

import { assert, type Clock, type Timer, turnShareMax } from '../common/index.js';

const tickMs = 8;
const slotCount = 1_024;
/** A clock in fractions of milliseconds may be this much short of the time that was set. */
const roundingMs = 1e-3;

/** Something that can run out of time; it carries the links of the list it is in. */
export interface DeadlineEntry {
  readonly deadlineMs: number | undefined;
  wheelNext: DeadlineEntry | undefined;
  wheelPrevious: DeadlineEntry | undefined;
  /** -1 while it is in no list. */
  wheelSlot: number;
  onDeadline(): void;
}

/** All deadlines on one clock. */
export class DeadlineWheel {
  readonly #clock: Clock;
  readonly #slots: Array<DeadlineEntry | undefined> = new Array(slotCount).fill(undefined);
  #count = 0;
  #doneTick = 0;
  #timer: Timer | undefined;
  #timerTick = 0;
  readonly #fire = (): void => {
    if (!this.#advance()) {
      this.#clock.afterTurn(this.#fire);
      return;
    }
    this.#timer = undefined;
    if (this.#count > 0) this.#arm(this.#nextTick());
  };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Entries that may still fire. */
  get count(): number {
    return this.#count;
  }

  /** `entry.onDeadline()` will be called unless it is removed; without a deadline: nothing. */
  add(entry: DeadlineEntry): void {
    if (entry.deadlineMs === undefined || entry.wheelSlot >= 0) return;
    assert(entry.wheelNext === undefined, 'who is in no list has no neighbours');
    if (this.#count === 0) this.#doneTick = Math.floor(this.#clock.nowMs() / tickMs);
    const tick = Math.max(Math.ceil(entry.deadlineMs / tickMs), this.#doneTick + 1);
    const slot = tick % slotCount;
    const head = this.#slots[slot];
    entry.wheelSlot = slot;
    entry.wheelNext = head;
    entry.wheelPrevious = undefined;
    if (head !== undefined) head.wheelPrevious = entry;
    this.#slots[slot] = entry;
    this.#count++;
    if (this.#timer === undefined) this.#arm(tick);
    else if (tick < this.#timerTick) {
      this.#timer.cancel();
      this.#arm(tick);
    }
  }

  remove(entry: DeadlineEntry): void {
    const slot = entry.wheelSlot;
    if (slot < 0) return;
    const next = entry.wheelNext;
    const previous = entry.wheelPrevious;
    if (next !== undefined) next.wheelPrevious = previous;
    if (previous !== undefined) previous.wheelNext = next;
    else {
      assert(this.#slots[slot] === entry, 'who has none before it is the first of its slot');
      this.#slots[slot] = next;
    }
    entry.wheelSlot = -1;
    entry.wheelNext = undefined;
    entry.wheelPrevious = undefined;
    this.#count--;
    assert(this.#count >= 0, 'no more entries leave than there are');
  }

  /** False: more are due, but others shall have their turn first. */
  #advance(): boolean {
    const nowMs = this.#clock.nowMs() + roundingMs;
    const nowTick = Math.floor(nowMs / tickMs);
    const first = Math.max(this.#doneTick + 1, nowTick - slotCount + 1);
    const due: DeadlineEntry[] = [];
    let tick = first;
    for (; tick <= nowTick && due.length < turnShareMax; tick++) {
      let entry = this.#slots[tick % slotCount];
      for (; entry !== undefined && due.length < turnShareMax; entry = entry.wheelNext) {
        if ((entry.deadlineMs ?? 0) <= nowMs) due.push(entry);
      }
    }
    // The last tick that was looked at may have more of them.
    const whole = due.length < turnShareMax;
    this.#doneTick = whole ? nowTick : tick - 2;
    // One that fires may remove others of them.
    for (const entry of due) {
      if (entry.wheelSlot < 0) continue;
      this.remove(entry);
      entry.onDeadline();
    }
    return whole;
  }

  #nextTick(): number {
    for (let tick = this.#doneTick + 1; tick <= this.#doneTick + slotCount; tick++) {
      if (this.#slots[tick % slotCount] !== undefined) return tick;
    }
    assert(this.#count === 0, 'every entry is in a slot');
    return this.#doneTick + slotCount;
  }

  #arm(tick: number): void {
    this.#timerTick = tick;
    this.#timer = this.#clock.after(Math.max(0, tick * tickMs - this.#clock.nowMs()), this.#fire);
  }
}

const wheels = new WeakMap<Clock, DeadlineWheel>();

/** The wheel that everything on this clock shares. */
export function deadlineWheelOf(clock: Clock): DeadlineWheel {
  let wheel = wheels.get(clock);
  if (wheel === undefined) {
    wheel = new DeadlineWheel(clock);
    wheels.set(clock, wheel);
  }
  return wheel;
}
