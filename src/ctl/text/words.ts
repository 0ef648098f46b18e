/**
 * Words of a line, as etcdctl splits those of `txn`: by space, with texts in quotes. Keys and
 * values are bytes: what stands in double quotes may have any, by Go's escapes. So lines and words
 * are strings of which each character is a byte (KeyString).
 */

import type { KeyString } from '../../common/index.js';

/** A quoted text that is none; the message is Go's. */
export class QuoteError extends Error {}

const wordPattern = /"(?:[^"\\]|\\.)*"|'[^']*'|[^'"\t\n\f\r ][^\t\n\f\r ]*/g;

/** The words of `line`. Throws QuoteError. */
export function wordsOf(line: KeyString): KeyString[] {
  return [...line.matchAll(wordPattern)].map(([word]) => {
    if (word.startsWith("'")) return word.slice(1, -1);
    return word.startsWith('"') ? unquoted(word) : word;
  });
}

const simple: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};

const escapeSequence =
  /\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([^xuU0-7]))/y;

/** A text in double quotes, by the escapes of Go. Throws QuoteError. */
export function unquoted(quoted: KeyString): KeyString {
  const inner = quoted.slice(1, -1);
  let text = '';
  for (let at = 0; at < inner.length; ) {
    const character = inner.charAt(at);
    if (character === '\n') throw new QuoteError('invalid syntax');
    if (character !== '\\') {
      text += character;
      at += 1;
      continue;
    }
    escapeSequence.lastIndex = at;
    const match = escapeSequence.exec(inner);
    if (match === null) throw new QuoteError('invalid syntax');
    text += meaning(match);
    at += match[0].length;
  }
  return text;
}

function meaning([, hex, octal, short, long, letter]: RegExpExecArray): KeyString {
  if (letter !== undefined) {
    const known = Object.hasOwn(simple, letter) ? simple[letter] : undefined;
    if (known === undefined) throw new QuoteError('invalid syntax');
    return known;
  }
  if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
  if (octal !== undefined) {
    const byte = Number.parseInt(octal, 8);
    if (byte > 0xff) throw new QuoteError('invalid syntax');
    return String.fromCharCode(byte);
  }
  const code = Number.parseInt(short ?? long ?? '', 16);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw new QuoteError('invalid syntax');
  return Buffer.from(String.fromCodePoint(code)).toString('latin1');
}
