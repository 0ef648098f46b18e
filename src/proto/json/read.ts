/**
 * JSON to protobuf, as Go's protojson reads it for etcd's gateway: both name styles, integers by
 * their digits, unknown names ignored, `null` for what is not there, no name twice. Errors are in
 * its words, with line and column.
 *
 * The text is known to be JSON (syntax.ts); messages in messages are a list of frames, so that
 * nothing recurses, and each token counts as one piece of the slice.
 */

import type { Slice, Steps } from '../../common/index.js';
import type { JsonField, JsonMessage } from './descriptors.js';
import { parseInteger } from './integer.js';
import { isSpace, JsonError } from './syntax.js';
import { checkedText, decodeBase64, type JsonText, textAt } from './text.js';
import { WireBuilder } from './wire-builder.js';

/** A message that is being read. */
interface Frame {
  readonly message: JsonMessage;
  /** Bits of fields that were there. */
  seen: number;
  readonly oneofs: string[];
  /** The list whose elements come next. */
  list: JsonField | undefined;
  /** Where a packed list began, before its tag. */
  listStart: number;
}

/** How much of a value an error shows. */
const echoBytesMax = 1024;

/** Bytes between places where counting lines gives way. */
const positionBytes = 128 * 1024;

/** What is wrong, and where: line and column are counted once it is told. */
class PlacedError extends Error {
  readonly at: number;
  readonly isSyntax: boolean;

  constructor(at: number, text: string, isSyntax = false) {
    super(text);
    this.at = at;
    this.isSyntax = isSyntax;
  }
}

/** Reads one message out of text. */
export class JsonReader {
  readonly #source: Buffer;
  readonly #slice: Slice;
  readonly #wire = new WireBuilder();
  readonly #frames: Frame[] = [];
  #at = 0;

  /** `source` is one JSON value, from its first byte. */
  constructor(source: Buffer, slice: Slice) {
    this.#source = source;
    this.#slice = slice;
  }

  /** The encoded message; borrows nothing. Throws a JsonError. */
  *read(message: JsonMessage): Steps<Buffer> {
    try {
      return yield* this.#message(message);
    } catch (error) {
      if (!(error instanceof PlacedError)) throw error;
      const place = yield* this.#position(error.at);
      throw new JsonError(
        `proto: ${error.isSyntax ? 'syntax error ' : ''}(${place}): ${error.message}`,
      );
    }
  }

  *#message(message: JsonMessage): Steps<Buffer> {
    this.#enter(message);
    const slice = this.#slice;
    for (;;) {
      if (!slice.next()) yield slice.rest();
      const frame = this.#frames[this.#frames.length - 1];
      if (frame === undefined) return yield* this.#wire.finish(slice);
      const byte = this.#next();
      if (frame.list !== undefined) yield* this.#element(frame, frame.list, byte);
      else if (byte === 0x7d) this.#leave();
      else yield* this.#field(frame);
    }
  }

  #enter(message: JsonMessage): void {
    if (this.#next() !== 0x7b) throw this.#unexpected();
    this.#at += 1;
    this.#frames.push({ message, seen: 0, oneofs: [], list: undefined, listStart: 0 });
  }

  #leave(): void {
    this.#at += 1;
    this.#frames.pop();
    if (this.#frames.length > 0) this.#wire.close();
  }

  /** One element of a list, or its end. */
  *#element(frame: Frame, field: JsonField, byte: number): Steps<void> {
    if (byte === 0x5d) {
      this.#at += 1;
      frame.list = undefined;
      if (!isPacked(field)) return;
      if (this.#wire.bytes > frame.listStart) this.#wire.close();
      else this.#wire.abandon();
    } else if (field.message !== undefined) this.#inner(field, field.message);
    else yield* this.#scalar(field, !isPacked(field), false);
  }

  *#field(frame: Frame): Steps<void> {
    const nameAt = this.#at;
    const text = yield* textAt(this.#source, nameAt, this.#slice);
    const name = (yield* this.#text(text)).toString('utf8');
    this.#at = text.end + 1;
    this.#next();
    const field = frame.message.byName.get(name);
    if (field === undefined) {
      yield* this.#skip();
      return;
    }
    const bit = 1 << field.index;
    if ((frame.seen & bit) !== 0) {
      throw new PlacedError(nameAt, `duplicate field ${this.#raw(nameAt)}`);
    }
    frame.seen |= bit;
    const byte = this.#next();
    if (byte === 0x6e) {
      this.#at += 4;
      return;
    }
    if (field.repeated) {
      this.#list(frame, field);
      return;
    }
    if (field.oneof !== '') {
      if (frame.oneofs.includes(field.oneof)) {
        const what = `oneof ${field.oneof} is already set`;
        throw new PlacedError(nameAt, `error parsing ${this.#raw(nameAt)}, ${what}`);
      }
      frame.oneofs.push(field.oneof);
    }
    if (field.message !== undefined) this.#inner(field, field.message);
    else yield* this.#scalar(field, true, field.oneof === '');
  }

  #list(frame: Frame, field: JsonField): void {
    if (this.#next() !== 0x5b) throw this.#unexpected();
    this.#at += 1;
    frame.list = field;
    if (!isPacked(field)) return;
    this.#wire.open(field.packedTag);
    frame.listStart = this.#wire.bytes;
  }

  #inner(field: JsonField, message: JsonMessage): void {
    if (this.#next() !== 0x7b) throw this.#unexpected();
    this.#wire.open(field.tag);
    this.#enter(message);
  }

  /** A value that is no message; what is zero is left out if it may be. */
  *#scalar(field: JsonField, withTag: boolean, zeroIsNothing: boolean): Steps<void> {
    const byte = this.#next();
    if (field.kind === 'string' || field.kind === 'bytes') {
      if (byte !== 0x22) throw this.#invalid(field);
      yield* this.#long(field, zeroIsNothing);
      return;
    }
    const at = this.#at;
    const value = yield* this.#integer(field, byte);
    if (value === undefined) throw this.#invalid(field, at);
    if (value === ignored || (zeroIsNothing && value === 0n)) return;
    if (withTag) this.#wire.varint(field.tag);
    this.#wire.integer(value);
  }

  /** Undefined: it is none. */
  *#integer(field: JsonField, byte: number): Steps<bigint | undefined | typeof ignored> {
    const isText = byte === 0x22;
    const raw = isText ? yield* this.#string() : this.#word();
    switch (field.kind) {
      case 'bool':
        return isText ? undefined : booleans[raw];
      case 'enum':
        if (!isText) return parseInteger(raw, 'int32');
        return enumNumber(field, raw);
      case 'string':
      case 'bytes':
      case 'message':
        return undefined;
      default:
        // As Go: digits in a string have nothing around them.
        return isText && raw !== raw.trim() ? undefined : parseInteger(raw, field.kind);
    }
  }

  *#long(field: JsonField, zeroIsNothing: boolean): Steps<void> {
    const at = this.#at;
    const text = yield* textAt(this.#source, at, this.#slice);
    const bytes = yield* this.#text(text);
    this.#at = text.end + 1;
    if (zeroIsNothing && bytes.length === 0) return;
    const wire = this.#wire;
    if (field.kind === 'string') {
      wire.varint(field.tag);
      wire.varint(bytes.length);
      wire.append(bytes);
      return;
    }
    const decoded = Buffer.allocUnsafe(Math.ceil((bytes.length * 3) / 4));
    const length = yield* decodeBase64(bytes, decoded, 0, this.#slice);
    if (length < 0) throw this.#invalid(field, at);
    wire.varint(field.tag);
    wire.varint(length);
    wire.append(decoded.subarray(0, length));
  }

  /** Passes over a value that nobody asked for; its strings have to be right nevertheless. */
  *#skip(): Steps<void> {
    let depth = 0;
    do {
      if (!this.#slice.next()) yield this.#slice.rest();
      const byte = this.#next();
      if (byte === 0x22) yield* this.#string();
      else if (byte === 0x7b || byte === 0x5b) {
        depth += 1;
        this.#at += 1;
      } else if (byte === 0x7d || byte === 0x5d) {
        depth -= 1;
        this.#at += 1;
      } else this.#word();
    } while (depth > 0);
  }

  /** The string here, passed. */
  *#string(): Steps<string> {
    const text = yield* textAt(this.#source, this.#at, this.#slice);
    const bytes = yield* this.#text(text);
    this.#at = text.end + 1;
    return bytes.toString('utf8');
  }

  *#text(text: JsonText): Steps<Buffer> {
    try {
      return yield* checkedText(text, this.#slice);
    } catch (error) {
      if (!(error instanceof JsonError) || error.message === 'unexpected EOF')
        throw prefixed(error);
      throw new PlacedError(text.start - 1, error.message, true);
    }
  }

  /** A number, `true`, `false`, `null`, passed; '' for what is none. */
  #word(): string {
    const from = this.#at;
    while (isWordByte(this.#source[this.#at])) this.#at += 1;
    return this.#source.toString('latin1', from, this.#at);
  }

  /** The first byte of the next token. */
  #next(): number {
    for (;;) {
      const byte = this.#source[this.#at] as number;
      if (!isSpace(byte) && byte !== 0x2c && byte !== 0x3a) return byte;
      this.#at += 1;
    }
  }

  // --------------------------------------------------------------------------------- errors

  #unexpected(): PlacedError {
    return new PlacedError(this.#at, `unexpected token ${this.#raw(this.#at)}`, true);
  }

  #invalid(field: JsonField, at = this.#at): PlacedError {
    const what = `invalid value for ${field.kind} field ${field.jsonName}`;
    return new PlacedError(at, `${what}: ${this.#raw(at)}`);
  }

  /** Line and column, in characters. */
  *#position(at: number): Steps<string> {
    const source = this.#source;
    let line = 1;
    let column = 1;
    for (let i = 0; i < at; ) {
      for (const end = Math.min(at, i + positionBytes); i < end; i++) {
        const byte = source[i] as number;
        if (byte === 0x0a) {
          line += 1;
          column = 1;
        } else if ((byte & 0xc0) !== 0x80) column += 1;
      }
      if (this.#slice.isOver()) yield this.#slice.rest();
    }
    return `line ${line}:${column}`;
  }

  /** The token there, as it was written; a long one in part. */
  #raw(at: number): string {
    const byte = this.#source[at] as number;
    if (!isWordByte(byte) && byte !== 0x22) return String.fromCharCode(byte);
    const isText = byte === 0x22;
    let end = at + 1;
    while (
      end - at <= echoBytesMax &&
      (isText ? this.#source[end] !== 0x22 : isWordByte(this.#source[end]))
    ) {
      end += isText && this.#source[end] === 0x5c ? 2 : 1;
    }
    if (isText) end += 1;
    if (end - at <= echoBytesMax) return this.#source.toString('utf8', at, end);
    return `${this.#source.toString('utf8', at, at + echoBytesMax)}...`;
  }
}

/** The name of no value of the enum: such fields are as if they were not there. */
const ignored = Symbol('ignored');

const booleans: Readonly<Record<string, bigint | undefined>> = { true: 1n, false: 0n };

function enumNumber(field: JsonField, name: string): bigint | typeof ignored {
  const number = Object.hasOwn(field.numbers, name) ? field.numbers[name] : undefined;
  return number === undefined ? ignored : BigInt(number);
}

function isPacked({ repeated, kind }: JsonField): boolean {
  return repeated && kind !== 'message' && kind !== 'string' && kind !== 'bytes';
}

function isWordByte(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  const letter = byte | 0x20;
  const isAlphanumeric = (byte >= 0x30 && byte <= 0x39) || (letter >= 0x61 && letter <= 0x7a);
  return isAlphanumeric || byte === 0x2d || byte === 0x2b || byte === 0x2e;
}

function prefixed(error: unknown): unknown {
  return error instanceof JsonError ? new JsonError(`proto: ${error.message}`) : error;
}
