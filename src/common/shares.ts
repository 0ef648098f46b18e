/** Work for all of many, a share in each turn of the event loop: others have theirs in between. */

import { turnShareMax } from './limits.js';
import type { Clock } from './ports.js';

/**
 * Calls `each` for all `items` in order, the first share of them before it returns, and `done` when
 * that is over: before it returns if there is no more than one share.
 */
export function inShares<T>(
  clock: Clock,
  items: readonly T[],
  each: (item: T) => void,
  done: () => void,
): void {
  let at = 0;
  const next = (): void => {
    const end = Math.min(items.length, at + turnShareMax);
    while (at < end) each(items[at++] as T);
    if (at < items.length) clock.afterTurn(next);
    else done();
  };
  next();
}
