/** Functions of users may fail, and may never end. */

import { type Clock, onAbort } from '../../common/index.js';

/** How long is waited for an answer. */
export interface AskOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Aborted when the client is closed. */
  readonly signal: AbortSignal;
}

/** What `give` gives; rejects if it throws, takes too long, or the client is closed meanwhile. */
export function ask<T>(give: () => T | Promise<T>, options: AskOptions): Promise<T> {
  const { clock, timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      timer.cancel();
      takeBack();
      reject(error);
    };
    let takeBack = (): void => undefined;
    const timer = clock.after(timeoutMs, () => fail(new Error(`no answer in ${timeoutMs} ms`)));
    takeBack = onAbort(signal, () => fail(new Error('the client was closed')));
    Promise.resolve()
      .then(give)
      .then((given) => {
        timer.cancel();
        takeBack();
        resolve(given);
      }, fail);
  });
}
