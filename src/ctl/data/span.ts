/** Prefixes as ranges of the protocol. Keys are bytes; here they are one character each. */

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
  if (prefix === '') return { key: '\0', rangeEnd: '\0' };
  const last = prefix.replace(/\u00ff+$/, '');
  if (last === '') return { key: prefix, rangeEnd: '\0' };
  const next = String.fromCharCode(last.charCodeAt(last.length - 1) + 1);
  return { key: prefix, rangeEnd: `${last.slice(0, -1)}${next}` };
}
