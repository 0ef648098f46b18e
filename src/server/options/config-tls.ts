/**
 * Certificates for the listeners and for calls to peers: checked here, where the message can name
 * the flag, and not at the first handshake, where it could not. Those that may change while the
 * server runs are checked in the same way when they have (tls-renewal.ts).
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type TlsOptions, tlsFileBytesMax } from '../../common/index.js';
import { bytesOf, type Flags, type ReadFile, textOf } from './flags.js';
import { RevocationList } from './revocation-list.js';
import { fileProblem, quote, UsageError } from './usage-error.js';

/** TLS of one port. */
export interface PortTls {
  /** For all its listeners. */
  readonly listen: TlsOptions;
  /** For calls to the same kind of port at other members. */
  readonly dial: TlsOptions;
  /** Undefined if nothing is to be read again. */
  readonly files?: TlsFiles;
}

/** Where TLS of a port comes from: certificates, keys, authorities, and what is revoked. */
export interface TlsFiles {
  readonly pemPaths: readonly string[];
  readonly revocations: { readonly flag: string; readonly path: string } | undefined;
  /** TLS from what the files hold now. Throws {@link UsageError}. */
  build(readFile: ReadFile, revocations: RevocationList | undefined): PortTls;
}

/** Flag names of the two ports: 'peer-' is put before those of the peer port. */
export type TlsPort = 'client' | 'peer';

/** A certificate that no flag names, because it was made here. */
export interface GeneratedPair {
  readonly certPath: string;
  readonly keyPath: string;
}

/**
 * TLS of a port, with the certificate of its flags or the `generated` one; undefined without any.
 * Throws {@link UsageError}.
 */
export function readTls(
  port: TlsPort,
  flags: Flags,
  readFile: ReadFile,
  generated?: GeneratedPair,
): PortTls | undefined {
  const policy = tlsPolicy(port, flags);
  readAuthorities(port, flags, readFile);
  // As etcd, which calls itself with it: here nobody does, but a mistake is one all the same.
  if (port === 'client') readPair('client-cert-file', 'client-key-file', flags, readFile);
  const revocations = readRevocations(port, flags, readFile);
  const build = (
    read: ReadFile,
    revoked: RevocationList | undefined,
  ): Pick<PortTls, 'listen' | 'dial'> | undefined => {
    const pair = generated === undefined ? readOwnPair(port, flags, read) : pairAt(generated, read);
    const dialPair =
      port === 'peer'
        ? readPair('peer-client-cert-file', 'peer-client-key-file', flags, read)
        : undefined;
    if (pair === undefined) return undefined;
    const ca = readAuthorities(port, flags, read);
    const denial = denialBy(revoked, policy.allowed);
    const common = { ...policy.common, ...(ca && { ca }), ...(denial && { denial }) };
    const isSelfSigned = generated !== undefined;
    return {
      listen: { ...pair, ...policy.listen, ...common },
      // Nobody vouches for a certificate that another member has made for itself.
      dial: { ...pair, ...dialPair, ...common, ...(isSelfSigned && { insecureSkipVerify: true }) },
    };
  };
  const first = build(readFile, revocations);
  if (first === undefined) return undefined;
  const files: TlsFiles = {
    pemPaths: [
      ...pemFlags(port).map((flag) => flags.text(flag)),
      ...(generated === undefined ? [] : [generated.certPath, generated.keyPath]),
    ].filter((path) => path !== ''),
    revocations: revocations === undefined ? undefined : revocationsFile(port, flags),
    build: (read, revoked) => ({ ...first, ...build(read, revoked), files }),
  };
  return { ...first, files };
}

/** True if clients of the port have to present a certificate. */
export function asksForCertificates(port: TlsPort, flags: Flags): boolean {
  const prefix = prefixOf(port);
  return flags.bool(`${prefix}client-cert-auth`) || flags.text(`${prefix}trusted-ca-file`) !== '';
}

/** What is put before the names of the flags of a port. */
export function prefixOf(port: TlsPort): string {
  return port === 'peer' ? 'peer-' : '';
}

/** What no file changes. */
function tlsPolicy(port: TlsPort, flags: Flags) {
  const requireClientCertificate = asksForCertificates(port, flags);
  const checkClientAddress =
    port === 'peer' && requireClientCertificate && !flags.bool('peer-skip-client-san-verification');
  return {
    common: versionsAndCiphers(flags),
    listen: { requireClientCertificate, ...(checkClientAddress && { checkClientAddress }) },
    allowed: readAllowed(port, flags),
  };
}

function pemFlags(port: TlsPort): readonly string[] {
  return port === 'client'
    ? ['cert-file', 'key-file', 'trusted-ca-file']
    : [
        ...['peer-cert-file', 'peer-key-file', 'peer-trusted-ca-file'],
        ...['peer-client-cert-file', 'peer-client-key-file'],
      ];
}

function readAuthorities(port: TlsPort, flags: Flags, readFile: ReadFile): string | undefined {
  const flag = `${prefixOf(port)}trusted-ca-file`;
  const ca = readText(flag, flags, readFile);
  if (ca !== undefined) checkCertificates(flag, ca);
  return ca;
}

function revocationsFile(port: TlsPort, flags: Flags) {
  const flag = port === 'peer' ? 'peer-crl-file' : 'client-crl-file';
  return { flag, path: flags.text(flag) };
}

function readRevocations(
  port: TlsPort,
  flags: Flags,
  readFile: ReadFile,
): RevocationList | undefined {
  const { flag, path } = revocationsFile(port, flags);
  const file = readFlag(flag, flags, readFile);
  if (file === undefined) return undefined;
  try {
    return RevocationList.parse(bytesOf(file));
  } catch (cause) {
    throw unusableRevocations(flag, path, cause);
  }
}

/** `cause`: what {@link RevocationList.parse} threw for the file at `path`. */
export function unusableRevocations(flag: string, path: string, cause: unknown): UsageError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new UsageError(`--${flag} ${quote(path)} can't be used: ${reason}`);
}

type Denial = NonNullable<TlsOptions['denial']>;

function denialBy(
  list: RevocationList | undefined,
  allowed: Denial | undefined,
): Denial | undefined {
  if (list === undefined) return allowed;
  return (presented) => {
    const revoked = presented.serials.find((serial) => list.has(serial));
    if (revoked === undefined) return allowed?.(presented);
    return { kind: 'revoked', reason: `certificate serial ${revoked} is revoked` };
  };
}

/** The names that certificates may have; undefined if they may have any. */
function readAllowed(port: TlsPort, flags: Flags): Denial | undefined {
  const [nameFlag, hostFlag] = [`${port}-cert-allowed-cn`, `${port}-cert-allowed-hostname`];
  const names = flags.list(nameFlag);
  const hosts = flags.list(hostFlag);
  if (names.length === 0 && hosts.length === 0) return undefined;
  if (names.length > 0 && hosts.length > 0) {
    throw new UsageError(`--${nameFlag} and --${hostFlag} are mutually exclusive`);
  }
  if (!asksForCertificates(port, flags)) {
    const prefix = prefixOf(port);
    throw new UsageError(
      `--${names.length > 0 ? nameFlag : hostFlag} needs --${prefix}client-cert-auth or ` +
        `--${prefix}trusted-ca-file: without them nobody is asked for a certificate`,
    );
  }
  // etcd's words.
  const no = 'client certificate authentication failed';
  return ({ commonName, isFor }) => {
    if (names.includes(commonName) || hosts.some((host) => isFor(host))) return undefined;
    const what =
      names.length > 0
        ? `the common name ${quote(commonName)} is not in --${nameFlag}`
        : `it is for no host of --${hostFlag}`;
    return { kind: 'certificate', reason: `${no}: ${what}` };
  };
}

function readOwnPair(port: TlsPort, flags: Flags, readFile: ReadFile) {
  const prefix = prefixOf(port);
  return readPair(`${prefix}cert-file`, `${prefix}key-file`, flags, readFile);
}

/** Throws {@link UsageError} if it is of no use. */
export function pairAt({ certPath, keyPath }: GeneratedPair, readFile: ReadFile) {
  const read = (path: string): string => textOf(readFlagFile('auto-tls', path, readFile));
  const [cert, key] = [read(certPath), read(keyPath)];
  checkPair('auto-tls', cert, 'auto-tls', key);
  return { cert, key };
}

function readPair(
  certFlag: string,
  keyFlag: string,
  flags: Flags,
  readFile: ReadFile,
): { readonly cert: string; readonly key: string } | undefined {
  const cert = readText(certFlag, flags, readFile);
  const key = readText(keyFlag, flags, readFile);
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError(`--${certFlag} and --${keyFlag} must be given together`);
  }
  checkPair(certFlag, cert, keyFlag, key);
  return { cert, key };
}

function readText(flag: string, flags: Flags, readFile: ReadFile): string | undefined {
  const file = readFlag(flag, flags, readFile);
  return file === undefined ? undefined : textOf(file);
}

function readFlag(flag: string, flags: Flags, readFile: ReadFile): string | Uint8Array | undefined {
  const path = flags.text(flag);
  return path === '' ? undefined : readFlagFile(flag, path, readFile);
}

/** The file that `flag` names; throws {@link UsageError}. */
export function readFlagFile(flag: string, path: string, readFile: ReadFile): string | Uint8Array {
  let file: string | Uint8Array;
  try {
    file = readFile(path);
  } catch (cause) {
    throw new UsageError(`--${flag} ${quote(path)} can't be read: ${fileProblem(cause)}`);
  }
  if (file.length > tlsFileBytesMax) {
    throw new UsageError(`--${flag} ${quote(path)} is larger than ${tlsFileBytesMax} bytes`);
  }
  return file;
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
