/**
 * The Network port on real sockets: TCP, unix, and TLS on both (tls-node.ts). A socket's events are
 * forwarded without a closure for each chunk.
 */

import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import { type TLSSocket, connect as tlsConnect } from 'node:tls';
import {
  type ByteStream,
  ConnectionRefusedError,
  type Listener,
  type Network,
  type NetworkAddress,
  onAbort,
  type PeerIdentity,
  type TlsOptions,
} from '../../common/index.js';
import {
  lookupHost,
  resolveHost,
  resolveSrv,
  SharedReads,
  SocketStream,
} from '../../transport/index.js';
import { UsageError } from '../options/index.js';
import { acceptedStream } from './accepted-socket.js';
import { nodeDisk } from './disk-node.js';
import { byFirstByte } from './first-byte.js';
import {
  type AcceptorTls,
  contextOf,
  denialOf,
  TlsAcceptor,
  tlsConnectOptions,
  tlsHandshakeTimeoutMs,
} from './tls-node.js';
import { identityOf } from './tls-presented.js';

/** What `write` may gather before it says false; also the size of a read. */
const highWaterBytes = 256 * 1024;
const acceptBacklog = 1_024;
const noIdentity: PeerIdentity = { commonName: '', certificateVerified: false };

/** The network of this machine. */
export const nodeNetwork: Network = {
  listen: (address, tls, onStream) => listenHere(address, tls, onStream, {}),
  connect,
  resolve: resolveHost,
  resolveSrv,
  checkTls: (tls) => void contextOf(tls),
};

/**
 * The same with SO_REUSEPORT on what is listened on (--socket-reuse-port). Throws
 * {@link UsageError} where Node can't.
 */
export function portSharingNetwork(version = process.versions.node): Network {
  needPortSharing('--socket-reuse-port', version);
  return {
    ...nodeNetwork,
    listen: (address, tls, onStream) => listenHere(address, tls, onStream, { reusePort: true }),
  };
}

/** Throws {@link UsageError} where Node can't do what `flag` asks for. */
export function needPortSharing(flag: string, version = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) return;
  throw new UsageError(`${flag} needs Node.js 22.12 or later; this is Node.js ${version}`);
}

/** Options of node:net that older declarations do not have. */
interface SharedPort {
  readonly reusePort?: boolean;
}

/** See {@link Network.listen}; in whatever thread it is called. */
export async function listenHere(
  address: NetworkAddress,
  tls: AcceptorTls | undefined,
  onStream: (stream: ByteStream) => void,
  shared: SharedPort,
): Promise<Listener> {
  const acceptor = tls === undefined ? undefined : new TlsAcceptor(tls, onStream);
  const alsoPlain = acceptor === undefined || tls?.alsoPlain === true;
  const options = {
    noDelay: true,
    highWaterMark: highWaterBytes,
    allowHalfOpen: alsoPlain,
    // TLS reads for itself, and may have to wait for certificates first.
    pauseOnConnect: !alsoPlain,
  };
  const onPlain = (socket: Socket): void => onStream(new SocketStream(socket));
  const server = createServer(options, (socket) => {
    if (acceptor === undefined) onStream(acceptedStream(socket, highWaterBytes));
    else if (!alsoPlain) acceptor.accept(socket);
    else {
      byFirstByte(socket, tlsHandshakeTimeoutMs, {
        tls(one) {
          one.allowHalfOpen = false;
          acceptor.accept(one);
        },
        plain: onPlain,
      });
    }
  });
  if ('path' in address) await removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const where = 'path' in address ? { path: address.path } : { ...address, ...shared };
    server.listen({ ...where, backlog: acceptBacklog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', () => {}); // accept failed (no file descriptors): the next may succeed
  return {
    address: boundAddress(server, address),
    close: () => closeServer(server),
    keepAlive: (keeps) => void (keeps ? server.ref() : server.unref()),
  };
}

async function connect(
  address: NetworkAddress,
  tls: TlsOptions | undefined,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ByteStream> {
  return connectNow(address, await (tls?.current?.() ?? tls), timeoutMs, signal);
}

function connectNow(
  address: NetworkAddress,
  tls: TlsOptions | undefined,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(signal.reason);
      return;
    }
    const where = 'path' in address ? { path: address.path } : address;
    const options = {
      ...where,
      lookup: lookupHost,
      noDelay: true,
      highWaterMark: highWaterBytes,
      allowHalfOpen: true,
    };
    let socket: Socket;
    const reads = tls === undefined ? new SharedReads() : undefined;
    try {
      socket =
        tls === undefined
          ? netConnect({ ...options, ...reads })
          : tlsConnect({ ...options, ...tlsConnectOptions(tls, address) });
    } catch (error) {
      reject(error); // unusable certificates
      return;
    }
    const timer = setTimeout(() => failed(new Error('connect timeout')), timeoutMs);
    const takeBack = onAbort(signal, () => failed(signal?.reason));
    const failed = (error: Error): void => {
      clearTimeout(timer);
      takeBack();
      socket.destroy();
      reject(error);
    };
    const early = (): void => failed(new Error('closed while connecting'));
    const isUnix = 'path' in address;
    const onError = (error: Error): void => {
      failed(
        isRefusal(error, isUnix)
          ? new ConnectionRefusedError(error.message, { cause: error })
          : error,
      );
    };
    socket.once('error', onError);
    socket.once('close', early);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      const denial = tls === undefined ? undefined : denialOf(socket as TLSSocket, tls);
      if (denial !== undefined) {
        failed(new Error(denial));
        return;
      }
      clearTimeout(timer);
      takeBack();
      socket.off('error', onError);
      socket.off('close', early);
      const identity = tls === undefined ? noIdentity : identityOf(socket as TLSSocket);
      resolve(new SocketStream(socket, identity, reads));
    });
  });
}

/**
 * Of a host with several addresses each must say so. Whoever stops in an orderly way takes the file
 * of its unix socket along.
 */
function isRefusal(error: Error, isUnix: boolean): boolean {
  if (error instanceof AggregateError) return error.errors.every((one) => isRefusal(one, isUnix));
  const { code }: NodeJS.ErrnoException = error;
  return code === 'ECONNREFUSED' || (isUnix && code === 'ENOENT');
}

function boundAddress(server: Server, asked: NetworkAddress): NetworkAddress {
  const bound = server.address();
  if ('path' in asked || bound === null || typeof bound === 'string') return asked;
  return { host: asked.host, port: bound.port };
}

/** A socket file that nobody listens on any more is left by a process that died. */
async function removeStaleSocket(path: string): Promise<void> {
  const alive = await new Promise<boolean>((resolve) => {
    const probe = netConnect({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
  if (!alive) await nodeDisk.remove(path);
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Node waits for open connections as well; the port's `close` does not.
    server.close();
    setImmediate(resolve);
  });
}
