/** Keys, values and random numbers of a load: the same for the same seed. */

import { randomFillSync } from 'node:crypto';

const prefix = '/bench/';
/** Keys at least this long begin with `prefix`; shorter ones are just digits. */
const prefixedKeyBytesMin = 16;
const valuePoolBytes = 1024 * 1024;
const valuePool = randomFillSync(Buffer.alloc(valuePoolBytes * 2));

/** Key number `i`, exactly `keyBytes` long, in numeric order. */
export function keyOf(i: number, keyBytes: number): string {
  const head = keyBytes >= prefixedKeyBytesMin ? prefix : '';
  return head + String(i).padStart(keyBytes - head.length, '0');
}

/** First key and end of the range of all keys that {@link keyOf} makes. */
export function allKeys(keyBytes: number): { readonly key: string; readonly rangeEnd: string } {
  if (keyBytes >= prefixedKeyBytesMin) return { key: prefix, rangeEnd: '/bench0' };
  return { key: '0', rangeEnd: ':' };
}

/** Small, fast and seeded (mulberry32); uniform integers below `n`. */
export function randomInts(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** Writes a value that compression gains nothing on and that differs from put to put. */
export function fillValue(into: Buffer, offset: number, bytes: number, random: number): void {
  const start = random % valuePoolBytes;
  valuePool.copy(into, offset, start, start + bytes);
}

/** A value of its own buffer. */
export function newValue(bytes: number, random: number): Buffer {
  const value = Buffer.allocUnsafe(bytes);
  fillValue(value, 0, bytes, random);
  return value;
}
