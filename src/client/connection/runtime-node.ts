/**
 * The real clock and randomness of the client: the one file of src/client that touches the
 * system time and the random generator.
 *
 * Timers keep the process alive, for somebody awaits what they belong to; those of the background
 * clock do not.
 */

import { randomBytes } from 'node:crypto';
import type { Clock } from '../../common/index.js';
import { makeNodeClock } from '../../common/node/index.js';
import type { Runtime } from './types.js';

/** For what somebody waits for. */
export const nodeClock: Clock = makeNodeClock({ keepsAlive: true });
/** For what nobody waits for, like syncing endpoints. */
export const backgroundClock: Clock = makeNodeClock({ keepsAlive: false });

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
