/**
 * Cuts a stream of chunks into frames. A frame that lies within a chunk is handed on in place; only
 * the one that a chunk's end cuts in two is copied, into a buffer of exactly its size.
 */

import { assert } from '../common/index.js';
import { ConnectionError, ErrorCode, frameHeaderBytes, readU32 } from './frames.js';
import { frameBytesMax, streamIdMax } from './limits.js';

/** Gets each frame; the payload is `from[start, end)`, borrowed until it returns. */
export interface FrameSink {
  onFrame(
    type: number,
    flags: number,
    streamId: number,
    from: Buffer,
    start: number,
    end: number,
  ): void;
  /** False once the connection is closed: the rest is dropped. */
  readonly reading: boolean;
}

/** The reading end of the frame layer of one connection. */
export class FrameReader {
  readonly #sink: FrameSink;
  #partial: Buffer | undefined;
  #partialLength = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Handles all frames that end in `chunk`. Throws {@link ConnectionError}. */
  push(chunk: Buffer): void {
    let at = 0;
    if (this.#partial !== undefined) {
      at = this.#finishPartial(this.#partial, chunk);
      if (this.#partial !== undefined) return;
    }
    const end = chunk.length;
    const sink = this.#sink;
    while (at + frameHeaderBytes <= end && sink.reading) {
      const head = readU32(chunk, at);
      const length = head >>> 8;
      if (length > frameBytesMax) throw tooLong();
      const start = at + frameHeaderBytes;
      if (start + length > end) break;
      at = start + length;
      sink.onFrame(
        head & 0xff,
        chunk[start - 5] as number,
        readU32(chunk, start - 4) & streamIdMax,
        chunk,
        start,
        at,
      );
    }
    if (at < end && sink.reading) this.#keepPartial(chunk, at);
  }

  #keepPartial(chunk: Buffer, at: number): void {
    assert(this.#partial === undefined, 'one frame is cut in two at a time');
    const have = chunk.length - at;
    let size = frameHeaderBytes;
    if (have >= frameHeaderBytes) {
      const length = readU32(chunk, at) >>> 8;
      if (length > frameBytesMax) throw tooLong();
      size += length;
    }
    this.#partial = Buffer.allocUnsafe(size);
    this.#partialLength = chunk.copy(this.#partial, 0, at);
  }

  /** Adds to the partial frame; returns how much of `chunk` that took. */
  #finishPartial(partial: Buffer, chunk: Buffer): number {
    let at = 0;
    let buffer = partial;
    if (this.#partialLength < frameHeaderBytes) {
      at = chunk.copy(buffer, this.#partialLength, 0, frameHeaderBytes - this.#partialLength);
      this.#partialLength += at;
      if (this.#partialLength < frameHeaderBytes) return at;
    }
    const length = readU32(buffer, 0) >>> 8;
    if (length > frameBytesMax) throw tooLong();
    const size = frameHeaderBytes + length;
    if (buffer.length < size) {
      buffer = Buffer.allocUnsafe(size);
      partial.copy(buffer, 0, 0, frameHeaderBytes);
      this.#partial = buffer;
    }
    const copied = chunk.copy(buffer, this.#partialLength, at, at + size - this.#partialLength);
    this.#partialLength += copied;
    at += copied;
    assert(this.#partialLength <= size && at <= chunk.length, 'a frame is as long as it says');
    if (this.#partialLength < size) return at;
    this.#partial = undefined;
    this.#partialLength = 0;
    this.#sink.onFrame(
      buffer[3] as number,
      buffer[4] as number,
      readU32(buffer, 5) & streamIdMax,
      buffer,
      frameHeaderBytes,
      size,
    );
    return at;
  }
}

function tooLong(): ConnectionError {
  return new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, 'frame above SETTINGS_MAX_FRAME_SIZE');
}
