/**
 * The real Random: the system's generator, drawn in blocks because one call costs more than a
 * microsecond. One of the adapter files that may touch node:crypto for randomness.
 */

import { randomFillSync } from 'node:crypto';

import type { Random } from '../../common/index.js';

const poolWords = 1024;

/** A generator fit for ids and tokens as well as for timeouts. */
export function openNodeRandom(): Random {
  const pool = new Uint32Array(poolWords);
  let used = poolWords;

  function u32(): number {
    if (used === poolWords) {
      randomFillSync(pool);
      used = 0;
    }
    const word = pool[used] ?? 0;
    // Words that were handed out do not stay behind in memory.
    pool[used] = 0;
    used += 1;
    return word;
  }

  return {
    u32,
    u64() {
      return (BigInt(u32()) << 32n) | BigInt(u32());
    },
    float() {
      // 53 bits, all that a double holds below 1.
      return ((u32() >>> 5) * 2 ** 26 + (u32() >>> 6)) / 2 ** 53;
    },
  };
}
