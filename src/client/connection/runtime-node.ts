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

/** Whether this process says that it is not one of development. */
export const isProduction = process.env.NODE_ENV === 'production';

/** Calls once when the process exits; what is returned takes that back. */
export function onExit(call: () => void): () => void {
  // One listener for all: Node warns of more than ten.
  if (exitCalls.size === 0) process.once('exit', callAll);
  exitCalls.add(call);
  return () => {
    exitCalls.delete(call);
    if (exitCalls.size === 0) process.off('exit', callAll);
  };
}

const exitCalls = new Set<() => void>();

let exiting = false;

function callAll(): void {
  exiting = true;
  for (const call of [...exitCalls]) call();
}

/** Tells the developer, on stderr unless the process does otherwise with its warnings. */
export function warn(code: string, message: string, detail: string): void {
  // Warnings are emitted in a later turn, and there is none.
  if (exiting) process.stderr.write(`[${code}] KvorumWarning: ${message}\n${detail}\n`);
  else process.emitWarning(message, { type: 'KvorumWarning', code, detail });
}

/** A point in time as grpc-js wants its deadlines. */
export function systemTimeAfter(delayMs: number): number {
  return Date.now() + delayMs;
}
