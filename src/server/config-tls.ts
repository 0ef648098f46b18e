/**
 * Certificates for the listeners and for calls to peers: read once, checked here, where the message
 * can name the flag, and not at the first handshake, where it could not.
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { TlsOptions } from '../common/index.js';
import type { Flags, ReadFile } from './flags.js';
import { fileProblem, quote, UsageError } from './flags-error.js';

/** TLS of one port. */
export interface PortTls {
  /** For all its listeners. */
  readonly listen: TlsOptions;
  /** For calls to the same kind of port at other members. */
  readonly dial: TlsOptions;
}

/** Flag names of the two ports: 'peer-' is put before those of the peer port. */
export type TlsPort = 'client' | 'peer';

/** TLS of a port; undefined without a certificate. Throws {@link UsageError}. */
export function readTls(port: TlsPort, flags: Flags, readFile: ReadFile): PortTls | undefined {
  const prefix = port === 'peer' ? 'peer-' : '';
  const cert = readPem(`${prefix}cert-file`, flags, readFile);
  const key = readPem(`${prefix}key-file`, flags, readFile);
  const ca = readPem(`${prefix}trusted-ca-file`, flags, readFile);
  const crl = readPem(port === 'peer' ? 'peer-crl-file' : 'client-crl-file', flags, readFile);
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError(`--${prefix}cert-file and --${prefix}key-file must be given together`);
  }
  const requireClientCertificate = flags.bool(`${prefix}client-cert-auth`) || ca !== undefined;
  if (ca !== undefined) checkCertificates(`${prefix}trusted-ca-file`, ca);
  const common = {
    ...(ca !== undefined && { ca }),
    ...(crl !== undefined && { crl }),
    ...versionsAndCiphers(flags),
  };
  if (cert === undefined || key === undefined) return undefined;
  checkPair(`${prefix}cert-file`, cert, `${prefix}key-file`, key);
  const dialPair = port === 'peer' ? peerDialPair(flags, readFile) : undefined;
  return {
    listen: { cert, key, requireClientCertificate, ...common },
    dial: { cert, key, ...dialPair, ...common },
  };
}

function peerDialPair(
  flags: Flags,
  readFile: ReadFile,
): { readonly cert: string; readonly key: string } | undefined {
  const cert = readPem('peer-client-cert-file', flags, readFile);
  const key = readPem('peer-client-key-file', flags, readFile);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError(
      '--peer-client-cert-file and --peer-client-key-file must be given together',
    );
  }
  checkPair('peer-client-cert-file', cert, 'peer-client-key-file', key);
  return { cert, key };
}

function readPem(flag: string, flags: Flags, readFile: ReadFile): string | undefined {
  const path = flags.text(flag);
  if (path === '') return undefined;
  try {
    return readFile(path);
  } catch (cause) {
    throw new UsageError(`--${flag} ${quote(path)} can't be read: ${fileProblem(cause)}`);
  }
}

const pemCertificate = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;

function checkCertificates(flag: string, pem: string): X509Certificate {
  let first: X509Certificate | undefined;
  for (const [block] of pem.matchAll(pemCertificate)) {
    try {
      const certificate = new X509Certificate(block);
      first ??= certificate;
    } catch (cause) {
      throw new UsageError(`--${flag} holds a certificate that can't be read: ${String(cause)}`);
    }
  }
  if (first === undefined) throw new UsageError(`--${flag} holds no PEM certificate`);
  return first;
}

function checkPair(certFlag: string, cert: string, keyFlag: string, key: string): void {
  const certificate = checkCertificates(certFlag, cert);
  let matches: boolean;
  try {
    matches = certificate.checkPrivateKey(createPrivateKey(key));
  } catch {
    // The cause may quote the key.
    throw new UsageError(`--${keyFlag} holds no unencrypted PEM private key`);
  }
  if (!matches) throw new UsageError(`--${keyFlag} is not the key of --${certFlag}`);
}

type Version = 'TLSv1.2' | 'TLSv1.3';

function versionsAndCiphers(flags: Flags): Partial<TlsOptions> {
  const minVersion = versionOf(flags.text('tls-min-version')) ?? 'TLSv1.2';
  const maxVersion = versionOf(flags.text('tls-max-version'));
  if (maxVersion !== undefined && maxVersion < minVersion) {
    throw new UsageError(`--tls-min-version is above --tls-max-version`);
  }
  const names = flags.list('cipher-suites');
  if (names.length > 0 && minVersion === 'TLSv1.3') {
    throw new UsageError('cipher suites cannot be configured when only TLS1.3 is enabled');
  }
  const cipherSuites = names.map(openSslName);
  return {
    minVersion,
    ...(maxVersion !== undefined && { maxVersion }),
    ...(cipherSuites.length > 0 && { cipherSuites }),
  };
}

function versionOf(text: string): Version | undefined {
  if (text === 'TLS1.2') return 'TLSv1.2';
  return text === 'TLS1.3' ? 'TLSv1.3' : undefined;
}

/** The suites of Go's crypto/tls that TLS 1.2 has and OpenSSL still offers. */
const openSslNames: ReadonlyMap<string, string> = new Map([
  ['TLS_RSA_WITH_AES_128_CBC_SHA', 'AES128-SHA'],
  ['TLS_RSA_WITH_AES_256_CBC_SHA', 'AES256-SHA'],
  ['TLS_RSA_WITH_AES_128_CBC_SHA256', 'AES128-SHA256'],
  ['TLS_RSA_WITH_AES_128_GCM_SHA256', 'AES128-GCM-SHA256'],
  ['TLS_RSA_WITH_AES_256_GCM_SHA384', 'AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA', 'ECDHE-ECDSA-AES128-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA', 'ECDHE-ECDSA-AES256-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA', 'ECDHE-RSA-AES128-SHA'],
  ['TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA', 'ECDHE-RSA-AES256-SHA'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256', 'ECDHE-ECDSA-AES128-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256', 'ECDHE-RSA-AES128-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256', 'ECDHE-ECDSA-AES128-GCM-SHA256'],
  ['TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-RSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
  ['TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
]);

function openSslName(name: string): string {
  const found = openSslNames.get(name);
  if (found === undefined) {
    throw new UsageError(`--cipher-suites: unexpected TLS cipher suite ${quote(name)}`);
  }
  return found;
}
