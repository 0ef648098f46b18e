/**
 * A connected socket of Node as a ByteStream. Its events are forwarded without a closure for each
 * chunk. Whoever opens sockets wraps them in this: the server's network and the client's.
 */

import type { OnReadOpts, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ByteStream, ByteStreamHandler, PeerIdentity } from '../common/index.js';

const noIdentity: PeerIdentity = { commonName: '', certificateVerified: false };

/**
 * Where all sockets that are given `onread` of one of these read to: one buffer for the thread, for
 * a chunk is handled before the next is read. Otherwise Node makes 64 KiB for each read, however
 * little comes.
 */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** What a socket of node:net reads, on its way to a {@link SocketStream}. */
export class SharedReads {
  /** The option of that name of a socket. */
  readonly onread: OnReadOpts;
  /** Gets what is read, borrowed; until it is set nothing is read beyond the first chunk. */
  #sink: ((chunk: Buffer) => void) | undefined;
  #early: Buffer | undefined;

  constructor() {
    this.onread = {
      buffer: readBuffer,
      callback: (bytes) => this.#read(readBuffer.subarray(0, bytes)),
    };
  }

  /** Hands on what was read already, and what will be. True if reading has to be resumed. */
  pipe(sink: (chunk: Buffer) => void): boolean {
    const early = this.#early;
    this.#early = undefined;
    this.#sink = sink;
    if (early === undefined) return false;
    sink(early);
    return true;
  }

  /** False stops reading. */
  #read(chunk: Buffer): boolean {
    if (this.#sink !== undefined) {
      this.#sink(chunk);
      return true;
    }
    this.#early = Buffer.from(chunk);
    return false;
  }
}

/** See {@link ByteStream}. TLS must be agreed on already. */
export class SocketStream implements ByteStream {
  readonly remoteAddress: string;
  readonly alpnProtocol: string;
  readonly identity: PeerIdentity;
  readonly #socket: Socket;
  readonly #reads: SharedReads | undefined;
  #handler: ByteStreamHandler | undefined;
  #error: Error | undefined;
  #closed = false;

  /** `reads`: whose `onread` the socket was made with, if it was. */
  constructor(socket: Socket, identity: PeerIdentity = noIdentity, reads?: SharedReads) {
    this.#socket = socket;
    this.#reads = reads;
    this.identity = identity;
    this.remoteAddress = peerName(socket);
    const alpn = (socket as Partial<TLSSocket>).alpnProtocol;
    this.alpnProtocol = typeof alpn === 'string' ? alpn : '';
    socket.on('error', (error) => {
      this.#error ??= error;
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#handler?.onClose(this.#error);
    });
  }

  setHandler(handler: ByteStreamHandler): void {
    const first = this.#handler === undefined;
    this.#handler = handler;
    if (!first) return;
    const socket = this.#socket;
    if (this.#closed) {
      handler.onClose(this.#error);
      return;
    }
    const sink = (chunk: Buffer): void => this.#handler?.onData(chunk);
    if (this.#reads === undefined) socket.on('data', sink);
    else if (this.#reads.pipe(sink)) socket.resume();
    if (socket.readableEnded) handler.onEnd();
    else socket.on('end', () => this.#handler?.onEnd());
    socket.on('drain', () => this.#handler?.onDrain());
  }

  write(chunk: Uint8Array): boolean {
    if (this.#socket.destroyed || this.#socket.writableEnded) return true;
    return this.#socket.write(chunk);
  }

  cork(): void {
    this.#socket.cork();
  }

  uncork(): void {
    this.#socket.uncork();
  }

  backlogBytes(): number {
    return this.#socket.writableLength;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }
}

/** `address:port` of the other side, for people; 'unix' if it has none. */
export function peerName(socket: Socket): string {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined) return 'unix';
  return remoteAddress.includes(':')
    ? `[${remoteAddress}]:${remotePort}`
    : `${remoteAddress}:${remotePort}`;
}
