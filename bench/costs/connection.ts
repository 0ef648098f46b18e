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
/** Windows are granted anew after so many bytes. */
const renewBytes = 512 * 1024 * 1024;

/** What a turn sends on a connection has room in it. */
const sendBytesMax = 256 * 1024;
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
  #received = 0;
  /** Of the frame whose header has been seen: bytes that are still to come. */
  #rest = 0;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerBytes = 0;
  readonly #countData: boolean;
  /** Fields in the server's table: how many were there before each. */
  readonly #inserted = new Map<string, number>();
  readonly #space = Buffer.alloc(sendBytesMax);

  /** `countData`: each DATA frame is an answer, not each stream that ends. */
  constructor(countData = false) {
    this.#countData = countData;
  }

  /** The server's writes go here. */
  readonly onWritten = (chunk: Uint8Array): void => {
    this.#received += chunk.length;
    let at = 0;
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const skip = Math.min(this.#rest, chunk.length - at);
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

  /** Sends all `requests` in one chunk, each on a stream of its own. */
  send(requests: readonly CostRequest[]): void {
    let at = 0;
    const into = this.#space;
    for (const { path, message, endStream } of requests) {
      const headBytes = this.#writeHead(into, at + frameHeaderBytes, path);
      writeFrameHeader(into, at, headBytes, frameHeaders, flagEndHeaders, this.#stream);
      at += frameHeaderBytes + headBytes;
      const bytes = messagePrefixBytes + message.length;
      writeFrameHeader(into, at, bytes, frameData, endStream ? flagEndStream : 0, this.#stream);
      at += frameHeaderBytes;
      into[at] = 0;
      writeU32(into, at + 1, message.length);
      at += messagePrefixBytes;
      at += message.copy(into, at);
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

  #frame(): void {
    const header = this.#header;
    this.#rest = ((header[0] as number) << 16) | ((header[1] as number) << 8) | (header[2] ?? 0);
    const type = header[3];
    const ends = type === frameHeaders && ((header[4] as number) & flagEndStream) !== 0;
    if (this.#countData ? type === frameData : ends) this.answers += 1;
  }
}

function windowUpdate(stream: number, bytes: number): Buffer {
  const out = Buffer.alloc(frameHeaderBytes + 4);
  writeFrameHeader(out, 0, 4, frameWindowUpdate, 0, stream);
  writeU32(out, frameHeaderBytes, bytes);
  return out;
}
