/** Pauses between attempts. */

import type { Random } from './ports.js';

type Float = Pick<Random, 'float'>;

/** Between half of `delayMs` and all of it: those who failed together must not return together. */
export function jittered(delayMs: number, random: Float): number {
  return delayMs * (0.5 + random.float() / 2);
}

/** Doubles from `minMs` with each failure (the first pause is after none) up to `maxMs`, jittered. */
export function backoffMs(failures: number, minMs: number, maxMs: number, random: Float): number {
  return jittered(Math.min(maxMs, minMs * 2 ** failures), random);
}
