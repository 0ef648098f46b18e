/**
 * The server half: listeners, the first bytes of each connection, graceful drain. What is on a
 * port: HTTP/2 (by its preface, or by ALPN) is handled here, anything else goes to HTTP/1.1.
 */

import {
  type ByteStream,
  type ByteStreamHandler,
  type Clock,
  emptyBytes,
  type Listener,
  type Logger,
  type Network,
  type NetworkAddress,
  type Timer,
  type TlsOptions,
} from '../common/index.js';
import type { Connection } from './connection.js';
import { deadlineWheelOf } from './deadline-wheel.js';
import { clientPreface } from './frames.js';
import { transportLimitsDefault } from './limits.js';
import { SendRoom } from './send-room.js';
import { ServerConnection, type ServerShared } from './server-connection.js';
import type { CallObserver, HttpHandler, MethodHandler, TransportLimits } from './types.js';

/** Takes over a connection that does not speak HTTP/2; `head`, borrowed, is what was read of it already. */
export interface Http1Acceptor {
  accept(stream: ByteStream, head: Buffer): void;
  /** Lets requests end; resolves when all connections are closed. */
  close(): Promise<void>;
}

export interface GrpcServerOptions {
  readonly clock: Clock;
  readonly network: Network;
  readonly methods: ReadonlyMap<string, MethodHandler>;
  readonly limits?: Partial<TransportLimits>;
  /** Shared with other servers of the process; without it this one has its own. */
  readonly room?: SendRoom | undefined;
  /** Plain requests over HTTP/2; without it they get 415. */
  readonly http?: HttpHandler | undefined;
  /** HTTP/1.1 on the same port; without it such connections are closed. */
  readonly http1?: Http1Acceptor | undefined;
  readonly observe?: CallObserver | undefined;
  /** Told of each connection that was closed because of what the peer did or did not do. */
  readonly onClosed?: ((address: string, reason: string) => void) | undefined;
  readonly logger: Logger;
}

export interface GrpcServer {
  listen(address: NetworkAddress, tls: TlsOptions | undefined): Promise<Listener>;
  /** GOAWAY to everyone; resolves when the calls that ran have ended and all is closed. */
  drain(): Promise<void>;
  /** Closes listeners and connections at once; calls are cancelled. */
  close(): Promise<void>;
  /** HTTP/2 connections now open. */
  readonly connectionCount: number;
  /** Streams open on all of them. */
  readonly streamCount: number;
}

/** Makes a server; it listens nowhere yet. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  return new Server(options);
}

class Server implements GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #shared: ServerShared;
  readonly #listeners: Listener[] = [];
  readonly #connections = new Set<ServerConnection>();
  readonly #fresh = new Set<FirstBytes>();
  #draining = false;
  #onEmpty: Array<() => void> = [];

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    const services = new Set<string>();
    for (const path of options.methods.keys()) {
      services.add(path.slice(1, path.lastIndexOf('/')));
    }
    const limits = { ...transportLimitsDefault, ...options.limits };
    this.#shared = {
      clock: options.clock,
      limits,
      room: options.room ?? new SendRoom(options.clock, limits),
      wheel: deadlineWheelOf(options.clock),
      methods: options.methods,
      services,
      http: options.http,
      observe: options.observe,
    };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get streamCount(): number {
    let count = 0;
    for (const { connection } of this.#connections) count += connection.streams.size;
    return count;
  }

  async listen(address: NetworkAddress, tls: TlsOptions | undefined): Promise<Listener> {
    const listener = await this.#options.network.listen(address, tls, (stream) => {
      this.#onStream(stream);
    });
    this.#listeners.push(listener);
    return listener;
  }

  async drain(): Promise<void> {
    this.#draining = true;
    const closing = this.#closeListeners();
    for (const fresh of [...this.#fresh]) fresh.destroy();
    for (const { connection } of [...this.#connections]) connection.drain();
    const empty = this.#whenEmpty();
    await Promise.all([closing, empty, this.#options.http1?.close()]);
  }

  async close(): Promise<void> {
    this.#draining = true;
    const closing = this.#closeListeners();
    for (const fresh of [...this.#fresh]) fresh.destroy();
    for (const { connection } of [...this.#connections]) connection.destroy();
    await Promise.all([closing, this.#options.http1?.close()]);
  }

  async #closeListeners(): Promise<void> {
    await Promise.all(this.#listeners.splice(0).map((listener) => listener.close()));
  }

  #whenEmpty(): Promise<void> {
    if (this.#connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onEmpty.push(resolve));
  }

  #onStream(stream: ByteStream): void {
    if (this.#draining) {
      stream.destroy();
      return;
    }
    const { clock, limits } = this.#shared;
    let connection: Connection | undefined;
    const fresh = new FirstBytes(stream, clock, limits.handshakeTimeoutMs, {
      http2: (rest, timer) => {
        this.#fresh.delete(fresh);
        connection = this.#onHttp2(stream, rest, timer);
      },
      http1: (head) => {
        this.#fresh.delete(fresh);
        const { http1 } = this.#options;
        if (http1 === undefined) stream.destroy();
        else http1.accept(stream, head);
      },
      expired: () => {
        const error = new Error('handshake timeout');
        if (connection === undefined) this.#lost(stream.remoteAddress, error, true);
        else connection.closedByUs = true;
        stream.destroy(error);
      },
      gone: () => {
        this.#fresh.delete(fresh);
      },
    });
    this.#fresh.add(fresh);
    fresh.start();
  }

  #lost(address: string, error: Error, byUs: boolean): void {
    const { logger, onClosed } = this.#options;
    if (byUs && onClosed !== undefined) onClosed(address, error.message);
    else logger.debug('connection lost', { address, reason: error.message });
  }

  #onHttp2(stream: ByteStream, rest: Buffer, timer: Timer): Connection {
    const address = stream.remoteAddress;
    const owner = new ServerConnection(
      stream,
      this.#shared,
      () => timer.cancel(),
      (error) => {
        timer.cancel();
        this.#connections.delete(owner);
        if (error !== undefined) this.#lost(address, error, owner.connection.closedByUs);
        if (this.#connections.size === 0) {
          for (const resolve of this.#onEmpty.splice(0)) resolve();
        }
      },
    );
    this.#connections.add(owner);
    stream.setHandler(owner.connection);
    owner.connection.start();
    if (rest.length > 0) owner.connection.onData(rest);
    return owner.connection;
  }
}

/** The bytes are borrowed. */
interface FirstBytesResult {
  http2(rest: Buffer, handshakeTimer: Timer): void;
  http1(head: Buffer): void;
  /** It has taken too long, before or after `http2`. */
  expired(): void;
  gone(): void;
}

/** Reads a new connection until it is clear what it speaks. */
class FirstBytes implements ByteStreamHandler {
  readonly #stream: ByteStream;
  readonly #result: FirstBytesResult;
  readonly #timer: Timer;
  #bytes: Buffer = emptyBytes;
  #done = false;

  constructor(stream: ByteStream, clock: Clock, timeoutMs: number, result: FirstBytesResult) {
    this.#stream = stream;
    this.#result = result;
    // It runs on until the HTTP/2 handshake is over; `http1` has its own.
    this.#timer = clock.after(timeoutMs, () => {
      result.expired();
      this.#gone();
    });
  }

  start(): void {
    this.#stream.setHandler(this);
    if (this.#stream.alpnProtocol === 'http/1.1') this.#toHttp1(emptyBytes);
  }

  destroy(): void {
    this.#stream.destroy();
    this.#gone();
  }

  onData(chunk: Buffer): void {
    if (this.#done) return;
    // What is kept must be a copy; in the usual case the first chunk is enough, and nothing is kept.
    const before = this.#bytes;
    const bytes = before.length === 0 ? chunk : Buffer.concat([before, chunk]);
    const length = Math.min(bytes.length, clientPreface.length);
    if (bytes.compare(clientPreface, 0, length, 0, length) !== 0) {
      const isHttp1 = looksLikeHttp1(bytes);
      if (isHttp1 === true) this.#toHttp1(bytes);
      else if (isHttp1 === false) this.destroy();
      else this.#keep(bytes, chunk);
    } else if (length === clientPreface.length) {
      this.#done = true;
      this.#result.http2(bytes.subarray(length), this.#timer);
    } else {
      this.#keep(bytes, chunk);
    }
  }

  #keep(bytes: Buffer, chunk: Buffer): void {
    this.#bytes = bytes === chunk ? Buffer.from(chunk) : bytes;
  }

  onEnd(): void {
    this.destroy();
  }

  onDrain(): void {}

  onClose(): void {
    this.#gone();
  }

  #toHttp1(head: Buffer): void {
    this.#done = true;
    this.#timer.cancel();
    this.#result.http1(head);
  }

  #gone(): void {
    if (this.#done) return;
    this.#done = true;
    this.#timer.cancel();
    this.#result.gone();
  }
}

/** `METHOD /`, `METHOD *` or `METHOD http...`; undefined: too early to tell. */
function looksLikeHttp1(bytes: Buffer): boolean | undefined {
  const methodBytesMax = 24;
  for (let i = 0; i < Math.min(bytes.length, methodBytesMax); i++) {
    const byte = bytes[i] as number;
    if (byte === 0x20) {
      if (i + 1 === bytes.length) return undefined;
      return i > 0 && '/*h'.includes(String.fromCharCode(bytes[i + 1] as number));
    }
    const isMethod = (byte >= 0x41 && byte <= 0x5a) || byte === 0x2d;
    if (!isMethod) return false;
  }
  return bytes.length < methodBytesMax ? undefined : false;
}
