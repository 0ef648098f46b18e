/**
 * The real Clock. One of the adapter files that may touch timers and the system time; everything
 * else gets a `Clock` injected.
 */

import type { Clock, Timer } from '../../common/index.js';

/** The longest delay that setTimeout takes; it would fire at once above that. */
const delayMsMax = 2 ** 31 - 1;

/** Time of this process: `performance.now` for durations, `Date.now` for people. */
export const nodeClock: Clock = {
  nowMs() {
    return performance.now();
  },

  wallMs() {
    return Date.now();
  },

  after(delayMs: number, fire: () => void): Timer {
    const due = performance.now() + delayMs;
    let handle: NodeJS.Timeout;
    const check = (): void => {
      // Node rounds to whole milliseconds and may be early by less than one; very long delays are
      // taken in pieces. Either way `fire` must not see a clock that has not got there.
      const leftMs = due - performance.now();
      if (leftMs <= 0) fire();
      else arm(leftMs);
    };
    const arm = (leftMs: number): void => {
      handle = setTimeout(check, Math.min(Math.ceil(leftMs), delayMsMax));
      handle.unref();
    };
    arm(delayMs);
    return {
      cancel() {
        clearTimeout(handle);
      },
    };
  },

  afterTurn(fire: () => void): void {
    setImmediate(fire);
  },
};
