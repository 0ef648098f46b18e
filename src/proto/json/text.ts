/**
 * Strings of JSON: their escapes, UTF-8, and base64 in them. Long ones give way to the event loop.
 */

import { isUtf8 } from 'node:buffer';
import type { Slice, Steps } from '../../common/index.js';
import { JsonError } from './syntax.js';

/** Bytes of a string that are worked on without giving way: a fraction of a millisecond. */
const pieceBytes = 64 * 1024;

const quote = 0x22;
const backslash = 0x5c;

/** Where a string is in the text: without its quotes. */
export interface JsonText {
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
  readonly hasEscapes: boolean;
}

/** The string whose opening quote is at `at`; its end is known to be there. */
export function* textAt(source: Buffer, at: number, slice: Slice): Steps<JsonText> {
  let hasEscapes = false;
  let end = at + 1;
  let pieceEnd = end + pieceBytes;
  for (;;) {
    const byte = source[end];
    if (byte === quote) return { source, start: at + 1, end, hasEscapes };
    if (byte === backslash) {
      hasEscapes = true;
      end += 1;
    }
    end += 1;
    if (end < pieceEnd) continue;
    pieceEnd = end + pieceBytes;
    if (slice.isOver()) yield slice.rest();
  }
}

/** Throws a JsonError (without a place) if it is no UTF-8, or escapes half a character. */
export function* checkedText(text: JsonText, slice: Slice): Steps<Buffer> {
  const { source, start, end, hasEscapes } = text;
  const raw = source.subarray(start, end);
  if (!isUtf8(raw)) throw new JsonError('invalid UTF-8 in string');
  if (!hasEscapes) return raw;
  const out = Buffer.allocUnsafe(raw.length);
  let length = 0;
  let pieceEnd = pieceBytes;
  for (let from = 0; from < raw.length; ) {
    const byte = raw[from] as number;
    const meant = byte === backslash ? simpleEscapes[raw[from + 1] as number] : byte;
    if (byte !== backslash) from += 1;
    else if (meant !== 0) from += 2;
    if (meant === 0 || meant === undefined) {
      const found = readUnicodeEscape(source, start + from);
      length += writeCharacter(out, length, found.code);
      from = found.end - start;
    } else out[length++] = meant;
    if (from < pieceEnd) continue;
    pieceEnd = from + pieceBytes;
    if (slice.isOver()) yield slice.rest();
  }
  return out.subarray(0, length);
}

/** What the byte behind a backslash means; 0: it is `u`. */
const simpleEscapes = new Uint8Array(256);
for (const [name, meant] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  simpleEscapes[(name as string).charCodeAt(0)] = (meant as string).charCodeAt(0);
}

interface Character {
  readonly code: number;
  /** Where the escape ends. */
  readonly end: number;
}

/** The character that the escape at `at` of the text stands for. */
function readUnicodeEscape(source: Buffer, at: number): Character {
  const unit = hexAt(source, at + 2);
  if (unit < 0xd800 || unit > 0xdfff) return { code: unit, end: at + 6 };
  // Half of a character: the other half has to follow.
  const next = source.toString('latin1', at + 6, at + 12);
  if (next.length < 6) throw new JsonError('unexpected EOF');
  const low = /^\\u[0-9a-fA-F]{4}$/.test(next) ? hexAt(source, at + 8) : 0;
  if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
    throw new JsonError(`invalid escape code ${JSON.stringify(next)} in string`);
  }
  return { code: 0x10000 + (unit - 0xd800) * 0x400 + (low - 0xdc00), end: at + 12 };
}

/** Four hexadecimal digits. */
function hexAt(source: Buffer, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) {
    const byte = source[i] as number;
    value = value * 16 + (byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x57);
  }
  return value;
}

/** Writes UTF-8; the number of bytes. */
function writeCharacter(out: Buffer, at: number, code: number): number {
  if (code < 0x80) {
    out[at] = code;
    return 1;
  }
  if (code < 0x800) {
    out[at] = 0xc0 | (code >> 6);
    out[at + 1] = 0x80 | (code & 0x3f);
    return 2;
  }
  if (code < 0x10000) {
    out[at] = 0xe0 | (code >> 12);
    out[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    out[at + 2] = 0x80 | (code & 0x3f);
    return 3;
  }
  out[at] = 0xf0 | (code >> 18);
  out[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  out[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  out[at + 3] = 0x80 | (code & 0x3f);
  return 4;
}

/**
 * Characters that become bytes in one go; a multiple of four, so that only the last piece can have
 * padding.
 */
const base64Piece = 256 * 1024;

/**
 * What `coded` stands for, written to `out` at `at`; the number of bytes, or -1 if it is no base64:
 * standard or URL-safe but not both, with padding or without.
 */
export function* decodeBase64(coded: Buffer, out: Buffer, at: number, slice: Slice): Steps<number> {
  // As Go: line ends may be anywhere in it, but count when it is decided whether padding is due.
  const isPadded = coded.length % 4 === 0;
  const clean = coded.includes(0x0a) || coded.includes(0x0d) ? withoutLineEnds(coded) : coded;
  const padding = isPadded ? paddingOf(clean) : 0;
  const chars = clean.length - padding;
  if (isPadded ? clean.length % 4 !== 0 : chars % 4 === 1) return -1;
  if (chars > 0 && mixesAlphabets(clean)) return -1;
  let written = 0;
  for (let from = 0; from < chars; from += base64Piece) {
    const end = Math.min(chars, from + base64Piece);
    const bytes = Math.floor(((end - from) * 3) / 4);
    // Buffer skips what is no base64; then there are fewer bytes.
    const piece = Buffer.from(clean.toString('latin1', from, end), 'base64');
    if (piece.length !== bytes) return -1;
    written += piece.copy(out, at + written);
    if (end === chars) break;
    if (slice.isOver()) yield slice.rest();
  }
  return written;
}

function withoutLineEnds(coded: Buffer): Buffer {
  return Buffer.from(coded.toString('latin1').replace(/[\r\n]/g, ''), 'latin1');
}

function paddingOf(coded: Buffer): number {
  const last = coded.length - 1;
  if (coded[last] !== 0x3d) return 0;
  return coded[last - 1] === 0x3d ? 2 : 1;
}

function mixesAlphabets(coded: Buffer): boolean {
  if (!coded.includes(0x2d) && !coded.includes(0x5f)) return false;
  return coded.includes(0x2b) || coded.includes(0x2f);
}
