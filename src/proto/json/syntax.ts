/**
 * Finds the end of a JSON value in bytes that come in pieces, and says what is wrong with it in the
 * words of Go's encoding/json, which etcd's gateway reads with. The rules are those of RFC 8259;
 * strings may still hold bytes that are no UTF-8.
 *
 * Nothing recurses: what is open is a stack of bytes, and its depth has Go's bound.
 */

import { jsonDepthMax } from '../../common/index.js';

/** Thrown for text that is no JSON, or not what a message needs. */
export class JsonError extends Error {}

// What the next byte is part of.
const beginValue = 0;
const beginValueOrClose = 1;
const beginKeyOrClose = 2;
const beginKey = 3;
const endValue = 4;
const inString = 5;
const inEscape = 6;
const inHex = 7;
const inLiteral = 8;
/** The states of numbers from here on: those that may end come first. */
const inZero = 9;
const inDigits = 10;
const inFraction = 11;
const inExponent = 12;
const afterMinus = 13;
const afterPoint = 14;
const afterE = 15;
const afterSign = 16;

// What is open, and which part of it is at hand.
const openKey = 0;
const openValue = 1;
const openElement = 2;

const quote = 0x22;
const backslash = 0x5c;
const literals: Readonly<Record<string, string>> = { t: 'true', f: 'false', n: 'null' };

/** Looks at each byte once; `scan` may be called again with more of them. */
export class JsonScanner {
  #state = beginValue;
  #open: Uint8Array = new Uint8Array(16);
  #depth = 0;
  #hasBegun = false;
  #hexLeft = 0;
  #literal = '';
  #literalAt = 0;

  /** Something of a value was there. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** True if what was seen is a value when nothing follows: `12` needs that, `{}` does not. */
  get isWholeAtEnd(): boolean {
    const state = this.#state;
    const isEnd = state === endValue || (state >= inZero && state <= inExponent);
    return this.#depth === 0 && this.#hasBegun && isEnd;
  }

  /** Prepares for the next value. */
  reset(): void {
    this.#state = beginValue;
    this.#depth = 0;
    this.#hasBegun = false;
  }

  /**
   * Goes on at `from`. The index behind the value, or -1 if it goes on at `to`. Throws a JsonError,
   * after which it may not be asked again.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    for (let at = from; at < to; at++) {
      let byte = bytes[at] as number;
      if (this.#state === inString) {
        while (byte !== quote && byte !== backslash) {
          if (byte < 0x20) throw wrong(byte, 'in string literal');
          at += 1;
          if (at === to) return -1;
          byte = bytes[at] as number;
        }
        this.#state = byte === quote ? endValue : inEscape;
        continue;
      }
      // Objects and arrays are over with their last byte, others with the first behind them.
      if (!this.#takes(byte)) return at;
      if (this.#depth === 0 && (byte === 0x7d || byte === 0x5d)) return at + 1;
    }
    return -1;
  }

  /** False: the value ended before this byte. */
  #takes(byte: number): boolean {
    const state = this.#state;
    if (state >= inZero) return this.#takesInNumber(byte);
    if (state === endValue && this.#depth === 0) return false;
    if (state === inEscape || state === inHex) this.#escape(byte);
    else if (state === inLiteral) this.#literalByte(byte);
    else if (isSpace(byte)) return true;
    else if (state === endValue) this.#afterValue(byte);
    else if (state === beginKeyOrClose && byte === 0x7d) this.#close();
    else if (state === beginKeyOrClose || state === beginKey) this.#beginKey(byte);
    else if (state === beginValueOrClose && byte === 0x5d) this.#close();
    else this.#begin(byte);
    return true;
  }

  #begin(byte: number): void {
    this.#hasBegun = true;
    if (byte === 0x7b) {
      this.#push(byte, openKey);
      this.#state = beginKeyOrClose;
    } else if (byte === 0x5b) {
      this.#push(byte, openElement);
      this.#state = beginValueOrClose;
    } else if (byte === quote) this.#state = inString;
    else if (byte === 0x2d) this.#state = afterMinus;
    else if (byte === 0x30) this.#state = inZero;
    else if (isDigit(byte)) this.#state = inDigits;
    else {
      const literal = literals[String.fromCharCode(byte)];
      if (literal === undefined) throw wrong(byte, 'looking for beginning of value');
      this.#literal = literal;
      this.#literalAt = 1;
      this.#state = inLiteral;
    }
  }

  #beginKey(byte: number): void {
    if (byte !== quote) throw wrong(byte, 'looking for beginning of object key string');
    this.#state = inString;
  }

  #afterValue(byte: number): void {
    const top = this.#depth - 1;
    switch (this.#open[top]) {
      case openKey:
        if (byte !== 0x3a) throw wrong(byte, 'after object key');
        this.#open[top] = openValue;
        this.#state = beginValue;
        return;
      case openValue:
        if (byte === 0x2c) {
          this.#open[top] = openKey;
          this.#state = beginKey;
        } else if (byte === 0x7d) this.#close();
        else throw wrong(byte, 'after object key:value pair');
        return;
      default:
        if (byte === 0x2c) this.#state = beginValue;
        else if (byte === 0x5d) this.#close();
        else throw wrong(byte, 'after array element');
    }
  }

  #escape(byte: number): void {
    if (this.#state === inHex) {
      if (!isHex(byte)) throw wrong(byte, 'in \\u hexadecimal character escape');
      this.#hexLeft -= 1;
      if (this.#hexLeft === 0) this.#state = inString;
    } else if (byte === 0x75) {
      this.#hexLeft = 4;
      this.#state = inHex;
    } else if ('"\\/bfnrt'.includes(String.fromCharCode(byte))) this.#state = inString;
    else throw wrong(byte, 'in string escape code');
  }

  #literalByte(byte: number): void {
    const expected = this.#literal.charCodeAt(this.#literalAt);
    if (byte !== expected) {
      const literal = `${this.#literal} (expecting '${String.fromCharCode(expected)}')`;
      throw wrong(byte, `in literal ${literal}`);
    }
    this.#literalAt += 1;
    if (this.#literalAt === this.#literal.length) this.#state = endValue;
  }

  #takesInNumber(byte: number): boolean {
    const state = this.#state;
    const digit = isDigit(byte);
    if (state <= inExponent) return this.#takesAfterDigit(byte, digit);
    if (state === afterE && (byte === 0x2b || byte === 0x2d)) this.#state = afterSign;
    else if (!digit) throw wrong(byte, numberContexts[state - afterMinus] ?? '');
    else if (state === afterMinus) this.#state = byte === 0x30 ? inZero : inDigits;
    else this.#state = state === afterPoint ? inFraction : inExponent;
    return true;
  }

  /** The number may go on, or have ended. */
  #takesAfterDigit(byte: number, digit: boolean): boolean {
    const state = this.#state;
    if (digit && state !== inZero) return true;
    const isWhole = state === inZero || state === inDigits;
    if (byte === 0x2e && isWhole) this.#state = afterPoint;
    else if ((byte === 0x65 || byte === 0x45) && state !== inExponent) this.#state = afterE;
    else {
      this.#state = endValue;
      return this.#takes(byte);
    }
    return true;
  }

  #push(byte: number, what: number): void {
    if (this.#depth === jsonDepthMax) throw wrong(byte, 'exceeded max depth');
    if (this.#depth === this.#open.length) {
      const larger = new Uint8Array(2 * this.#depth);
      larger.set(this.#open);
      this.#open = larger;
    }
    this.#open[this.#depth] = what;
    this.#depth += 1;
  }

  #close(): void {
    this.#depth -= 1;
    this.#state = endValue;
  }
}

const numberContexts = [
  'in numeric literal',
  'after decimal point in numeric literal',
  'in exponent of numeric literal',
  'in exponent of numeric literal',
];

export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHex(byte: number): boolean {
  const letter = byte | 0x20;
  return isDigit(byte) || (letter >= 0x61 && letter <= 0x66);
}

function wrong(byte: number, context: string): JsonError {
  return new JsonError(`invalid character ${quoted(byte)} ${context}`);
}

/** As Go shows a byte: printable ones as they are, others as escapes. */
function quoted(byte: number): string {
  if (byte === 0x27) return "'\\''";
  if (byte === backslash) return "'\\\\'";
  const named = goEscapes.get(byte);
  if (named !== undefined) return `'${named}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, '0')}'`;
  // Bytes beyond ASCII are shown as the characters of Latin-1, of which some can't be seen.
  const isHidden = (byte >= 0x80 && byte <= 0xa0) || byte === 0xad;
  return isHidden ? `'\\u00${byte.toString(16)}'` : `'${String.fromCharCode(byte)}'`;
}

const goEscapes: ReadonlyMap<number, string> = new Map([
  [0x07, '\\a'],
  [0x08, '\\b'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0b, '\\v'],
  [0x0c, '\\f'],
  [0x0d, '\\r'],
]);
