/**
 * The Network port on real sockets: TCP, TLS and unix. The only file that imports node:net and
 * node:tls. A socket's events are forwarded without a closure for each chunk.
 */

import { createServer, connect as netConnect, type Server, type Socket } from 'node:net';
import {
  type ConnectionOptions,
  createServer as createTlsServer,
  type TlsOptions as NodeTlsOptions,
  type SecureContextOptions,
  type TLSSocket,
  connect as tlsConnect,
} from 'node:tls';
import type {
  ByteStream,
  Listener,
  Network,
  NetworkAddress,
  PeerIdentity,
  TlsOptions,
} from '../../common/index.js';
import { SocketStream } from '../../transport/index.js';
import { nodeDisk } from './disk-node.js';

/** What `write` may gather before it says false; also the size of a read. */
const highWaterBytes = 256 * 1024;
const tlsHandshakeTimeoutMs = 10_000;
const acceptBacklog = 1_024;
const noIdentity: PeerIdentity = { commonName: '', certificateVerified: false };

/** The network of this machine. */
export const nodeNetwork: Network = { listen, connect };

async function listen(
  address: NetworkAddress,
  tls: TlsOptions | undefined,
  onStream: (stream: ByteStream) => void,
): Promise<Listener> {
  const options = { noDelay: true, highWaterMark: highWaterBytes, allowHalfOpen: true };
  const server =
    tls === undefined
      ? createServer(options, (socket) => onStream(new SocketStream(socket)))
      : createTlsServer({ ...options, ...serverTls(tls) }, (socket) =>
          onStream(new SocketStream(socket, identityOf(socket))),
        );
  // A handshake that failed concerns only the one who tried it. Node leaves the socket open if it
  // was the time that ran out.
  server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy());
  if ('path' in address) await removeStaleSocket(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const where = 'path' in address ? { path: address.path } : address;
    server.listen({ ...where, backlog: acceptBacklog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', () => {}); // accept failed (no file descriptors): the next may succeed
  return { address: boundAddress(server, address), close: () => closeServer(server) };
}

function connect(
  address: NetworkAddress,
  tls: TlsOptions | undefined,
  timeoutMs: number,
): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    const where = 'path' in address ? { path: address.path } : address;
    const options = { ...where, noDelay: true, highWaterMark: highWaterBytes, allowHalfOpen: true };
    let socket: Socket;
    try {
      socket =
        tls === undefined
          ? netConnect(options)
          : tlsConnect({ ...options, ...clientTls(tls, address) });
    } catch (error) {
      reject(error); // unusable certificates
      return;
    }
    const timer = setTimeout(() => failed(new Error('connect timeout')), timeoutMs);
    const failed = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const early = (): void => failed(new Error('closed while connecting'));
    socket.once('error', failed);
    socket.once('close', early);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      socket.off('close', early);
      const identity = tls === undefined ? noIdentity : identityOf(socket as TLSSocket);
      resolve(new SocketStream(socket, identity));
    });
  });
}

function identityOf(socket: TLSSocket): PeerIdentity {
  if (!socket.authorized) return noIdentity;
  const subject = socket.getPeerCertificate()?.subject;
  const name: unknown = subject?.CN;
  // A subject may have several common names; the first counts, as for crypto/x509 in Go.
  const first: unknown = Array.isArray(name) ? name[0] : name;
  return { commonName: typeof first === 'string' ? first : '', certificateVerified: true };
}

function material(tls: TlsOptions): SecureContextOptions {
  const pem = (value: Uint8Array | string): Buffer | string =>
    typeof value === 'string' ? value : Buffer.from(value);
  return {
    ...(tls.cert === undefined ? {} : { cert: pem(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: pem(tls.key) }),
    ...(tls.ca === undefined ? {} : { ca: pem(tls.ca) }),
    ...(tls.crl === undefined ? {} : { crl: pem(tls.crl) }),
    ...(tls.cipherSuites === undefined ? {} : { ciphers: tls.cipherSuites.join(':') }),
    minVersion: tls.minVersion ?? 'TLSv1.2',
    maxVersion: tls.maxVersion ?? 'TLSv1.3',
  };
}

function serverTls(tls: TlsOptions): NodeTlsOptions {
  const verify = tls.requireClientCertificate === true;
  return {
    ...material(tls),
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: tlsHandshakeTimeoutMs,
    requestCert: verify,
    rejectUnauthorized: verify,
  };
}

function clientTls(tls: TlsOptions, address: NetworkAddress): ConnectionOptions {
  const host = 'path' in address ? 'localhost' : address.host;
  // SNI takes names only; the certificate is checked against the address all the same.
  const isAddress = /^[0-9.]+$|:/.test(host);
  const serverName = tls.serverName ?? (isAddress ? undefined : host);
  return {
    ...material(tls),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: tls.insecureSkipVerify !== true,
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
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
