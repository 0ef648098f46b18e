/** Prefixes as ranges of the protocol. Keys are bytes; here they are one character each. */

import { prefixEnd } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';

/** `[key, rangeEnd)`; see the protocol. */
export interface Span {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
}

/** The key that was typed. */
export function keyOf(text: string): KeyString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** All keys with this prefix; with '' all keys. */
export function spanOfPrefix(prefix: KeyString): Span {
  return { key: prefix === '' ? '\0' : prefix, rangeEnd: prefixEnd(prefix) };
}
