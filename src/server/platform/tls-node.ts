/**
 * TLS on the sockets of Node: what the Network port of this machine uses for https:// and unixs://.
 * Beside network-node.ts the only file of the server that imports node:tls.
 */

import { constants } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type ConnectionOptions,
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsServer,
} from 'node:tls';
import type {
  ByteStream,
  NetworkAddress,
  PeerIdentity,
  TlsOptions,
  TlsRefusalKind,
} from '../../common/index.js';
import { peerName, SocketStream } from '../../transport/index.js';

/** For a handshake, and for the first byte of it. */
export const tlsHandshakeTimeoutMs = 10_000;

/** Makes streams of accepted sockets by a TLS handshake. */
export class TlsAcceptor {
  readonly #server: TlsServer;
  readonly #tls: TlsOptions;
  /** `#tls` as it is now. */
  #now: TlsOptions;
  /** Sockets that are closed do not know it any more. */
  readonly #addresses = new WeakMap<Socket, string>();

  /** Throws if the certificate or the key is unusable. */
  constructor(tls: TlsOptions, onStream: (stream: ByteStream) => void) {
    const verify = tls.requireClientCertificate === true;
    this.#tls = tls;
    this.#now = tls;
    this.#server = createTlsServer({
      ...contextOptions(tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: tlsHandshakeTimeoutMs,
      requestCert: verify,
      rejectUnauthorized: verify,
    });
    setContext(this.#server, tls);
    this.#server.on('secureConnection', (socket) => {
      const reason = refusalOf(socket, this.#now);
      if (reason !== undefined) {
        this.#refused(socket, 'revoked', reason);
        return;
      }
      // Until now an end from the other side ended the handshake; a stream may go on in one
      // direction.
      socket.allowHalfOpen = true;
      onStream(new SocketStream(socket, identityOf(socket)));
    });
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const { authorizationError } = socket;
      if (authorizationError) this.#refused(socket, 'certificate', String(authorizationError));
      else this.#refused(socket, kindOf(error), reasonOf(error));
    });
  }

  /** Takes over a socket that was just accepted, paused, and with `allowHalfOpen` off. */
  accept(socket: Socket): void {
    this.#addresses.set(socket, peerName(socket));
    const latest = this.#tls.current?.() ?? this.#tls;
    if (latest instanceof Promise) {
      socket.on('error', ignore); // it is not TLS's yet
      void latest.then((tls) => {
        if (!socket.destroyed) this.#handshake(socket, tls);
      });
    } else {
      this.#handshake(socket, latest);
    }
  }

  #handshake(socket: Socket, tls: TlsOptions): void {
    if (tls !== this.#now) {
      this.#now = tls;
      setContext(this.#server, tls);
    }
    this.#server.emit('connection', socket);
  }

  /** Concerns only the one who tried it. */
  #refused(socket: TLSSocket, kind: TlsRefusalKind, reason: string): void {
    // What TLS runs on; there is no other way to it.
    const below = (socket as { readonly _parent?: Socket })._parent;
    const known = below === undefined ? undefined : this.#addresses.get(below);
    const remoteAddress = known ?? peerName(socket);
    const serverName = typeof socket.servername === 'string' ? socket.servername : '';
    // Node leaves the socket open if it was the time that ran out.
    socket.destroy();
    this.#tls.onRefused?.({ kind, remoteAddress, serverName, reason });
  }
}

function setContext(server: TlsServer, tls: TlsOptions): void {
  server.setSecureContext(contextOptions(tls));
  // Node 20 to 26 make the context of a server without `allowPartialTrustChain`, and there is no
  // other way to hand in one of our own for clients that name no server. Should a later Node not
  // look here any more, it has the context above, which trusts roots only.
  Object.assign(server, { _sharedCreds: contextOf(tls) });
}

function ignore(): void {}

/** Why the other side is refused although its certificate is believed. */
export function refusalOf(socket: TLSSocket, tls: TlsOptions): string | undefined {
  if (tls.refusal === undefined) return undefined;
  const serials: string[] = [];
  // What was presented, as it was presented; not the chain that was made of it.
  for (
    let certificate = socket.getPeerX509Certificate();
    certificate !== undefined;
    certificate = certificate.issuerCertificate
  ) {
    serials.push(certificate.serialNumber);
  }
  return tls.refusal(serials);
}

/** OpenSSL's errors have a code made of their text, and that text. */
interface TlsError extends Error {
  readonly code?: string;
  readonly reason?: string;
  readonly syscall?: string;
}

function kindOf({ code = '', syscall }: TlsError): TlsRefusalKind {
  if (code === 'ERR_TLS_HANDSHAKE_TIMEOUT') return 'timeout';
  if (code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE') return 'certificate';
  if (code.startsWith('ERR_')) return 'protocol';
  return syscall === undefined ? 'closed' : 'reset';
}

function reasonOf(error: TlsError): string {
  if (kindOf(error) === 'closed') return 'closed during the handshake';
  return error.reason ?? error.message;
}

/** Options of tls.connect beside those of the socket; throws if a certificate is unusable. */
export function tlsConnectOptions(tls: TlsOptions, address: NetworkAddress): ConnectionOptions {
  const host = 'path' in address ? 'localhost' : address.host;
  // SNI takes names only; the certificate is checked against the address all the same.
  const isAddress = /^[0-9.]+$|:/.test(host);
  const serverName = tls.serverName ?? (isAddress ? undefined : host);
  return {
    secureContext: contextOf(tls),
    ALPNProtocols: ['h2'],
    rejectUnauthorized: tls.insecureSkipVerify !== true,
    ...(serverName === undefined ? {} : { servername: serverName }),
  };
}

/** Whom the other side proved to be. */
export function identityOf(socket: TLSSocket): PeerIdentity {
  if (!socket.authorized) return { commonName: '', certificateVerified: false };
  const subject = socket.getPeerCertificate()?.subject;
  const name: unknown = subject?.CN;
  // A subject may have several common names; the first counts, as for crypto/x509 in Go.
  const first: unknown = Array.isArray(name) ? name[0] : name;
  return { commonName: typeof first === 'string' ? first : '', certificateVerified: true };
}

/** Of options that were used before: members dial each other again and again. */
const contexts = new WeakMap<TlsOptions, SecureContext>();

/** Throws if a certificate or key is unusable. */
export function contextOf(tls: TlsOptions): SecureContext {
  let context = contexts.get(tls);
  if (context === undefined) {
    context = createSecureContext(contextOptions(tls));
    contexts.set(tls, context);
  }
  return context;
}

function contextOptions(tls: TlsOptions): SecureContextOptions {
  const pem = (value: Uint8Array | string): Buffer | string =>
    typeof value === 'string' ? value : Buffer.from(value);
  return {
    ...(tls.cert === undefined ? {} : { cert: pem(tls.cert) }),
    ...(tls.key === undefined ? {} : { key: pem(tls.key) }),
    ...(tls.ca === undefined ? {} : { ca: pem(tls.ca) }),
    ...(tls.cipherSuites === undefined ? {} : { ciphers: tls.cipherSuites.join(':') }),
    // Any certificate of `ca` is an anchor, as in Go, not only one that signed itself.
    allowPartialTrustChain: true,
    honorCipherOrder: true,
    // A session that is taken up again would not be verified again.
    ...(tls.requireClientCertificate === true ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
    minVersion: tls.minVersion ?? 'TLSv1.2',
    maxVersion: tls.maxVersion ?? 'TLSv1.3',
  };
}
