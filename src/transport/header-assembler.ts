/**
 * HEADERS and the CONTINUATION frames that belong to it (RFC 9113 sections 6.2 and 6.10). A block
 * in one frame, the usual case, is handed on in place; the length of one that goes on is bounded
 * before anything is decoded (CVE-2024-27316 and its kin).
 */

import { assert } from '../common/index.js';
import {
  ConnectionError,
  ErrorCode,
  flagEndHeaders,
  flagEndStream,
  flagPadded,
  flagPriority,
  frameSizeError,
  protocolError,
  readU32,
} from './frames.js';
import { streamIdMax } from './limits.js';

/** Gets whole header blocks, `from[start, end)`. */
export interface BlockSink {
  onHeaderBlock(
    streamId: number,
    from: Buffer,
    start: number,
    end: number,
    endStream: boolean,
    selfDependent: boolean,
  ): void;
}

interface OpenBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly selfDependent: boolean;
  readonly parts: Buffer[];
  bytes: number;
}

/** The header block that is arriving on a connection, if any. */
export class HeaderAssembler {
  readonly #sink: BlockSink;
  readonly #bytesMax: number;
  #block: OpenBlock | undefined;

  constructor(sink: BlockSink, bytesMax: number) {
    this.#sink = sink;
    this.#bytesMax = bytesMax;
  }

  /** Only CONTINUATION may come now. */
  get open(): boolean {
    return this.#block !== undefined;
  }

  onHeaders(flags: number, id: number, from: Buffer, start: number, end: number): void {
    if (id === 0) throw protocolError('HEADERS on stream 0');
    let blockStart = start;
    let blockEnd = end;
    if ((flags & flagPadded) !== 0) {
      if (end === start) throw frameSizeError('HEADERS');
      blockEnd -= from[start] as number;
      blockStart += 1;
    }
    let selfDependent = false;
    if ((flags & flagPriority) !== 0) {
      if (blockStart + 5 > end) throw frameSizeError('HEADERS');
      selfDependent = (readU32(from, blockStart) & streamIdMax) === id;
      blockStart += 5;
    }
    if (blockStart > blockEnd) throw protocolError('padding too long');
    const endStream = (flags & flagEndStream) !== 0;
    if ((flags & flagEndHeaders) !== 0) {
      this.#sink.onHeaderBlock(id, from, blockStart, blockEnd, endStream, selfDependent);
      return;
    }
    assert(this.#block === undefined, 'one header block arrives at a time');
    const block: OpenBlock = { streamId: id, endStream, selfDependent, parts: [], bytes: 0 };
    this.#block = block;
    this.#add(block, from, blockStart, blockEnd);
  }

  onContinuation(flags: number, id: number, from: Buffer, start: number, end: number): void {
    const block = this.#block;
    if (block === undefined || block.streamId !== id) {
      throw protocolError('CONTINUATION without HEADERS');
    }
    this.#add(block, from, start, end);
    if ((flags & flagEndHeaders) === 0) return;
    this.#block = undefined;
    const whole = Buffer.concat(block.parts, block.bytes);
    const { endStream, selfDependent } = block;
    this.#sink.onHeaderBlock(id, whole, 0, whole.length, endStream, selfDependent);
  }

  #add(block: OpenBlock, from: Buffer, start: number, end: number): void {
    block.bytes += end - start;
    if (block.bytes > this.#bytesMax) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, 'header block too long');
    }
    block.parts.push(Buffer.from(from.subarray(start, end)));
  }
}
