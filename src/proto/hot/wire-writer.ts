/**
 * Writes protobuf's wire format from the last byte to the first.
 *
 * Backwards, because a submessage's length stands before it: written this way it is known when its
 * turn comes, so that no size is computed twice and nothing is moved. Fields are therefore written
 * in descending order and repeated ones from the last to the first; the result has them ascending.
 *
 * Small pieces are copied into chunks, pieces of `referenceBytesMin` and more are passed on by
 * reference, so a range of big values costs no copy. One writer serves the whole process, for
 * encoding is synchronous.
 */

import { assert, type KeyString } from '../../common/index.js';

/**
 * Below this a copy costs less than one more piece. Above it the copy needs memory of its own, and
 * to collect that is dearer than the piece; the transport copies once more into buffers that it
 * reuses (docs/adr/0016-collections.md).
 */
export const referenceBytesMin = 1024;

/** The shared scratch covers nearly every message; what outgrows it gets chunks of its own. */
const scratchBytes = 32 * 1024;
const chunkBytes = 64 * 1024;
const scratch = Buffer.allocUnsafeSlow(scratchBytes);
/** The longest thing written in one go beside bytes: two varints. */
const varintRoomBytes = 20;
/** Below this a loop beats the call into the engine's memory copy. */
const copyLoopBytes = 16;

/** Bytes that `n` (an integer of up to 53 bits) takes as a varint; negative ones take ten. */
export function varintBytes(n: number): number {
  if (n < 0) return 10;
  let bytes = 1;
  while (n >= 0x80) {
    // Not a shift: n may have more than 32 bits.
    n = n > 0x7fff_ffff ? Math.floor(n / 0x80) : n >>> 7;
    bytes += 1;
  }
  return bytes;
}

/** Writes `n` (an integer of up to 53 bits) forwards at `pos`; returns the position behind it. */
export function putVarint(into: Uint8Array, n: number, pos: number): number {
  if (n >= 0 && n < 0x80) {
    into[pos] = n;
    return pos + 1;
  }
  return putVarint64(into, n | 0, Math.floor(n / 0x1_0000_0000) | 0, pos);
}

/** As {@link putVarint}, for the two halves of a 64-bit number. */
export function putVarint64(into: Uint8Array, low: number, high: number, pos: number): number {
  while (high !== 0) {
    into[pos] = (low & 0x7f) | 0x80;
    pos += 1;
    low = ((low >>> 7) | (high << 25)) >>> 0;
    high >>>= 7;
  }
  low >>>= 0;
  while (low >= 0x80) {
    into[pos] = (low & 0x7f) | 0x80;
    pos += 1;
    low >>>= 7;
  }
  into[pos] = low;
  return pos + 1;
}

const halves = new DataView(new ArrayBuffer(8));
const varintScratch = Buffer.alloc(10);

/** Builds one message at a time, back to front. */
export class WireWriter {
  #chunk: Buffer = scratch;
  #pos = scratchBytes;
  /** End of what is in the chunk: it differs from its length once a piece was cut off it. */
  #chunkEnd = scratchBytes;
  /** Finished pieces, the last one first. */
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;

  /** Bytes written so far; the difference of two readings is the length of what is between. */
  get length(): number {
    return this.#pieceBytes + (this.#chunkEnd - this.#pos);
  }

  /** The message in one buffer, owned by the caller. */
  take(): Buffer {
    if (this.#pieces.length > 0) return Buffer.concat(this.takeParts());
    const message = this.#chunkCopy();
    this.reset();
    return message;
  }

  /** The message in pieces, in order; those passed in by reference are among them. */
  takeParts(): Uint8Array[] {
    if (this.#pieces.length === 0) {
      const message = this.take();
      return message.length === 0 ? [] : [message];
    }
    this.#cut();
    const parts = this.#pieces.reverse();
    this.reset();
    return parts;
  }

  /** Raw bytes; `bytes` must not change until the message has been sent. */
  raw(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= referenceBytesMin) {
      this.#cut();
      this.#pieces.push(bytes);
      this.#pieceBytes += length;
      return;
    }
    this.#reserve(length);
    this.#pos -= length;
    const chunk = this.#chunk;
    const pos = this.#pos;
    if (length > copyLoopBytes) chunk.set(bytes, pos);
    else for (let i = 0; i < length; i += 1) chunk[pos + i] = bytes[i] as number;
  }

  /** A length-delimited field of known bytes, even if empty. */
  bytesField(field: number, bytes: Uint8Array): void {
    this.raw(bytes);
    this.#lengthAndTag(field, bytes.length);
  }

  /** A bytes field, left out if empty. */
  optionalBytes(field: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.bytesField(field, bytes);
  }

  /** A bytes field given as latin1 string, left out if empty. */
  optionalKey(field: number, key: KeyString): void {
    if (key !== '') this.keyField(field, key);
  }

  /** A bytes field given as latin1 string, even if empty. */
  keyField(field: number, key: KeyString): void {
    const { length } = key;
    if (length > scratchBytes - varintRoomBytes) {
      this.bytesField(field, Buffer.from(key, 'latin1'));
      return;
    }
    this.#reserve(length);
    this.#pos -= length;
    this.#chunk.write(key, this.#pos, length, 'latin1');
    this.#lengthAndTag(field, length);
  }

  /** A string field, left out if empty. */
  optionalText(field: number, text: string): void {
    if (text !== '') this.bytesField(field, Buffer.from(text, 'utf8'));
  }

  /** Ends (that is, begins) the submessage that was written since `length` was `mark`. */
  message(field: number, mark: number): void {
    this.#lengthAndTag(field, this.length - mark);
  }

  /** A varint field, left out if 0. Integers of up to 53 bits; negative ones as int64. */
  optionalInt(field: number, n: number): void {
    if (n !== 0) this.intField(field, n);
  }

  /** A varint field, even if 0. */
  intField(field: number, n: number): void {
    this.varint(n);
    this.#tag(field, 0);
  }

  /** A bare varint: an element of a packed field. */
  varint(n: number): void {
    assert(Number.isSafeInteger(n), 'only safe integers are encoded');
    this.#reserve(varintRoomBytes);
    this.#pos -= varintBytes(n);
    putVarint(this.#chunk, n, this.#pos);
  }

  /** A 64-bit field, signed or unsigned, left out if 0. */
  optionalId(field: number, id: bigint): void {
    if (id !== 0n) this.idField(field, id);
  }

  /** A 64-bit field, signed or unsigned, even if 0. */
  idField(field: number, id: bigint): void {
    halves.setBigInt64(0, BigInt.asIntN(64, id));
    const bytes = putVarint64(varintScratch, halves.getInt32(4), halves.getInt32(0), 0);
    this.raw(varintScratch.subarray(0, bytes));
    this.#tag(field, 0);
  }

  optionalBool(field: number, flag: boolean): void {
    if (flag) this.intField(field, 1);
  }

  #lengthAndTag(field: number, length: number): void {
    this.#reserve(varintRoomBytes);
    if (length < 0x80) {
      this.#pos -= 1;
      this.#chunk[this.#pos] = length;
    } else {
      this.#pos -= varintBytes(length);
      putVarint(this.#chunk, length, this.#pos);
    }
    this.#tag(field, 2);
  }

  #tag(field: number, wireType: number): void {
    const tag = (field << 3) | wireType;
    this.#reserve(varintRoomBytes);
    if (tag < 0x80) {
      this.#pos -= 1;
      this.#chunk[this.#pos] = tag;
    } else {
      this.#pos -= varintBytes(tag);
      putVarint(this.#chunk, tag, this.#pos);
    }
  }

  #reserve(bytes: number): void {
    if (this.#pos >= bytes) return;
    this.#cut();
    const size = Math.max(chunkBytes, bytes);
    this.#chunk = Buffer.allocUnsafeSlow(size);
    this.#pos = size;
    this.#chunkEnd = size;
  }

  /**
   * Makes a piece of what is in the chunk. The shared scratch is copied, a chunk of our own not.
   */
  #cut(): void {
    const pos = this.#pos;
    const chunkEnd = this.#chunkEnd;
    if (pos === chunkEnd) return;
    const shared = this.#chunk === scratch;
    this.#pieces.push(shared ? this.#chunkCopy() : this.#chunk.subarray(pos, chunkEnd));
    this.#pieceBytes += chunkEnd - pos;
    this.#chunkEnd = pos;
  }

  #chunkCopy(): Buffer {
    const copy = Buffer.allocUnsafe(this.#chunkEnd - this.#pos);
    this.#chunk.copy(copy, 0, this.#pos, this.#chunkEnd);
    return copy;
  }

  /** Forgets what was written. */
  reset(): void {
    this.#chunk = scratch;
    this.#pos = scratchBytes;
    this.#chunkEnd = scratchBytes;
    if (this.#pieceBytes === 0) return;
    this.#pieces = [];
    this.#pieceBytes = 0;
  }
}

const shared = new WireWriter();

/**
 * The one writer, empty: an encoder that threw half-way through must not spoil the next message.
 * The caller takes its result before anybody else starts.
 */
export function startMessage(): WireWriter {
  shared.reset();
  return shared;
}
