/**
 * What a member tells by plain HTTP beside its RPCs: GET of a path at its client port, with the TLS
 * of the client. The certificate that it showed is told even if it is not good enough.
 */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import { type Clock, onAbort } from '../../common/index.js';
import { type ClientTls, parseEndpoint, secureContextOf } from '../connection/index.js';

/** What is asked, and for how long. */
export interface PlainGetOptions {
  /** `http(s)://host:port` */
  readonly endpoint: string;
  readonly path: string;
  readonly timeoutMs: number;
  /** An answer that is longer is refused. */
  readonly bytesMax: number;
  readonly signal?: AbortSignal | undefined;
}

/** The certificate that the other side showed. */
export interface ShownCertificate {
  readonly subject: string;
  /** Of its end, milliseconds since the Unix epoch; of the first in its chain to end. */
  readonly endsMs: number;
  /** Why it is refused; undefined: it is good. */
  readonly refusedFor: string | undefined;
}

/** What came back; `error` says why nothing did. */
export interface PlainAnswer {
  readonly status: number;
  readonly body: string;
  /** The Date of the answer on the wall clock of the other side; whole seconds. */
  readonly dateMs: number | undefined;
  readonly certificate: ShownCertificate | undefined;
  /** `ECONNREFUSED: ...`; undefined: there is an answer. */
  readonly error: string | undefined;
}

/** Never rejects. */
export function plainGet(
  options: PlainGetOptions,
  tls: ClientTls | undefined,
  clock: Clock,
): Promise<PlainAnswer> {
  return new Promise((resolve) => new Get(options, tls, clock, resolve).start());
}

class Get {
  readonly #options: PlainGetOptions;
  readonly #tls: ClientTls | undefined;
  readonly #clock: Clock;
  readonly #resolve: (answer: PlainAnswer) => void;
  #certificate: ShownCertificate | undefined;

  constructor(
    options: PlainGetOptions,
    tls: ClientTls | undefined,
    clock: Clock,
    resolve: (answer: PlainAnswer) => void,
  ) {
    this.#options = options;
    this.#tls = tls;
    this.#clock = clock;
    this.#resolve = resolve;
  }

  start(): void {
    const { endpoint, path, timeoutMs, signal } = this.#options;
    const { host, port, secure } = parseEndpoint(endpoint);
    const where = port === 0 ? { socketPath: host } : { host, port };
    const common = { ...where, path, agent: false as const, headers: { host: hostOf(endpoint) } };
    const asked = secure
      ? httpsRequest({ ...common, ...this.#secured() })
      : httpRequest({ ...common });
    const timer = this.#clock.after(timeoutMs, () => asked.destroy(new Error('no answer in time')));
    const takeBack = onAbort(signal, () => asked.destroy(new Error('aborted')));
    const end = (answer: Partial<PlainAnswer>): void => {
      timer.cancel();
      takeBack();
      const none = { status: 0, body: '', dateMs: undefined, error: undefined };
      this.#resolve({ ...none, ...answer, certificate: this.#certificate });
    };
    asked.on('error', (error) => end({ error: textOf(error) }));
    asked.on('socket', (socket) => {
      if (!secure) return;
      socket.once('secureConnect', () => {
        const refused = this.#look(socket as TLSSocket);
        if (refused !== undefined) asked.destroy(new Error(refused));
      });
    });
    asked.on('response', (response) => this.#read(response, end));
    asked.end();
  }

  /** All are let in here, and looked at before anything is read. */
  #secured() {
    const tls = this.#tls ?? {};
    const { serverName } = tls;
    return {
      secureContext: secureContextOf(tls),
      rejectUnauthorized: false,
      ...(serverName === undefined ? {} : { servername: serverName }),
    };
  }

  /** Why the other side is not believed; undefined: it is. */
  #look(socket: TLSSocket): string | undefined {
    const shown = socket.getPeerCertificate(true);
    const refusedFor = socket.authorized
      ? undefined
      : String(socket.authorizationError ?? 'not trusted');
    const names = shown.subject as { readonly CN?: string } | undefined;
    const subject = names?.CN ?? shown.subjectaltname ?? '';
    this.#certificate = { subject, endsMs: endOf(shown), refusedFor };
    if (this.#tls?.insecureSkipVerify === true) return undefined;
    return refusedFor === undefined ? undefined : `the certificate is refused: ${refusedFor}`;
  }

  #read(response: IncomingMessage, end: (answer: Partial<PlainAnswer>) => void): void {
    const pieces: Buffer[] = [];
    let bytes = 0;
    response.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > this.#options.bytesMax) response.destroy(new Error('the answer is too long'));
      else pieces.push(piece);
    });
    response.on('error', (error) => end({ error: textOf(error) }));
    response.on('end', () => {
      const { date } = response.headers;
      const dateMs = date === undefined ? Number.NaN : Date.parse(date);
      end({
        status: response.statusCode ?? 0,
        body: Buffer.concat(pieces).toString('utf8'),
        dateMs: Number.isNaN(dateMs) ? undefined : dateMs,
      });
    });
  }
}

function hostOf(endpoint: string): string {
  const { address, port } = parseEndpoint(endpoint);
  return port === 0 ? 'localhost' : address;
}

function textOf(error: Error): string {
  const { code, message } = error as Error & { readonly code?: string };
  // Several addresses of one name: the message is empty then.
  return message === '' ? String(code ?? 'failed') : message;
}

/** The first end in the chain; an authority that signed itself stands in it twice. */
function endOf(leaf: DetailedPeerCertificate): number {
  let endsMs = Number.POSITIVE_INFINITY;
  const seen = new Set<unknown>();
  for (let one: DetailedPeerCertificate | undefined = leaf; one !== undefined && !seen.has(one); ) {
    seen.add(one);
    const end = Date.parse(one.valid_to);
    if (!Number.isNaN(end)) endsMs = Math.min(endsMs, end);
    const next: DetailedPeerCertificate | undefined = one.issuerCertificate;
    one = next;
  }
  return endsMs;
}
