/**
 * Why there is no connection, for who has to mend it. Transports say "protocol error" or "socket
 * disconnected" when the other side speaks something else; so when a dial failed for a reason that
 * may be of that kind, the endpoint is asked once more, on a socket of its own, what it speaks.
 *
 * A fault is permanent if trying again can't help: a certificate that is not trusted, a server of
 * another kind. Calls are then told at once. (The next call tries again: somebody may have mended
 * it.)
 */

import { probeTimeoutMs } from '../limits.js';
import type { Endpoint } from './endpoint.js';
import type { DialOptions } from './link.js';
import { type Probed, probe } from './network-node.js';

/** Why a dial failed. */
export interface Fault {
  readonly error: Error;
  readonly permanent: boolean;
  /** It is about certificates: other ones, of ours or of theirs, may do. */
  readonly ofCertificates?: boolean;
}

/** Nobody is there now: what all servers look like that are down or far away. */
const away =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENETDOWN|ENOENT|EMFILE|client was closed|no answer in|no connection (to|in) /;

/** Words of OpenSSL and Node about the certificate of a server -> what helps. */
const certificates: ReadonlyArray<readonly [RegExp, string]> = [
  [/altnames|ERR_TLS_CERT_ALTNAME_INVALID/, 'name it with tls.serverName, or use the name it has'],
  [/has expired|CERT_HAS_EXPIRED/, 'the server needs a new one'],
  [/not yet valid|CERT_NOT_YET_VALID/, 'are the clocks right?'],
  [
    /self.signed certificate|unable to (verify|get)|UNABLE_TO_|SELF_SIGNED/,
    'give the authority it comes from as tls.ca',
  ],
  [/certificate revoked|CERT_REVOKED/, 'the server needs a new one'],
];

/** The other side did not like ours, or missed one. */
const refusedOurs =
  /alert (certificate required|bad certificate|unknown ca|certificate (expired|revoked|unknown)|handshake failure|number (116|42|48|45|44|46|40))|ALERT_(CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA)/i;

/**
 * What is wrong with the endpoint; `failed` is what the dial failed with. One that was connected to
 * before is of the right kind, and is not asked.
 */
export async function diagnose(
  failed: Error,
  endpoint: Endpoint,
  options: DialOptions & { readonly wasConnected: boolean },
): Promise<Fault> {
  const { code } = failed as { readonly code?: unknown };
  if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
    return fault(failed, "transport 'grpc-js' needs a package: npm install @grpc/grpc-js");
  }
  const text = `${code ?? ''} ${failed.message}`;
  const certificate = certificates.find(([words]) => words.test(text));
  const { address } = endpoint;
  if (certificate !== undefined) {
    const why = shortOf(failed.message);
    return certificateFault(
      failed,
      `the certificate of ${address} is refused: ${why}; ${certificate[1]}`,
    );
  }
  if (refusedOurs.test(text)) {
    const { cert } = options.tls ?? {};
    const what =
      cert === undefined
        ? 'a client certificate (tls.cert, tls.key)'
        : 'another client certificate';
    return certificateFault(failed, `${address} wants ${what}: ${shortOf(failed.message)}`);
  }
  if (options.wasConnected || away.test(text) || options.signal.aborted) {
    return { error: failed, permanent: false };
  }
  return asked(failed, endpoint, options);
}

const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1');
const get = (path: string, host: string): Buffer =>
  Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);

type Speaks = 'http/2' | 'http/1' | 'tls' | 'nothing';

/** Says what the endpoint speaks, where that is not what was expected of it. */
async function asked(failed: Error, endpoint: Endpoint, options: DialOptions): Promise<Fault> {
  const { address } = endpoint;
  const tls = options.tls !== undefined || endpoint.secure;
  const found = await speaks(endpoint, tls, options.signal);
  if (!tls && found === 'tls') {
    return fault(failed, `${address} speaks TLS: use https:// or give \`tls\``);
  }
  if (tls && found === 'nothing') {
    const plain = await speaks(endpoint, false, options.signal);
    if (plain === 'http/2' || plain === 'http/1') {
      return fault(failed, `${address} does not speak TLS: use http://, and no \`tls\``);
    }
  }
  if (found === 'http/1') {
    if (await isPeerPort(endpoint, tls, options.signal)) {
      const hint = 'clients have a port of their own, by default 2379';
      return fault(failed, `${address} is the port for peers of an etcd member: ${hint}`);
    }
    return fault(failed, `${address} is an HTTP/1 server, or a proxy that can't do HTTP/2`);
  }
  return { error: failed, permanent: false };
}

async function speaks(endpoint: Endpoint, tls: boolean, signal: AbortSignal): Promise<Speaks> {
  const enough = (answer: Buffer): boolean => answer.length >= 9;
  const answer = await ask(endpoint, tls, preface, signal, enough);
  const { bytes, secured } = answer;
  if (bytes.subarray(0, 5).toString('latin1') === 'HTTP/') return 'http/1';
  // A frame of SETTINGS is what an HTTP/2 server says first.
  if (bytes.length >= 9 && bytes[3] === 4) return 'http/2';
  if (tls) return secured ? 'tls' : 'nothing';
  // An alert; or silence, from servers that just hang up.
  if (bytes[0] === 0x15 && bytes[1] === 3) return 'tls';
  if (bytes.length > 0) return 'nothing';
  return (await ask(endpoint, true, preface, signal, enough)).secured ? 'tls' : 'nothing';
}

/** etcd has its members at this path of the peers' port; at the clients' it is not there. */
async function isPeerPort(endpoint: Endpoint, tls: boolean, signal: AbortSignal): Promise<boolean> {
  const request = get('/members', endpoint.address);
  const { bytes } = await ask(endpoint, tls, request, signal, () => false);
  return /^HTTP\/1\.1 200.*"peerURLs"/s.test(bytes.toString('latin1'));
}

function ask(
  { host, port }: Endpoint,
  tls: boolean,
  bytes: Buffer,
  signal: AbortSignal,
  enough: (answer: Buffer) => boolean,
): Promise<Probed> {
  const address = port === 0 ? { path: host } : { host, port };
  return probe(address, tls, bytes, { timeoutMs: probeTimeoutMs, signal, enough });
}

function fault(cause: Error, message: string): Fault {
  return { error: new Error(message, { cause }), permanent: true };
}

function certificateFault(cause: Error, message: string): Fault {
  return { ...fault(cause, message), ofCertificates: true };
}

/** Without what grpc-js and OpenSSL write around it. */
function shortOf(message: string): string {
  return message
    .replace(/^No connection established\. Last error: (Error: )?/, '')
    .replace(/\s*\(\d{4}-[\dT:.-]+Z\)\.? ?Resolution note:.*$/s, '')
    .replace(/^[0-9A-F]+:error:[^:]*:[^:]*:[^:]*:([^:]*):.*$/s, '$1')
    .trim();
}
