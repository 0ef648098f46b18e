/**
 * A peer that speaks HTTP/2 frame by frame, and may break every rule of it. Simulated network and
 * time: nothing happens but in `settle`.
 */

import {
  type ByteStream,
  type ByteStreamHandler,
  type Listener,
  silentLogger,
} from '../../../src/common/index.js';
import {
  MemoryNetwork,
  type MemoryNetworkOptions,
  SimClock,
  SimRandom,
} from '../../../src/sim/index.js';
import { HeaderField } from '../../../src/transport/header-field.js';
import { HpackDecoder } from '../../../src/transport/hpack-decode.js';
import { HpackEncoder } from '../../../src/transport/hpack-encode.js';
import {
  createGrpcServer,
  type GrpcServer,
  type GrpcServerOptions,
} from '../../../src/transport/index.js';
import { echoMethods } from './servers.js';

export const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

/** Names of RFC 9113 section 7, for messages of failed tests. */
export const errorNames = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
];

/** The bytes of one frame; `length` may lie. */
export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array = Buffer.alloc(0),
  length = payload.length,
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, payload]);
}

export const data = (id: number, payload: Uint8Array, endStream = false): Buffer =>
  frame(0, endStream ? 1 : 0, id, payload);
export const settings = (...pairs: ReadonlyArray<readonly [number, number]>): Buffer => {
  const payload = Buffer.alloc(pairs.length * 6);
  for (const [i, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, i * 6);
    payload.writeUInt32BE(value, i * 6 + 2);
  }
  return frame(4, 0, 0, payload);
};
export const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, i * 4);
  return bytes;
};
export const windowUpdate = (id: number, bytes: number): Buffer => frame(8, 0, id, u32(bytes));
export const reset = (id: number, code = 8): Buffer => frame(3, 0, id, u32(code));

/** A gRPC message with its prefix. */
export function grpcMessage(message: Uint8Array, flag = 0, length = message.length): Buffer {
  return Buffer.concat([Buffer.from([flag]), u32(length), message]);
}

export type Pairs = ReadonlyArray<readonly [string, string]>;

/** The head of a good request. */
export function requestHead(path: string, more: Pairs = []): Pairs {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ];
}

/** Either end of a simulated connection. */
export class RawPeer implements ByteStreamHandler {
  readonly frames: Frame[] = [];
  readonly encoder = new HpackEncoder();
  readonly #decoder = new HpackDecoder(1 << 20);
  readonly stream: ByteStream;
  ended = false;
  closed = false;
  #bytes = Buffer.alloc(0);
  #skip: number;
  /** Header lists as they came, with the stream they are for. */
  readonly blocks: Array<{ readonly id: number; readonly fields: Record<string, string> }> = [];

  /** `skipBytes`: what comes before the first frame (the preface, at a server). */
  constructor(stream: ByteStream, skipBytes = 0) {
    this.stream = stream;
    this.#skip = skipBytes;
    stream.setHandler(this);
  }

  send(...frames: Buffer[]): void {
    this.stream.write(Buffer.concat(frames));
  }

  /** HEADERS with END_HEADERS; the block is encoded now, so it must be sent. */
  headers(id: number, pairs: Pairs, endStream = false): Buffer {
    return frame(1, 4 | (endStream ? 1 : 0), id, this.block(pairs));
  }

  block(pairs: Pairs): Buffer {
    const fields = pairs.map(([name, value]) => new HeaderField(name, value));
    return Buffer.from(this.encoder.encode(fields));
  }

  /** A whole unary request. */
  call(id: number, path: string, message: Uint8Array, more: Pairs = []): Buffer {
    const head = this.headers(id, requestHead(path, more));
    return Buffer.concat([head, data(id, grpcMessage(message), true)]);
  }

  onData(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    if (this.#skip > 0) {
      const skipped = Math.min(this.#skip, this.#bytes.length);
      this.#bytes = this.#bytes.subarray(skipped);
      this.#skip -= skipped;
    }
    while (this.#bytes.length >= 9) {
      const length = this.#bytes.readUIntBE(0, 3);
      if (this.#bytes.length < 9 + length) return;
      const got: Frame = {
        type: this.#bytes.readUInt8(3),
        flags: this.#bytes.readUInt8(4),
        id: this.#bytes.readUInt32BE(5),
        payload: Buffer.from(this.#bytes.subarray(9, 9 + length)),
      };
      this.#bytes = this.#bytes.subarray(9 + length);
      this.frames.push(got);
      if (got.type === 1) this.#decode(got);
    }
  }

  onEnd(): void {
    this.ended = true;
  }

  onDrain(): void {}

  onClose(): void {
    this.closed = true;
  }

  /** True once the other side will say no more. */
  get over(): boolean {
    return this.ended || this.closed;
  }

  /** `GOAWAY PROTOCOL_ERROR` or the like; undefined if there was none. */
  get goaway(): string | undefined {
    const got = this.frames.find(({ type }) => type === 7);
    return got === undefined ? undefined : errorNames[got.payload.readUInt32BE(4)];
  }

  get goawayText(): string {
    const got = this.frames.find(({ type }) => type === 7);
    return got === undefined ? '' : got.payload.toString('latin1', 8);
  }

  /** Name of the error the stream was reset with. */
  resetOf(id: number): string | undefined {
    const got = this.frames.find((f) => f.type === 3 && f.id === id);
    return got === undefined ? undefined : errorNames[got.payload.readUInt32BE(0)];
  }

  dataOf(id: number): Buffer {
    return Buffer.concat(
      this.frames.filter((f) => f.type === 0 && f.id === id).map((f) => f.payload),
    );
  }

  /** All header fields of the stream, later ones over earlier. */
  fieldsOf(id: number): Record<string, string> {
    const own = this.blocks.filter((block) => block.id === id).map(({ fields }) => fields);
    return Object.assign({}, ...own);
  }

  /** `[grpc-status, grpc-message]`. */
  statusOf(id: number): [string | undefined, string | undefined] {
    const fields = this.fieldsOf(id);
    return [fields['grpc-status'], fields['grpc-message']];
  }

  #decode({ id, flags, payload }: Frame): void {
    if ((flags & 4) === 0) throw new Error('CONTINUATION is not supported here');
    const { fields } = this.#decoder.decode(payload, 0, payload.length);
    this.blocks.push({ id, fields: Object.fromEntries(fields.map((f) => [f.name, f.value])) });
  }
}

/** A server in a simulation. */
export class Bench {
  readonly clock = new SimClock();
  readonly network: MemoryNetwork;
  readonly server: GrpcServer;
  #listener: Listener | undefined;

  constructor(options: Partial<GrpcServerOptions> = {}, network: MemoryNetworkOptions = {}) {
    this.network = new MemoryNetwork(this.clock, new SimRandom(1), {
      highWaterBytes: 1 << 20,
      ...network,
    });
    this.server = createGrpcServer({
      clock: this.clock,
      network: this.network,
      logger: silentLogger,
      methods: echoMethods,
      ...options,
    });
  }

  /** Lets everything happen that is due within the next simulated milliseconds. */
  async settle(ms = 50): Promise<void> {
    await this.clock.run(this.clock.nowMs() + ms);
  }

  async listener(): Promise<Listener> {
    this.#listener ??= await this.server.listen({ host: 'server', port: 1 }, undefined);
    return this.#listener;
  }

  /** A connection on which nothing was sent yet. */
  async connect(): Promise<RawPeer> {
    const { address } = await this.listener();
    return new RawPeer(await this.clock.runUntil(this.network.connect(address, undefined, 1_000)));
  }

  /** A connection after the handshake. */
  async peer(...pairs: ReadonlyArray<readonly [number, number]>): Promise<RawPeer> {
    const peer = await this.connect();
    peer.send(preface, settings(...pairs));
    await this.settle();
    peer.send(frame(4, 1, 0));
    await this.settle();
    return peer;
  }
}
