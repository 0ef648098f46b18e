/**
 * How a thread that sleeps in its event loop is woken, and one that is awake is left alone.
 * `Atomics.notify` for an `Atomics.waitAsync` wakes a loop of libuv as a message of a port does,
 * by its eventfd, and costs both sides a little less (docs/adr/0013-io-threads.md).
 */

import { nodeClock } from '../clock-node.js';

const counterWord = 0;
const sleepsWord = 1;
const doorbellBytes = 64;

/** Of ES2024, which our declarations do not have. */
interface AsyncAtomics {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
  ): { readonly async: false } | { readonly async: true; readonly value: Promise<string> };
}
const { waitAsync } = Atomics as unknown as AsyncAtomics;

export function makeDoorbell(): SharedArrayBuffer {
  return new SharedArrayBuffer(doorbellBytes);
}

/** Wakes the thread if it sleeps. */
export class DoorbellButton {
  readonly #words: Int32Array;
  rung = 0;

  constructor(shared: SharedArrayBuffer) {
    this.#words = new Int32Array(shared);
  }

  press(): void {
    if (Atomics.load(this.#words, sleepsWord) === 0) return;
    if (Atomics.exchange(this.#words, sleepsWord, 0) === 0) return;
    this.rung += 1;
    Atomics.add(this.#words, counterWord, 1);
    Atomics.notify(this.#words, counterWord);
  }
}

/** Looks for work each turn while there is some, then sleeps until the bell rings. */
export class Sleeper {
  readonly #words: Int32Array;
  readonly #work: () => boolean;
  #isArmed = false;
  #isTurning = false;

  /** `work`: true if there was any. */
  constructor(shared: SharedArrayBuffer, work: () => boolean) {
    this.#words = new Int32Array(shared);
    this.#work = work;
    this.#arm();
    this.#turn();
  }

  readonly #turn = (): void => {
    this.#isTurning = false;
    if (this.#work()) {
      this.#goOn();
      return;
    }
    Atomics.store(this.#words, sleepsWord, 1);
    // What came before that was not followed by a ring.
    if (!this.#work()) return;
    Atomics.store(this.#words, sleepsWord, 0);
    this.#goOn();
  };

  #goOn(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    nodeClock.afterTurn(this.#turn);
  }

  #arm(): void {
    if (this.#isArmed) return;
    const seen = Atomics.load(this.#words, counterWord);
    const waits = waitAsync(this.#words, counterWord, seen);
    if (!waits.async) {
      this.#goOn();
      queueMicrotask(() => this.#arm());
      return;
    }
    this.#isArmed = true;
    void waits.value.then(() => {
      this.#isArmed = false;
      this.#arm();
      if (!this.#isTurning) this.#turn();
    });
  }
}
