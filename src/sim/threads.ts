/**
 * The few threads that a process has for its files, as Node's: what a Disk and a KvStore are asked
 * for waits until one of them is free. With it a simulation shows what slow reads keep waiting.
 */

import { assert } from '../common/index.js';

/** One pool; work is begun in the order in which it comes. */
export class SimThreads {
  readonly #freeAtMs: number[];

  constructor(count: number) {
    assert(count >= 1, 'there is a thread');
    this.#freeAtMs = new Array<number>(count).fill(Number.NEGATIVE_INFINITY);
  }

  /** How long it takes from now on until work of `durationMs` is done that is begun now. */
  takesMs(nowMs: number, durationMs: number): number {
    const free = this.#freeAtMs;
    const next = free.indexOf(Math.min(...free));
    const doneMs = Math.max(nowMs, free[next] as number) + durationMs;
    free[next] = doneMs;
    return doneMs - nowMs;
  }
}
