/**
 * Keys and ranges: what users write to what is sent, and back. Inside, a key is a latin1 string,
 * one character a byte (see common/bytes.ts); users see UTF-8 text.
 */

import { type KeyString, keyFromBytes, keyToBytes } from '../../common/index.js';
import { invalidOption } from '../errors.js';
import { described } from '../strict/index.js';
import { checkRange } from './option-shapes.js';
import type { Key, KeyRange } from './types.js';

/** Beyond the last key: `rangeEnd` of a range without end. */
export const noEnd: KeyString = '\0';

// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is meant
const ascii = /^[\x00-\x7f]*$/;

/** A key as it is sent. */
export function keyString(key: Key): KeyString {
  if (typeof key !== 'string') {
    if (key instanceof Uint8Array) return keyFromBytes(key);
    throw invalidOption(`a key is text or bytes, not ${described(key)}`);
  }
  // ASCII is the same in both; most keys are.
  return ascii.test(key) ? key : Buffer.from(key, 'utf8').toString('latin1');
}

/** A key as users see it. */
export function keyText(key: KeyString): string {
  return ascii.test(key) ? key : keyToBytes(key).toString('utf8');
}

/** The end of the range of all keys with this prefix. */
export function prefixEnd(prefix: KeyString): KeyString {
  for (let i = prefix.length - 1; i >= 0; i -= 1) {
    const byte = prefix.charCodeAt(i);
    if (byte < 0xff) return prefix.slice(0, i) + String.fromCharCode(byte + 1);
  }
  return noEnd;
}

/** `[key, rangeEnd)` as in the protocol: '' for one key, `noEnd` for no end. */
export interface Span {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
}

/** A range that ends where it begins. */
const nothing: Span = { key: '\0\0', rangeEnd: '\0\0' };

/** The range below `prefix` (the namespace) that is sent. Throws INVALID_OPTION. */
export function spanOf(prefix: KeyString, range: KeyRange): Span {
  checkRange(range);
  if (range.key !== undefined)
    return { key: nonEmpty(prefix + keyString(range.key)), rangeEnd: '' };
  if (range.prefix !== undefined) return prefixSpan(prefix + keyString(range.prefix));
  if (range.from !== undefined) {
    const key = prefix + keyString(range.from);
    if (range.to === undefined)
      return { key: key === '' ? '\0' : key, rangeEnd: prefixEnd(prefix) };
    const rangeEnd = prefix + keyString(range.to);
    // On the wire these would mean one key, and no end at all; what is meant has no keys.
    if (rangeEnd === '' || rangeEnd === noEnd) return nothing;
    return { key: key === '' ? '\0' : key, rangeEnd };
  }
  if (range.all === true) return prefixSpan(prefix);
  throw invalidOption('a range needs one of key, prefix, from, or all');
}

/** The other way: what `spanOf` makes the same span of. Text where that is exact, else bytes. */
export function rangeOf({ key, rangeEnd }: Span): KeyRange {
  if (rangeEnd === '') return { key: keyOf(key) };
  if (rangeEnd === noEnd) {
    return key === noEnd || key === '' ? { all: true } : { from: keyOf(key) };
  }
  if (rangeEnd === prefixEnd(key)) return { prefix: keyOf(key) };
  return { from: keyOf(key), to: keyOf(rangeEnd) };
}

function keyOf(key: KeyString): Key {
  const text = keyText(key);
  return keyString(text) === key ? text : keyToBytes(key);
}

/** A single key below `prefix` that is sent. Throws INVALID_OPTION for an empty one. */
export function fullKey(prefix: KeyString, key: Key): KeyString {
  return nonEmpty(prefix + keyString(key));
}

function prefixSpan(prefix: KeyString): Span {
  return prefix === ''
    ? { key: '\0', rangeEnd: noEnd }
    : { key: prefix, rangeEnd: prefixEnd(prefix) };
}

function nonEmpty(key: KeyString): KeyString {
  if (key === '') throw invalidOption('a key must not be empty');
  return key;
}
