/**
 * TLS on the sockets of Node: what the Network port of this machine uses for https:// and unixs://.
 * What the other side presented is in tls-presented.ts.
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
  TlsDenial,
  TlsOptions,
  TlsPresented,
  TlsRefusalKind,
} from '../../common/index.js';
import { namesOfAddress, peerName, resolveHost, SocketStream } from '../../transport/index.js';
import { addressProblem, type HostNames } from './client-address.js';
import { nodeClock } from './clock-node.js';
import { HandshakeSlots } from './handshake-slots.js';
import { identityOf, type PresentedCertificate, presentedBy } from './tls-presented.js';

/** For a handshake, and for the first byte of it. */
export const tlsHandshakeTimeoutMs = 10_000;

/** TLS of a listener; who is refused may have to be asked elsewhere. */
export interface AcceptorTls extends Omit<TlsOptions, 'current' | 'denial'> {
  readonly current?: () => AcceptorTls | Promise<AcceptorTls>;
  readonly denial?: (
    presented: PresentedCertificate,
  ) => TlsDenial | undefined | Promise<TlsDenial | undefined>;
}

/** Makes streams of accepted sockets by a TLS handshake. */
export class TlsAcceptor {
  readonly #server: TlsServer;
  readonly #tls: AcceptorTls;
  readonly #onStream: (stream: ByteStream) => void;
  readonly #slots = new HandshakeSlots<Socket>({
    clock: nodeClock,
    waitMsMax: tlsHandshakeTimeoutMs,
    refuse: (socket, reason) => this.#refusedBelow(socket, undefined, 'crowded', reason),
  });
  /** `#tls` as it is now. */
  #now: AcceptorTls;
  /**
   * Of sockets that were neither admitted nor refused yet: sockets that are closed do not know it
   * any more.
   */
  readonly #addresses = new WeakMap<Socket, string>();

  /** Throws if the certificate or the key is unusable. */
  constructor(tls: AcceptorTls, onStream: (stream: ByteStream) => void) {
    const verify = tls.requireClientCertificate === true;
    this.#tls = tls;
    this.#now = tls;
    this.#onStream = onStream;
    this.#server = createTlsServer({
      ...contextOptions(tls),
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: tlsHandshakeTimeoutMs,
      requestCert: verify,
      rejectUnauthorized: verify,
    });
    setContext(this.#server, tls);
    this.#server.on('secureConnection', (socket) => this.#verified(socket));
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const { authorizationError } = socket;
      if (authorizationError) this.#refused(socket, 'certificate', String(authorizationError));
      else this.#refused(socket, kindOf(error), reasonOf(error));
    });
  }

  /** Takes over a socket that was just accepted, paused, and with `allowHalfOpen` off. */
  accept(socket: Socket): void {
    this.#addresses.set(socket, peerName(socket));
    socket.on('error', ignore); // it is not TLS's yet
    this.#slots.take(socket, () => {
      const latest = this.#tls.current?.() ?? this.#tls;
      if (!(latest instanceof Promise)) {
        this.#handshake(socket, latest);
        return;
      }
      void latest.then((tls) => {
        if (!socket.destroyed) this.#handshake(socket, tls);
      });
    });
  }

  #handshake(socket: Socket, tls: AcceptorTls): void {
    if (tls !== this.#now) {
      this.#now = tls;
      setContext(this.#server, tls);
    }
    this.#server.emit('connection', socket);
  }

  /** TLS is agreed on, and believes the certificate if it asked for one. */
  #verified(socket: TLSSocket): void {
    const { checkClientAddress, denial: denialBy } = this.#now;
    const isLookedAt = denialBy !== undefined || checkClientAddress === true;
    const presented = isLookedAt ? presentedBy(socket) : undefined;
    const isHeldToIt = checkClientAddress === true;
    const denial = presented === undefined ? undefined : denialBy?.(presented);
    if (denial instanceof Promise) void this.#decideLater(socket, presented, isHeldToIt, denial);
    else this.#decide(socket, presented, isHeldToIt, denial);
  }

  async #decideLater(
    socket: TLSSocket,
    presented: TlsPresented | undefined,
    isHeldToIt: boolean,
    asked: Promise<TlsDenial | undefined>,
  ): Promise<void> {
    socket.on('error', ignore);
    const denial = await asked;
    if (socket.destroyed) this.#refused(socket, 'closed', 'closed during the handshake');
    else this.#decide(socket, presented, isHeldToIt, denial);
  }

  #decide(
    socket: TLSSocket,
    presented: TlsPresented | undefined,
    isHeldToIt: boolean,
    denial: TlsDenial | undefined,
  ): void {
    if (denial !== undefined) {
      this.#refused(socket, denial.kind, denial.reason);
      return;
    }
    // Until now an end from the other side ended the handshake; a stream may go on in one
    // direction.
    socket.allowHalfOpen = true;
    const { remoteAddress } = socket;
    if (!isHeldToIt || presented === undefined || remoteAddress === undefined) {
      this.#admit(socket);
      return;
    }
    const problem = addressProblem(presented, remoteAddress, hostNames);
    if (problem instanceof Promise) void this.#admitLater(socket, problem);
    else if (problem === undefined) this.#admit(socket);
    else this.#refused(socket, 'certificate', problem);
  }

  /** Names are being asked for; the time for that is bounded as that for the handshake. */
  async #admitLater(socket: TLSSocket, asked: Promise<string | undefined>): Promise<void> {
    socket.on('error', ignore);
    const problem = await new Promise<string | undefined>((resolve) => {
      const timer = nodeClock.after(tlsHandshakeTimeoutMs, () => {
        resolve('looking for the host names of the certificate took too long');
      });
      void asked.then((found) => {
        timer.cancel();
        resolve(found);
      });
    });
    if (socket.destroyed) this.#refused(socket, 'closed', 'closed during the handshake');
    else if (problem !== undefined) this.#refused(socket, 'certificate', problem);
    else this.#admit(socket);
  }

  #admit(socket: TLSSocket): void {
    const below = belowOf(socket);
    if (below !== undefined) {
      this.#addresses.delete(below);
      this.#slots.release(below);
    }
    this.#onStream(new SocketStream(socket, identityOf(socket)));
  }

  /** Concerns only the one who tried it. */
  #refused(socket: TLSSocket, kind: TlsRefusalKind, reason: string): void {
    const below = belowOf(socket);
    if (below !== undefined) this.#refusedBelow(below, socket, kind, reason);
    // Node leaves the socket open if it was the time that ran out.
    socket.destroy();
  }

  /** `below` is what TLS runs on, or was to run on. */
  #refusedBelow(
    below: Socket,
    socket: TLSSocket | undefined,
    kind: TlsRefusalKind,
    reason: string,
  ): void {
    const remoteAddress = this.#addresses.get(below);
    if (remoteAddress === undefined) return; // it was told
    this.#addresses.delete(below);
    const serverName = socket === undefined ? '' : serverNameOf(socket);
    const isAboutIt = kind === 'certificate' || kind === 'revoked';
    const presented = isAboutIt && socket !== undefined ? presentedBy(socket) : undefined;
    (socket ?? below).destroy();
    this.#slots.release(below);
    this.#tls.onRefused?.({ kind, remoteAddress, serverName, reason, presented });
  }
}

const hostNames: HostNames = { namesOf: namesOfAddress, addressesOf: resolveHost };

/** What TLS runs on; there is no other way to it. */
function belowOf(socket: TLSSocket): Socket | undefined {
  return (socket as { readonly _parent?: Socket })._parent;
}

function serverNameOf({ servername }: TLSSocket): string {
  return typeof servername === 'string' ? servername : '';
}

function setContext(server: TlsServer, tls: AcceptorTls): void {
  server.setSecureContext(contextOptions(tls));
  // Node 20 to 26 make the context of a server without `allowPartialTrustChain`, and there is no
  // other way to hand in one of our own for clients that name no server. Should a later Node not
  // look here any more, it has the context above, which trusts roots only.
  Object.assign(server, { _sharedCreds: contextOf(tls) });
}

function ignore(): void {}

/** Why the server that was dialled is refused although its certificate is believed. */
export function denialOf(socket: TLSSocket, tls: TlsOptions): string | undefined {
  const presented = tls.denial === undefined ? undefined : presentedBy(socket);
  return presented === undefined ? undefined : tls.denial?.(presented)?.reason;
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

/** What a context is made of. */
type Certificates = Omit<TlsOptions, 'current' | 'denial'>;

/** Of options that were used before: members dial each other again and again. */
const contexts = new WeakMap<Certificates, SecureContext>();

/** Throws if a certificate or key is unusable. */
export function contextOf(tls: Certificates): SecureContext {
  let context = contexts.get(tls);
  if (context === undefined) {
    context = createSecureContext(contextOptions(tls));
    contexts.set(tls, context);
  }
  return context;
}

function contextOptions(tls: Certificates): SecureContextOptions {
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
