/** The real clock: everything else gets a `Clock` injected instead of touching timers and time. */

import type { Clock, Timer } from '../ports.js';

/** The longest delay that setTimeout takes; it would fire at once above that. */
const delayMsMax = 2 ** 31 - 1;

export interface NodeClockOptions {
  /** True: a timer that is due in an hour keeps the process alive for that hour. */
  readonly keepsAlive: boolean;
}

/** Time of this process: `performance.now` for durations, `Date.now` for people. */
export function makeNodeClock({ keepsAlive }: NodeClockOptions): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),

    after(delayMs: number, fire: () => void): Timer {
      const due = performance.now() + delayMs;
      let handle: NodeJS.Timeout;
      const check = (): void => {
        // Node rounds to whole milliseconds and may be early by less than one; very long delays
        // are taken in pieces. Either way `fire` must not see a clock that has not got there.
        const leftMs = due - performance.now();
        if (leftMs <= 0) fire();
        else arm(leftMs);
      };
      const arm = (leftMs: number): void => {
        handle = setTimeout(check, Math.min(Math.ceil(leftMs), delayMsMax));
        if (!keepsAlive) handle.unref();
      };
      arm(Math.max(0, delayMs));
      return { cancel: () => clearTimeout(handle) };
    },

    afterTurn(fire: () => void): void {
      setImmediate(fire);
    },
  };
}
