/** Numbers as arguments, read as Go's strconv does. */

import { goQuoted } from './parse.js';

const digits: Readonly<Record<number, RegExp>> = {
  10: /^[+-]?[0-9]+$/,
  16: /^[+-]?[0-9a-fA-F]+$/,
};

/** A signed number of 64 bits. Throws an Error with Go's words. */
export function parseGoInt(text: string, base: 10 | 16): bigint {
  const wrong = (reason: string): Error => {
    return new Error(`strconv.ParseInt: parsing ${goQuoted(text)}: ${reason}`);
  };
  if (digits[base]?.test(text) !== true) throw wrong('invalid syntax');
  const plain = text.replace(/^[+-]/, '');
  const magnitude = BigInt(base === 16 ? `0x${plain}` : plain);
  const value = text.startsWith('-') ? -magnitude : magnitude;
  if (BigInt.asIntN(64, value) !== value) throw wrong('value out of range');
  return value;
}

/** As messages count: exact where any store gets to, the largest beyond. */
export function countOf(value: bigint): number {
  const max = BigInt(Number.MAX_SAFE_INTEGER);
  if (value > max) return Number.MAX_SAFE_INTEGER;
  return value < -max ? -Number.MAX_SAFE_INTEGER : Number(value);
}
