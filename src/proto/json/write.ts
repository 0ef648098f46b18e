/**
 * Protobuf to JSON, as Go's protojson writes it for etcd's gateway: fields in the order of the
 * .proto file, under the names there, those with their zero value left out, 64-bit integers as
 * strings, bytes as base64, enums by name.
 *
 * The text comes in pieces of some 64 KiB, each when it is asked for, so that a long answer is
 * never there twice. Messages in messages are a list of frames: nothing recurses.
 */

import { ProtoError } from '../hot/index.js';
import type { JsonField, JsonMessage } from './descriptors.js';

/** A piece of text ends once it is at least so long. */
const pieceChars = 64 * 1024;
/** Bytes that become base64 in one go; a multiple of three, so that only the last has padding. */
const base64Piece = 96 * 1024;
/** Fields that are looked at between places where `pieces` lets its caller give way. */
const looksMax = 1_000;

/** A message that is being written. */
interface Frame {
  readonly message: JsonMessage;
  readonly end: number;
  /** Where each field occurs first and last, by its place; -1: nowhere. */
  readonly first: number[];
  readonly last: number[];
  /** While the occurrences are looked up: where that goes on; -1: done. */
  looking: number;
  /** The field that is written next. */
  index: number;
  /** Within a list: where its next element may be; -1: it has not begun. */
  at: number;
  isEmpty: boolean;
}

export interface JsonWriterOptions {
  /** As Go's encoding/json does with what it puts around messages: `<`, `>`, `&` as escapes. */
  readonly escapeHtml?: boolean;
}

/**
 * The text of `bytes`, which must be a valid message; a piece may be empty: it is only there so
 * that whoever asks can give way. Throws ProtoError for what is no message.
 */
export function* writeJson(
  bytes: Buffer,
  message: JsonMessage,
  options: JsonWriterOptions = {},
): Generator<string, void, void> {
  const writer = new JsonWriter(bytes, options.escapeHtml === true);
  yield* writer.pieces(message);
}

class JsonWriter {
  readonly #bytes: Buffer;
  readonly #escapeHtml: boolean;
  readonly #frames: Frame[] = [];
  #wireType = 0;
  #text = '';
  #looks = 0;
  /** Position of the reader, and what it has read last. */
  #at = 0;
  #start = 0;
  /** Bytes that are being written as base64: where that goes on, and ends; -1: there are none. */
  #bytesAt = -1;
  #bytesEnd = 0;

  constructor(bytes: Buffer, escapeHtml: boolean) {
    this.#bytes = bytes;
    this.#escapeHtml = escapeHtml;
  }

  *pieces(message: JsonMessage): Generator<string, void, void> {
    this.#enter(message, 0, this.#bytes.length);
    for (let frame = this.#top(); frame !== undefined; frame = this.#top()) {
      if (this.#bytesAt >= 0) this.#base64();
      else if (frame.looking >= 0) this.#look(frame);
      else if (frame.index === frame.message.fields.length) this.#leave();
      else this.#field(frame, frame.message.fields[frame.index] as JsonField);
      if (this.#text.length < pieceChars && this.#looks < looksMax) continue;
      this.#looks = 0;
      yield this.#taken();
    }
    yield this.#taken();
  }

  #taken(): string {
    const text = this.#text;
    this.#text = '';
    return text;
  }

  #top(): Frame | undefined {
    return this.#frames[this.#frames.length - 1];
  }

  #enter(message: JsonMessage, start: number, end: number): void {
    const places = message.fields.length;
    this.#frames.push({
      message,
      end,
      first: new Array<number>(places).fill(-1),
      last: new Array<number>(places).fill(-1),
      looking: start,
      index: 0,
      at: -1,
      isEmpty: true,
    });
    this.#text += '{';
  }

  #leave(): void {
    this.#frames.pop();
    this.#text += '}';
  }

  /** Looks up where fields are, for a while. */
  #look(frame: Frame): void {
    this.#at = frame.looking;
    while (this.#at < frame.end) {
      if (this.#looks >= looksMax) {
        frame.looking = this.#at;
        return;
      }
      this.#looks += 1;
      const at = this.#at;
      const field = this.#tag(frame);
      this.#pass(frame.end);
      if (field === undefined) continue;
      if (frame.first[field.index] === -1) frame.first[field.index] = at;
      frame.last[field.index] = at;
    }
    frame.looking = -1;
  }

  /** Writes a field, or the next element of one that is a list. */
  #field(frame: Frame, field: JsonField): void {
    this.#looks += 1;
    const last = frame.last[field.index] as number;
    if (last < 0) {
      frame.index += 1;
      return;
    }
    if (field.repeated) {
      this.#element(frame, field, last);
      return;
    }
    frame.index += 1;
    this.#at = last;
    this.#tag(frame);
    this.#pass(frame.end);
    if (field.message !== undefined) {
      this.#name(frame, field);
      this.#enter(field.message, this.#start, this.#at);
    } else if (field.oneof !== '' || !this.#isZero(field)) {
      this.#name(frame, field);
      this.#scalar(field, this.#at);
    }
  }

  #element(frame: Frame, field: JsonField, last: number): void {
    const isFirst = frame.at < 0;
    if (isFirst) {
      this.#name(frame, field);
      this.#text += '[';
      frame.at = frame.first[field.index] as number;
    }
    if (frame.at > last) {
      this.#text += ']';
      frame.index += 1;
      frame.at = -1;
      return;
    }
    this.#at = frame.at;
    const found = this.#tag(frame);
    this.#pass(frame.end);
    frame.at = this.#at;
    if (found !== field) return;
    if (!isFirst) this.#text += ',';
    if (field.message !== undefined) this.#enter(field.message, this.#start, this.#at);
    else this.#scalar(field, this.#at);
  }

  #name(frame: Frame, field: JsonField): void {
    this.#text += `${frame.isEmpty ? '' : ','}"${field.name}":`;
    frame.isEmpty = false;
  }

  /** The value that was just passed: from `#start` to `end`. */
  #scalar(field: JsonField, end: number): void {
    switch (field.kind) {
      case 'bytes':
        this.#text += '"';
        this.#bytesAt = this.#start;
        this.#bytesEnd = end;
        this.#base64();
        return;
      case 'string':
        this.#text += this.#string(this.#bytes.toString('utf8', this.#start, end));
        return;
      case 'bool':
        this.#text += this.#integer() === 0n ? 'false' : 'true';
        return;
      case 'enum': {
        const number = Number(BigInt.asIntN(32, this.#integer()));
        const name = field.names.get(number);
        this.#text += name === undefined ? number : `"${name}"`;
        return;
      }
      case 'int32':
        this.#text += BigInt.asIntN(32, this.#integer());
        return;
      case 'uint32':
        this.#text += BigInt.asUintN(32, this.#integer());
        return;
      case 'int64':
        this.#text += `"${BigInt.asIntN(64, this.#integer())}"`;
        return;
      default:
        this.#text += `"${this.#integer()}"`;
    }
  }

  /** Some more of the bytes that are being written. */
  #base64(): void {
    const end = Math.min(this.#bytesEnd, this.#bytesAt + base64Piece);
    this.#text += this.#bytes.toString('base64', this.#bytesAt, end);
    this.#bytesAt = end;
    if (end < this.#bytesEnd) return;
    this.#bytesAt = -1;
    this.#text += '"';
  }

  #string(value: string): string {
    const text = JSON.stringify(value);
    if (!this.#escapeHtml) return text;
    return text.replace(/[<>&\u2028\u2029]/g, (char) => {
      return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
  }

  #isZero(field: JsonField): boolean {
    if (field.kind === 'bytes' || field.kind === 'string') return this.#start === this.#at;
    return this.#integer() === 0n;
  }

  // ------------------------------------------------------------------------------ wire format

  /** Reads a tag; the field, if it is one of the message and has the wire type of its kind. */
  #tag(frame: Frame): JsonField | undefined {
    const tag = this.#varint();
    const field = frame.message.byNumber.get(Math.floor(tag / 8));
    this.#wireType = tag % 8;
    return field !== undefined && field.tag === tag ? field : undefined;
  }

  /** Passes the value behind a tag: then it is from `#start` to `#at`. */
  #pass(end: number): void {
    this.#start = this.#at;
    if (this.#wireType === 0) this.#varint();
    else if (this.#wireType === 2) {
      const length = this.#varint();
      this.#start = this.#at;
      this.#at += length;
    } else if (this.#wireType === 1) this.#at += 8;
    else if (this.#wireType === 5) this.#at += 4;
    else throw new ProtoError(`illegal wire type ${this.#wireType}`);
    if (this.#at > end) throw new ProtoError('unexpected EOF');
  }

  /** Tags and lengths; exact up to 2^53. */
  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new ProtoError('unexpected EOF');
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 0x80;
    }
    throw new ProtoError('variable length integer overflow');
  }

  /** All 64 bits of the varint at `#start`. */
  #integer(): bigint {
    let value = 0n;
    let shift = 0n;
    for (let at = this.#start; ; at++) {
      const byte = this.#bytes[at] as number;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
      shift += 7n;
    }
  }
}
