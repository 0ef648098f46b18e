/**
 * The small change of waiting: for a time, for a turn, for one's turn, for an outcome. Each of them
 * once, so that nobody writes `new Promise((resolve) => clock.after(...))` again.
 */

import { onAbort } from './abort.js';
import type { Clock } from './ports.js';

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  if (signal === undefined) return new Promise((resolve) => clock.after(delayMs, resolve));
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.after(delayMs, () => {
      takeBack();
      resolve();
    });
    const takeBack = onAbort(signal, () => {
      timer.cancel();
      resolve();
    });
  });
}

/** Resolves in a later turn of the event loop. */
export function turn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.afterTurn(resolve));
}

/** Resolves with `work`, or when `delayMs` are over. Rejects as `work` does. */
export function untilOrAfter(work: Promise<void>, clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(delayMs, resolve);
    work.finally(() => timer.cancel()).then(resolve, reject);
  });
}

/** Lets one job at a time run, in the order in which they came. */
export class Lock {
  #last: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as `job` does, which begins when those before it have ended somehow. */
  run<T>(job: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(job);
    this.#last = result.catch(() => {});
    return result;
  }

  /** Resolves when every job that was given until now has ended; never rejects. */
  get idle(): Promise<unknown> {
    return this.#last;
  }
}

/** The two ends of a promise whose result is only that something is done. */
export interface Settler {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** Says that it is done, or why it is not. */
export function settle(settler: Settler, error: Error | undefined): void {
  if (error === undefined) settler.resolve();
  else settler.reject(error);
}
