/**
 * Strings of JSON: their escapes, UTF-8, and base64 in them. What a string means is written straight
 * into the message that is being built; long ones give way to the event loop.
 */

import { isUtf8 } from 'node:buffer';
import type { Slice, Steps } from '../../common/index.js';
import { JsonError } from './syntax.js';

/** Bytes of a string that are worked on without giving way: a fraction of a millisecond. */
const pieceBytes = 64 * 1024;

/** Where a string is in the text: without its quotes. */
export interface JsonText {
  readonly source: Buffer;
  readonly start: number;
  readonly end: number;
  readonly hasEscapes: boolean;
}

/** The string whose opening quote is at `at`; its end is known to be there. */
export function textAt(source: Buffer, at: number): JsonText {
  let hasEscapes = false;
  let end = at + 1;
  for (;;) {
    // Most strings are short; `indexOf` is faster, but has its price.
    const shortEnd = Math.min(end + 64, source.length);
    while (end < shortEnd && source[end] !== 0x22 && source[end] !== 0x5c) end++;
    if (source[end] !== 0x22 && source[end] !== 0x5c) end = nextSpecial(source, end);
    if (source[end] === 0x22) return { source, start: at + 1, end, hasEscapes };
    hasEscapes = true;
    end += 2;
  }
}

/** The next quote or backslash. */
function nextSpecial(source: Buffer, from: number): number {
  const quote = source.indexOf(0x22, from);
  const slash = source.subarray(from, quote).indexOf(0x5c);
  return slash < 0 ? quote : from + slash;
}

/** Throws a JsonError (without a place) if it is no UTF-8, or escapes half a character. */
export function* checkedText(text: JsonText, slice: Slice): Steps<Buffer> {
  const { source, start, end, hasEscapes } = text;
  const raw = source.subarray(start, end);
  if (!isUtf8(raw)) throw new JsonError('invalid UTF-8 in string');
  if (!hasEscapes) return raw;
  const out = Buffer.allocUnsafe(raw.length);
  let from = 0;
  let length = 0;
  let pieceEnd = pieceBytes;
  while (from < raw.length) {
    const slash = raw.indexOf(0x5c, from);
    const plainEnd = slash < 0 ? raw.length : slash;
    length += raw.copy(out, length, from, plainEnd);
    if (slash < 0) break;
    const found = readEscape(source, start + slash);
    length += out.write(found.char, length, 'utf8');
    from = found.end - start;
    if (from < pieceEnd) continue;
    pieceEnd = from + pieceBytes;
    slice.next();
    yield slice.rest();
  }
  return out.subarray(0, length);
}

const simpleEscapes: ReadonlyMap<number, string> = new Map([
  [0x22, '"'],
  [0x5c, '\\'],
  [0x2f, '/'],
  [0x62, '\b'],
  [0x66, '\f'],
  [0x6e, '\n'],
  [0x72, '\r'],
  [0x74, '\t'],
]);

/** The character that the escape at `at` of the text stands for. */
function readEscape(raw: Buffer, at: number): { readonly char: string; readonly end: number } {
  const simple = simpleEscapes.get(raw[at + 1] as number);
  if (simple !== undefined) return { char: simple, end: at + 2 };
  const unit = hexAt(raw, at);
  if (unit < 0xd800 || unit > 0xdfff) return { char: String.fromCharCode(unit), end: at + 6 };
  // Half of a character: the other half has to follow.
  const next = raw.toString('latin1', at + 6, at + 12);
  if (next.length < 5) throw new JsonError('unexpected EOF');
  const low = /^\\u[0-9a-fA-F]{4}$/.test(next) ? hexAt(raw, at + 6) : 0;
  if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff) {
    throw new JsonError(`invalid escape code ${JSON.stringify(next)} in string`);
  }
  return { char: String.fromCharCode(unit, low), end: at + 12 };
}

function hexAt(raw: Buffer, at: number): number {
  return Number.parseInt(raw.toString('latin1', at + 2, at + 6), 16);
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
    slice.next();
    yield slice.rest();
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
