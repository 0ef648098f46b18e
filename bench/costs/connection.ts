/**
 * A client that costs next to nothing, so that what is counted is the server's: it writes
 * requests into one buffer, and of answers it only counts the ends.
 */

import type { ByteStreamHandler } from '../../src/common/index.js';
import {
  clientPreface,
  flagEndHeaders,
  flagEndStream,
  frameData,
  frameHeaderBytes,
  frameHeaders,
  frameSettings,
  frameWindowUpdate,
  settingInitialWindowSize,
  writeFrameHeader,
  writeU32,
} from '../../src/transport/frames.js';

const windowBytes = 2 ** 31 - 1;
const windowAtFirst = 65_535;
const messagePrefixBytes = 5;
const frameBytes = 16_384;
/** Windows are granted anew after so many bytes. */
const renewBytes = 512 * 1024 * 1024;

/** What a turn sends on a connection is made here. */
const space = Buffer.alloc(2 * 1024 * 1024);
/** RFC 7541, appendix A and section 2.3.3. */
const staticMethodPost = 3;
const staticSchemeHttp = 6;
const firstDynamic = 62;
const otherFields = [
  [':authority', 'a'],
  ['te', 'trailers'],
  ['content-type', 'application/grpc'],
] as const;

/** A call: its first message, and whether it is the only one. */
export interface CostRequest {
  readonly path: string;
  readonly message: Buffer;
  readonly endStream: boolean;
}

/** One connection of such a client. */
export class CostConnection {
  /** Streams that ended, and messages on streams that go on. */
  answers = 0;
  #handler: ByteStreamHandler | undefined;
  #stream = 1;
  /** Bytes of DATA since the window was renewed. */
  #received = 0;
  /** Of the frame whose header has been seen: bytes that are still to come. */
  #rest = 0;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerBytes = 0;
  readonly #countsMessages: boolean;
  #inData = false;
  /** Of the message under way: bytes of its prefix that have been seen, and what is to come. */
  #prefixBytes = 0;
  #messageRest = 0;
  /** Fields in the server's table: how many were there before each. */
  readonly #inserted = new Map<string, number>();

  /** `countsMessages`: each message of its only stream is an answer, not each stream that ends. */
  constructor(countsMessages = false) {
    this.#countsMessages = countsMessages;
  }

  /** The server's writes go here. */
  readonly onWritten = (chunk: Uint8Array): void => {
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const skip = Math.min(this.#rest, chunk.length - at);
        if (this.#inData) this.#countMessages(chunk, at, at + skip);
        this.#rest -= skip;
        at += skip;
        continue;
      }
      this.#header[this.#headerBytes++] = chunk[at++] as number;
      if (this.#headerBytes < frameHeaderBytes) continue;
      this.#headerBytes = 0;
      this.#frame();
    }
  };

  open(handler: ByteStreamHandler): void {
    this.#handler = handler;
    const settings = Buffer.alloc(frameHeaderBytes + 6);
    writeFrameHeader(settings, 0, 6, frameSettings, 0, 0);
    settings[frameHeaderBytes + 1] = settingInitialWindowSize;
    writeU32(settings, frameHeaderBytes + 2, windowBytes);
    handler.onData(
      Buffer.concat([clientPreface, settings, windowUpdate(0, windowBytes - windowAtFirst)]),
    );
  }

  /** Sends more messages on the stream of the last request. */
  sendMore(messages: readonly Buffer[]): void {
    let at = 0;
    for (const message of messages) at = writeMessage(space, at, message, false, this.#stream - 2);
    this.#handler?.onData(space.subarray(0, at));
  }

  /** Sends all `requests` in one chunk, each on a stream of its own. */
  send(requests: readonly CostRequest[]): void {
    let at = 0;
    const into = space;
    for (const { path, message, endStream } of requests) {
      const headBytes = this.#writeHead(into, at + frameHeaderBytes, path);
      writeFrameHeader(into, at, headBytes, frameHeaders, flagEndHeaders, this.#stream);
      at += frameHeaderBytes + headBytes;
      at = writeMessage(into, at, message, endStream, this.#stream);
      this.#stream += 2;
    }
    this.#handler?.onData(into.subarray(0, at));
    if (this.#received < renewBytes) return;
    this.#handler?.onData(windowUpdate(0, this.#received));
    this.#received = 0;
  }

  /** A header block: in full at first, then by what the server has in its table (RFC 7541). */
  #writeHead(into: Buffer, at: number, path: string): number {
    let end = at;
    into[end++] = 0x80 | staticMethodPost;
    into[end++] = 0x80 | staticSchemeHttp;
    for (const [name, value] of [[':path', path] as const, ...otherFields]) {
      const inserted = this.#inserted.get(name + value);
      if (inserted !== undefined) {
        into[end++] = 0x80 | (firstDynamic + this.#inserted.size - 1 - inserted);
        continue;
      }
      this.#inserted.set(name + value, this.#inserted.size);
      into[end++] = 0x40;
      into[end++] = name.length;
      end += into.write(name, end, 'latin1');
      into[end++] = value.length;
      end += into.write(value, end, 'latin1');
    }
    return end - at;
  }

  #countMessages(chunk: Uint8Array, from: number, end: number): void {
    let at = from;
    while (at < end) {
      if (this.#prefixBytes < messagePrefixBytes) {
        // A length of 4 bytes behind a flag.
        if (this.#prefixBytes > 0) this.#messageRest = this.#messageRest * 256 + (chunk[at] ?? 0);
        at += 1;
        this.#prefixBytes += 1;
        if (this.#prefixBytes < messagePrefixBytes || this.#messageRest > 0) continue;
      }
      const take = Math.min(this.#messageRest, end - at);
      at += take;
      this.#messageRest -= take;
      if (this.#messageRest > 0) continue;
      this.#prefixBytes = 0;
      this.answers += 1;
    }
  }

  #frame(): void {
    const header = this.#header;
    this.#rest = ((header[0] as number) << 16) | ((header[1] as number) << 8) | (header[2] ?? 0);
    const type = header[3];
    const ends = type === frameHeaders && ((header[4] as number) & flagEndStream) !== 0;
    this.#inData = this.#countsMessages && type === frameData;
    // No more than that may be granted again: a window above its maximum ends the connection.
    if (type === frameData) this.#received += this.#rest;
    if (ends && !this.#countsMessages) this.answers += 1;
  }
}

/** A DATA frame of one message; returns where it ends. */
function writeMessage(
  into: Buffer,
  from: number,
  message: Buffer,
  endStream: boolean,
  stream: number,
): number {
  let at = from;
  let done = 0;
  const bytes = messagePrefixBytes + message.length;
  // Frames of 16 KiB: larger ones are refused.
  for (let left = bytes; left > 0; ) {
    const length = Math.min(left, frameBytes);
    left -= length;
    const flags = endStream && left === 0 ? flagEndStream : 0;
    writeFrameHeader(into, at, length, frameData, flags, stream);
    at += frameHeaderBytes;
    let room = length;
    if (left + length === bytes) {
      into[at] = 0;
      writeU32(into, at + 1, message.length);
      at += messagePrefixBytes;
      room -= messagePrefixBytes;
    }
    message.copy(into, at, done, done + room);
    at += room;
    done += room;
  }
  return at;
}

function windowUpdate(stream: number, bytes: number): Buffer {
  const out = Buffer.alloc(frameHeaderBytes + 4);
  writeFrameHeader(out, 0, 4, frameWindowUpdate, 0, stream);
  writeU32(out, frameHeaderBytes, bytes);
  return out;
}
