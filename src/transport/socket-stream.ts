/**
 * A connected socket of Node as a ByteStream. Its events are forwarded without a closure for each
 * chunk. Whoever opens sockets wraps them in this: the server's network and the client's.
 */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { ByteStream, ByteStreamHandler, PeerIdentity } from '../common/index.js';

const noIdentity: PeerIdentity = { commonName: '', certificateVerified: false };

/** See {@link ByteStream}. TLS must be agreed on already. */
export class SocketStream implements ByteStream {
  readonly remoteAddress: string;
  readonly alpnProtocol: string;
  readonly identity: PeerIdentity;
  readonly #socket: Socket;
  #handler: ByteStreamHandler | undefined;
  #error: Error | undefined;
  #closed = false;

  constructor(socket: Socket, identity: PeerIdentity = noIdentity) {
    this.#socket = socket;
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
    socket.on('data', (chunk: Buffer) => this.#handler?.onData(chunk));
    socket.on('end', () => this.#handler?.onEnd());
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
