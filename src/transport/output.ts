/**
 * What a connection has to say, gathered until the end of the event-loop turn and then written in
 * one go. Small frames are stored byte by byte into a segment; long pieces of messages are added
 * by reference. A segment is used by several turns until it is full: a fresh buffer for each write
 * would cost more than the reply in it.
 */

import { assert, type ByteStream } from '../common/index.js';

const segmentBytesMin = 2 * 1024;
const segmentBytesMax = 32 * 1024;

/** Bytes on their way to one {@link ByteStream}, in order. */
export class Output {
  /** Where `reserve` made room. */
  buffer: Buffer = Buffer.alloc(0);
  #start = 0;
  #position = 0;
  #segmentBytes = segmentBytesMin;
  #parts: Uint8Array[] = [];
  /** Bytes gathered and not written yet. */
  bytes = 0;

  /** Makes room for `length` bytes in `buffer`, counts them as written, returns their offset. */
  reserve(length: number): number {
    if (this.#position + length > this.buffer.length) this.#nextSegment(length);
    const at = this.#position;
    this.#position = at + length;
    assert(this.#position <= this.buffer.length, 'what is reserved is there');
    this.bytes += length;
    return at;
  }

  /** Adds `bytes` without copying; ownership passes. */
  reference(bytes: Uint8Array): void {
    this.#closePart();
    this.#parts.push(bytes);
    this.bytes += bytes.length;
  }

  /** Adds a copy of `bytes`. */
  copy(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** Gives everything gathered to `stream`; false if it is above its high-water mark. */
  flushTo(stream: ByteStream): boolean {
    const bytes = this.bytes;
    this.bytes = 0;
    if (this.#parts.length === 0) {
      assert(bytes === this.#position - this.#start, 'what was counted is written');
      if (bytes === 0) return true;
      const only = this.buffer.subarray(this.#start, this.#position);
      this.#start = this.#position;
      return stream.write(only);
    }
    this.#closePart();
    const parts = this.#parts;
    this.#parts = [];
    let room = true;
    stream.cork();
    let written = 0;
    for (const part of parts) {
      written += part.length;
      room = stream.write(part);
    }
    stream.uncork();
    assert(written === bytes, 'what was counted is written');
    return room;
  }

  /** Forgets what was gathered. */
  clear(): void {
    this.#parts = [];
    this.#start = this.#position;
    this.bytes = 0;
  }

  #closePart(): void {
    if (this.#position === this.#start) return;
    this.#parts.push(this.buffer.subarray(this.#start, this.#position));
    this.#start = this.#position;
  }

  #nextSegment(length: number): void {
    // Filled up from start to end within one turn: this connection is busy.
    if (this.#start === 0 && this.buffer.length > 0 && this.#segmentBytes < segmentBytesMax) {
      this.#segmentBytes *= 2;
    }
    this.#closePart();
    this.buffer = Buffer.allocUnsafe(Math.max(length, this.#segmentBytes));
    this.#start = 0;
    this.#position = 0;
  }
}
