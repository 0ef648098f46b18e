/**
 * Integers of JSON as protobuf takes them: written in any way that comes to a whole number (`1e3`,
 * `1.0`), as numbers or in strings. By their digits, for a double can't tell 64-bit ones apart.
 */

/** Digits of the largest uint64. */
const digitsMax = 20;
/** The start of a number as Go's protojson reads it, which takes `1e` for 1. */
const number = /^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]*))?/;
/** What may not follow a number. */
const more = /^[-+._a-zA-Z0-9]/;

/** Kinds of integers that fields have. */
export type IntegerKind = 'int32' | 'int64' | 'uint32' | 'uint64';

const ranges: Readonly<Record<IntegerKind, readonly [min: bigint, max: bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
};

/** The integer that `text` begins with; undefined if there is none, or it is none of the kind. */
export function parseInteger(text: string, kind: IntegerKind): bigint | undefined {
  const digits = wholeDigits(text);
  if (digits === undefined) return undefined;
  const value = BigInt(digits);
  const [min, max] = ranges[kind];
  return value < min || value > max ? undefined : value;
}

/** Sign and digits, without point and exponent; undefined if it is no whole number. */
function wholeDigits(text: string): string | undefined {
  const match = number.exec(text);
  if (match === null || more.test(text.slice(match[0].length, match[0].length + 1))) {
    return undefined;
  }
  // An exponent that the text ends in has digits.
  if (match[0].length === text.length && /[eE][+-]?$/.test(text)) return undefined;
  const [, sign = '', whole = '', fraction = '', exponent] = match;
  const front = whole === '0' ? '' : whole;
  const back = fraction.replace(/0+$/, '');
  if (front === '' && back === '') return '0';
  const shift = exponentOf(exponent ?? '');
  if (shift === undefined) return undefined;
  const digits = shift >= 0 ? shiftUp(front, back, shift) : shiftDown(front, back, -shift);
  return digits === undefined ? undefined : `${sign}${digits}`;
}

function exponentOf(text: string): number | undefined {
  if (text === '') return 0;
  const value = Number(text);
  // `+` alone is none; more than 32 bits are none in Go.
  return /[0-9]/.test(text) && value >= -(2 ** 31) && value < 2 ** 31 ? value : undefined;
}

function shiftUp(front: string, back: string, by: number): string | undefined {
  if (back.length > by || front.length + by > digitsMax) return undefined;
  return front + back + '0'.repeat(by - back.length);
}

function shiftDown(front: string, back: string, by: number): string | undefined {
  const kept = front.length - by;
  if (back !== '' || kept < 0 || /[^0]/.test(front.slice(kept))) return undefined;
  return front.slice(0, kept) || '0';
}
