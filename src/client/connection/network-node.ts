/**
 * Sockets for the client's own transport: the connecting half of the Network port, with what a
 * client needs beside it: giving up by a signal, and not keeping the process alive while nothing
 * is running. The only file of src/client that imports node:net and node:tls.
 */

import { connect as netConnect, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  type SecureContext,
  type SecureContextOptions,
  connect as tlsConnect,
} from 'node:tls';
import {
  assert,
  type Network,
  type NetworkAddress,
  onAbort,
  type TlsOptions,
} from '../../common/index.js';
import { lookupHost, resolveHost, SocketStream } from '../../transport/index.js';
import { nodeClock } from './runtime-node.js';
import type { ClientTls } from './types.js';

/** What `write` may gather before it says false; also the size of a read. */
const highWaterBytes = 256 * 1024;

/** One dial: its network connects once, and its socket can be told to keep the process alive. */
export interface Dialer {
  readonly network: Network;
  ref(): void;
  unref(): void;
  /** At once, whatever it is doing. */
  destroy(): void;
}

/** `signal` gives up connecting, and closes the socket that is connected. */
export function makeDialer(signal: AbortSignal): Dialer {
  let socket: Socket | undefined;
  const takeBack = onAbort(signal, () => socket?.destroy(new Error('the client was closed')));
  return {
    network: {
      listen: () => Promise.reject(new Error('a client does not listen')),
      resolve: resolveHost,
      async connect(address, tls, timeoutMs) {
        signal.throwIfAborted();
        socket = open(address, tls);
        socket.once('close', takeBack);
        await connected(socket, tls !== undefined, timeoutMs);
        return new SocketStream(socket);
      },
    },
    ref: () => void socket?.ref(),
    unref: () => void socket?.unref(),
    destroy: () => void socket?.destroy(),
  };
}

function open(address: NetworkAddress, tls: TlsOptions | undefined): Socket {
  const where = 'path' in address ? { path: address.path } : address;
  const options = {
    ...where,
    lookup: lookupHost,
    noDelay: true,
    highWaterMark: highWaterBytes,
  };
  return tls === undefined
    ? netConnect(options)
    : tlsConnect({ ...options, ...tlsOptions(tls, address) });
}

/** What came back on a socket of its own, from whatever listens there. */
export interface Probed {
  /** The first bytes; empty if there were none. */
  readonly bytes: Buffer;
  /** TLS was agreed on. */
  readonly secured: boolean;
}

/**
 * Sends `bytes` and waits for an answer, or until `enough` of it is there; never rejects. With
 * `tls` anybody's certificate will do: nothing but public texts is sent.
 */
export function probe(
  address: NetworkAddress,
  tls: boolean,
  bytes: Buffer,
  options: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    readonly enough: (answer: Buffer) => boolean;
  },
): Promise<Probed> {
  assert(bytes.length > 0 && options.timeoutMs > 0, 'who is asked is asked something');
  // The client may have been closed since it was decided to ask.
  if (options.signal.aborted) return Promise.resolve({ bytes: Buffer.alloc(0), secured: false });
  return new Promise((resolve) => {
    let answer: Buffer = Buffer.alloc(0);
    let secured = false;
    const socket = open(address, tls ? { insecureSkipVerify: true } : undefined);
    const end = (): void => {
      timer.cancel();
      takeBack();
      socket.destroy();
      resolve({ bytes: answer, secured });
    };
    const timer = nodeClock.after(options.timeoutMs, end);
    const takeBack = onAbort(options.signal, end);
    socket.on('error', end);
    socket.on('close', end);
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      secured = tls;
      socket.write(bytes);
    });
    socket.on('data', (data) => {
      answer = Buffer.concat([answer, data]);
      if (options.enough(answer)) end();
    });
  });
}

function connected(socket: Socket, secure: boolean, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = nodeClock.after(timeoutMs, () =>
      failed(new Error(`no connection in ${timeoutMs} ms`)),
    );
    const failed = (error: Error): void => {
      timer.cancel();
      socket.destroy();
      reject(error);
    };
    const early = (): void => failed(new Error('closed while connecting'));
    socket.once('error', failed);
    socket.once('close', early);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      timer.cancel();
      socket.off('error', failed);
      socket.off('close', early);
      resolve();
    });
  });
}

function tlsOptions(tls: TlsOptions, address: NetworkAddress): ConnectionOptions {
  const host = 'path' in address ? 'localhost' : address.host;
  // SNI takes names only; the certificate is checked against the address all the same.
  const isAddress = /^[0-9.]+$|:/.test(host);
  const serverName = tls.serverName ?? (isAddress ? undefined : host);
  return {
    ...contextOptions(tls),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: tls.insecureSkipVerify !== true,
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** The certificates of a client, for who opens sockets by itself; throws if one is unusable. */
export function secureContextOf(tls: ClientTls): SecureContext {
  return createSecureContext(contextOptions(tls));
}

function contextOptions({ ca, cert, key }: ClientTls): SecureContextOptions {
  const pem = (value: Uint8Array | string): Buffer | string =>
    typeof value === 'string' ? value : Buffer.from(value);
  return {
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
    ...(ca === undefined ? {} : { ca: pem(ca) }),
    // Any certificate of `ca` is an anchor, as for clients in Go, not only one that signed itself.
    allowPartialTrustChain: true,
  };
}
