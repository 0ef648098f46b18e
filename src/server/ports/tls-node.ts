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
import type { ByteStream, NetworkAddress, PeerIdentity, TlsOptions } from '../../common/index.js';
import { SocketStream } from '../../transport/index.js';

const tlsHandshakeTimeoutMs = 10_000;

/** Makes streams of accepted sockets by a TLS handshake. */
export class TlsAcceptor {
  readonly #server: TlsServer;

  /** Throws if the certificate or the key is unusable. */
  constructor(tls: TlsOptions, onStream: (stream: ByteStream) => void) {
    const verify = tls.requireClientCertificate === true;
    this.#server = createTlsServer({
      ...contextOptions(tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: tlsHandshakeTimeoutMs,
      requestCert: verify,
      rejectUnauthorized: verify,
    });
    this.#use(tls);
    this.#server.on('secureConnection', (socket) => {
      // Until now an end from the other side ended the handshake; a stream may go on in one direction.
      socket.allowHalfOpen = true;
      onStream(new SocketStream(socket, identityOf(socket)));
    });
    // A handshake that failed concerns only the one who tried it. Node leaves the socket open if it
    // was the time that ran out.
    this.#server.on('tlsClientError', (_error: Error, socket: TLSSocket) => socket.destroy());
  }

  /** Takes over a socket that was just accepted, with `allowHalfOpen` off. */
  accept(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  #use(tls: TlsOptions): void {
    const verify = tls.requireClientCertificate === true;
    const options = {
      ...contextOptions(tls),
      honorCipherOrder: true,
      // A session that is taken up again would not be verified again.
      ...(verify ? { secureOptions: constants.SSL_OP_NO_TICKET } : {}),
    };
    this.#server.setSecureContext(options);
    // Node 20 to 26 make the context of a server without `allowPartialTrustChain`, and there is no
    // other way to hand in one of our own for clients that name no server. Should a later Node not
    // look here any more, it has the context above, which trusts roots only.
    Object.assign(this.#server, { _sharedCreds: createSecureContext(options) });
  }
}

/** Options of tls.connect beside those of the socket; throws if a certificate is unusable. */
export function tlsConnectOptions(tls: TlsOptions, address: NetworkAddress): ConnectionOptions {
  const host = 'path' in address ? 'localhost' : address.host;
  // SNI takes names only; the certificate is checked against the address all the same.
  const isAddress = /^[0-9.]+$|:/.test(host);
  const serverName = tls.serverName ?? (isAddress ? undefined : host);
  return {
    secureContext: dialContext(tls),
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

/** Members dial each other again and again with the same options. */
const dialContexts = new WeakMap<TlsOptions, SecureContext>();

function dialContext(tls: TlsOptions): SecureContext {
  let context = dialContexts.get(tls);
  if (context === undefined) {
    context = createSecureContext(contextOptions(tls));
    dialContexts.set(tls, context);
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
    ...(tls.crl === undefined ? {} : { crl: pem(tls.crl) }),
    ...(tls.cipherSuites === undefined ? {} : { ciphers: tls.cipherSuites.join(':') }),
    // Any certificate of `ca` is an anchor, as in Go, not only one that signed itself.
    allowPartialTrustChain: true,
    minVersion: tls.minVersion ?? 'TLSv1.2',
    maxVersion: tls.maxVersion ?? 'TLSv1.3',
  };
}
