/**
 * What the other side of a TLS socket presented, for those that decide on more than whether it is
 * believed, and whom it proved to be.
 */

import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { PeerIdentity, TlsPresented } from '../../common/index.js';

/** With its own certificate as it came (DER). */
export interface PresentedCertificate extends TlsPresented {
  readonly raw: Uint8Array;
}

/** The certificates of a finished handshake; undefined if none was presented. */
export function presentedBy(socket: TLSSocket): PresentedCertificate | undefined {
  const own = certificateOf(socket);
  if (own === undefined) return undefined;
  // What was presented, as it was presented; not the chain that was made of it.
  const serials: string[] = [];
  for (
    let certificate: X509Certificate | undefined = own;
    certificate !== undefined;
    certificate = certificate.issuerCertificate
  ) {
    serials.push(certificate.serialNumber);
  }
  const names = alternativeNames(own.subjectAltName ?? '');
  return {
    serials,
    commonName: commonNameOf(own),
    hostNames: names.flatMap(([kind, name]) => (kind === 'DNS' ? [name] : [])),
    addresses: names.flatMap(([kind, name]) => (kind === 'IP Address' ? [name] : [])),
    isFor: (host) => isCertificateFor(own, host),
    raw: own.raw,
  };
}

/** Whom the other side proved to be. */
export function identityOf(socket: TLSSocket): PeerIdentity {
  if (!socket.authorized) return { commonName: '', certificateVerified: false };
  const own = certificateOf(socket);
  return { commonName: own === undefined ? '' : commonNameOf(own), certificateVerified: true };
}

/** Of sockets that were asked: a client's forgets the answer when it gives it (Node 20). */
const certificates = new WeakMap<TLSSocket, X509Certificate>();

function certificateOf(socket: TLSSocket): X509Certificate | undefined {
  const known = certificates.get(socket);
  if (known !== undefined) return known;
  const certificate = socket.getPeerX509Certificate();
  if (certificate !== undefined) certificates.set(socket, certificate);
  return certificate;
}

function commonNameOf(certificate: X509Certificate): string {
  const name: unknown = certificate.toLegacyObject().subject?.CN;
  // Of several, Go's crypto/x509 keeps the last; etcd's users are called by that.
  const last: unknown = Array.isArray(name) ? name.at(-1) : name;
  return typeof last === 'string' ? last : '';
}

/**
 * Pairs of kind and value from Node's text: `DNS:a, IP Address:10.0.0.1, DNS:"with, comma"`. Values
 * with anything in them that could be taken for the text around them are quoted as in JSON.
 */
function alternativeNames(text: string): ReadonlyArray<readonly [string, string]> {
  const names: Array<readonly [string, string]> = [];
  const one = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;
  for (let found = one.exec(text); found !== null; found = one.exec(text)) {
    const [, kind = '', value = ''] = found;
    names.push([kind, value.startsWith('"') ? String(JSON.parse(value)) : value]);
  }
  return names;
}

const byNamesOnly = { subject: 'never', partialWildcards: false } as const;

/** See {@link TlsPresented.isFor}. */
export function isCertificateFor(certificate: X509Certificate, host: string): boolean {
  const address = plainAddress(host);
  if (address !== undefined) return certificate.checkIP(address) !== undefined;
  return certificate.checkHost(host.replace(/\.$/, ''), byNamesOnly) !== undefined;
}

/**
 * An IP address as certificates have it: without brackets and zone, and an IPv4 address that a
 * socket for both kinds shows as `::ffff:10.0.0.1` as what it is. Undefined if it is no address.
 */
export function plainAddress(host: string): string | undefined {
  const bare = host.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  const address = mapped ?? bare;
  return isIP(address) === 0 ? undefined : address;
}
