/**
 * What a connection has to say, gathered until the end of the event-loop turn and then written in
 * one go. Frames are stored into a segment that is borrowed from the pool of all connections; only
 * long pieces of messages are added by reference, for one more piece in a write costs more than to
 * copy some kilobytes (docs/adr/0010-buffers-and-syscalls.md).
 *
 * A segment goes back when the stream says that it has none of its bytes any more. What is written
 * leaves in order, so that is a matter of counting: of `total` bytes written, all but the backlog
 * have left.
 */

import { assert, type ByteStream, emptyBytes } from '../common/index.js';
import { segmentBytesMax, segmentBytesMin } from './limits.js';
import type { SegmentPool, SegmentUser } from './segment-pool.js';

/** A segment that is full, or was too small. */
interface RetiredSegment {
  readonly segment: Buffer;
  /** It is free when so many of all bytes have left. */
  readonly end: number;
}

/** Bytes on their way to one {@link ByteStream}, in order. */
export class Output implements SegmentUser {
  /** Where `reserve` made room. */
  buffer: Buffer = emptyBytes;
  readonly #stream: ByteStream;
  readonly #pool: SegmentPool;
  #start = 0;
  #position = 0;
  /** What the next segment is like: grows at once, shrinks when little is written. */
  #segmentBytes = segmentBytesMin;
  #parts: Uint8Array[] = [];
  /** Bytes gathered and not written yet. */
  bytes = 0;
  /** Bytes written, and how many of them have left for certain. */
  #written = 0;
  #left = 0;
  #retired: RetiredSegment[] = [];

  constructor(stream: ByteStream, pool: SegmentPool) {
    this.#stream = stream;
    this.#pool = pool;
  }

  /** Makes room for `length` bytes in `buffer`, counts them as written, returns their offset. */
  reserve(length: number): number {
    if (this.#position + length > this.buffer.length) this.#nextSegment(length);
    const at = this.#position;
    this.#position = at + length;
    assert(this.#position <= this.buffer.length, 'what is reserved is there');
    this.bytes += length;
    return at;
  }

  /** Adds `bytes` without copying; they must not change any more. */
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

  /** Gives everything gathered to the stream. */
  flush(): void {
    const bytes = this.bytes;
    if (bytes === 0) return;
    this.bytes = 0;
    this.#written += bytes;
    const stream = this.#stream;
    if (this.#parts.length === 0) {
      assert(bytes === this.#position - this.#start, 'what was counted is written');
      const only = this.buffer.subarray(this.#start, this.#position);
      this.#start = this.#position;
      stream.write(only);
    } else {
      this.#closePart();
      this.#writeParts(bytes);
    }
    this.#adapt(bytes);
    if (!this.settle()) this.#pool.watch(this);
  }

  /** Gives back the segments whose bytes have left; false if there are some that have not. */
  settle(): boolean {
    const { buffer } = this;
    this.#left = this.#written - this.#stream.backlogBytes();
    if (this.#retired.length > 0) this.#giveRetired();
    if (this.#left < this.#written) return false;
    assert(this.#retired.length === 0 || this.bytes > 0, 'what has all left is held by nobody');
    if (this.bytes === 0 && buffer.length > 0) {
      this.#takeSegment(emptyBytes, 0);
      this.#pool.give(buffer);
    }
    return true;
  }

  /** Forgets what was gathered; nothing more will be written. */
  clear(): void {
    // What the stream still has is left to it, and its segments with it.
    this.#pool.unwatch(this);
    this.#parts = [];
    this.#retired = [];
    this.#takeSegment(emptyBytes, 0);
    this.bytes = 0;
  }

  #writeParts(bytes: number): void {
    const stream = this.#stream;
    const parts = this.#parts;
    this.#parts = [];
    let written = 0;
    stream.cork();
    for (const part of parts) {
      written += part.length;
      stream.write(part);
    }
    stream.uncork();
    assert(written === bytes, 'what was counted is written');
  }

  /** One segment is enough for what a turn brings, and not four times as much. */
  #adapt(bytes: number): void {
    if (this.buffer.length > this.#segmentBytes) {
      this.#segmentBytes = Math.min(this.buffer.length, segmentBytesMax);
    } else if (bytes * 4 < this.#segmentBytes && this.#segmentBytes > segmentBytesMin) {
      this.#segmentBytes /= 2;
    }
  }

  #closePart(): void {
    if (this.#position === this.#start) return;
    this.#parts.push(this.buffer.subarray(this.#start, this.#position));
    this.#start = this.#position;
  }

  #takeSegment(segment: Buffer, position: number): void {
    this.buffer = segment;
    this.#start = 0;
    this.#position = position;
  }

  #nextSegment(length: number): void {
    const outgrown = this.buffer;
    const open = this.#position - this.#start;
    if (this.#parts.length === 0 && open > 0 && open + length <= segmentBytesMax) {
      // Copied into a larger one, so that all leaves in one piece.
      const larger = this.#pool.take(Math.max(open + length, Math.min(2 * open, segmentBytesMax)));
      outgrown.copy(larger, 0, this.#start, this.#position);
      this.#retire(outgrown, this.#written);
      this.#takeSegment(larger, open);
      return;
    }
    this.#closePart();
    this.#retire(outgrown, this.#written + this.bytes);
    this.#takeSegment(this.#pool.take(Math.max(length, this.#segmentBytes)), 0);
  }

  #giveRetired(): void {
    let count = 0;
    for (const { segment, end } of this.#retired) {
      if (end > this.#left) break;
      this.#pool.give(segment);
      count += 1;
    }
    if (count > 0) this.#retired.splice(0, count);
  }

  /** Nothing more goes into the segment; its last byte is the one before `end` of all. */
  #retire(segment: Buffer, end: number): void {
    if (segment.length === 0) return;
    if (end <= this.#left) this.#pool.give(segment);
    else this.#retired.push({ segment, end });
  }
}
