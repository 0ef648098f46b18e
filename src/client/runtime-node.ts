/**
 * The real clock and randomness of the client: the one file of src/client that touches timers, the
 * system time and the random generator.
 *
 * Timers keep the process alive, for somebody awaits what they belong to; those of the background
 * clock do not.
 */

import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '../common/index.js';
import type { Runtime } from './types.js';

/** The longest delay that setTimeout takes. */
const delayMsMax = 2 ** 31 - 1;

function makeClock(keepsAlive: boolean): Clock {
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now(),
    after(delayMs: number, fire: () => void): Timer {
      const due = performance.now() + delayMs;
      let handle: NodeJS.Timeout;
      const check = (): void => {
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
    afterTurn: (fire) => void setImmediate(fire),
  };
}

/** For what somebody waits for. */
export const nodeClock: Clock = makeClock(true);
/** For what nobody waits for, like syncing endpoints. */
export const backgroundClock: Clock = makeClock(false);

/** Runtime of this process. */
export const nodeRuntime: Runtime = {
  clock: nodeClock,
  random: {
    u32: () => randomBytes(4).readUInt32BE(),
    u64: () => randomBytes(8).readBigUInt64BE(),
    float: () => Math.random(),
  },
};

/** A point in time as grpc-js wants its deadlines. */
export function systemTimeAfter(delayMs: number): number {
  return Date.now() + delayMs;
}
