/**
 * gRPC's length-prefixed messages in DATA (gRPC over HTTP/2, "Length-Prefixed-Message"). A message
 * that lies within one DATA frame is handed on in place. One that spans frames is gathered in a
 * buffer that grows as bytes arrive: five bytes that promise 2 MB must not make us allocate 2 MB.
 */

import { gunzipSync, gzipSync } from 'node:zlib';
import { assert, emptyBytes, GrpcCode } from '../common/index.js';
import { readU32 } from './frames.js';
import { compressBytesMax } from './limits.js';

/** Bytes before each message: a flag and the length. */
export const messagePrefixBytes = 5;
const gatherBytesMin = 4 * 1024;

/** Who gets the messages. */
export interface MessageSink {
  /** Borrowed until it returns. */
  onWireMessage(message: Buffer, flag: number): void;
  /** The stream of messages is broken; nothing more will come. */
  onWireError(code: GrpcCode, message: string): void;
  /** True: take no message now. */
  readonly holding: boolean;
}

/** Cuts the DATA of one direction of one call into messages. */
export class MessageReader {
  readonly #bytesMax: number;
  #gather: Buffer = emptyBytes;
  #gathered = 0;
  /** Bytes needed for prefix and message, 0 while the prefix is incomplete. */
  #needed = 0;
  #broken = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** True in the middle of a message: the stream must not end here. */
  get partial(): boolean {
    return this.#gathered > 0;
  }

  /** Handles `from[start, end)`; returns where it stopped because the sink is holding. */
  push(from: Buffer, start: number, end: number, sink: MessageSink): number {
    let at = start;
    while (at < end && !this.#broken) {
      if (sink.holding) return at;
      if (this.#gathered === 0 && end - at >= messagePrefixBytes) {
        const length = readU32(from, at + 1);
        if (!this.#check(from[at] as number, length, sink)) return end;
        const stop = at + messagePrefixBytes + length;
        if (stop <= end) {
          sink.onWireMessage(from.subarray(at + messagePrefixBytes, stop), from[at] as number);
          at = stop;
          continue;
        }
      }
      at = this.#fill(from, at, end, sink);
    }
    return end;
  }

  #fill(from: Buffer, start: number, end: number, sink: MessageSink): number {
    let at = start;
    if (this.#gathered < messagePrefixBytes) {
      at += this.#append(from, at, Math.min(end, at + messagePrefixBytes - this.#gathered));
      if (this.#gathered < messagePrefixBytes) return at;
      const length = readU32(this.#gather, 1);
      if (!this.#check(this.#gather[0] as number, length, sink)) return end;
      this.#needed = messagePrefixBytes + length;
    }
    assert(this.#gathered <= this.#needed, 'no more is gathered than a message');
    at += this.#append(from, at, Math.min(end, at + this.#needed - this.#gathered));
    if (this.#gathered < this.#needed) return at;
    const message = this.#gather.subarray(messagePrefixBytes, this.#needed);
    const flag = this.#gather[0] as number;
    this.#gather = emptyBytes;
    this.#gathered = 0;
    this.#needed = 0;
    sink.onWireMessage(message, flag);
    return at;
  }

  #append(from: Buffer, start: number, end: number): number {
    assert(start <= end && end <= from.length, 'what is gathered has arrived');
    const needed = this.#gathered + end - start;
    if (needed > this.#gather.length) {
      const doubled = Math.max(needed, this.#gather.length * 2, gatherBytesMin);
      const size = this.#needed > 0 ? Math.min(this.#needed, doubled) : doubled;
      const grown = Buffer.allocUnsafe(Math.max(size, needed));
      this.#gather.copy(grown, 0, 0, this.#gathered);
      this.#gather = grown;
    }
    from.copy(this.#gather, this.#gathered, start, end);
    this.#gathered = needed;
    return end - start;
  }

  #check(flag: number, length: number, sink: MessageSink): boolean {
    if (flag > 1) {
      this.#fail(sink, GrpcCode.INTERNAL, `grpc: received unexpected payload format ${flag}`);
      return false;
    }
    if (length > this.#bytesMax) {
      const text = `grpc: received message larger than max (${length} vs. ${this.#bytesMax})`;
      this.#fail(sink, GrpcCode.RESOURCE_EXHAUSTED, text);
      return false;
    }
    return true;
  }

  #fail(sink: MessageSink, code: GrpcCode, message: string): void {
    this.#broken = true;
    this.#gather = emptyBytes;
    sink.onWireError(code, message);
  }
}

/** A message in the clear, or why there is none. */
export type Decompressed =
  | { readonly message: Buffer }
  | { readonly code: GrpcCode; readonly text: string };

/** Undoes gzip; never makes more than `bytesMax` bytes. */
export function decompress(message: Buffer, encoding: string, bytesMax: number): Decompressed {
  if (encoding !== 'gzip') {
    return {
      code: GrpcCode.INTERNAL,
      text: 'grpc: compressed flag set with identity or empty encoding',
    };
  }
  try {
    return { message: gunzipSync(message, { maxOutputLength: Math.max(1, bytesMax) }) };
  } catch (error) {
    if (error instanceof RangeError) {
      return {
        code: GrpcCode.RESOURCE_EXHAUSTED,
        text: `grpc: received message after decompression larger than max ${bytesMax}`,
      };
    }
    const why = error instanceof Error ? error.message : String(error);
    return {
      code: GrpcCode.INTERNAL,
      text: `grpc: failed to decompress the received message: ${why}`,
    };
  }
}

/** gzip, or undefined if that is not worth it or would take too long. */
export function compress(parts: readonly Uint8Array[]): Buffer | undefined {
  let total = 0;
  for (const part of parts) total += part.length;
  if (total > compressBytesMax || total < 64) return undefined;
  const [only] = parts;
  const whole = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts, total);
  return gzipSync(whole, { level: 1 });
}
