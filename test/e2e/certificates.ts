/**
 * Certificates made anew for a test with the openssl program: an authority, a server, clients good,
 * expired and revoked, and a stranger from another authority.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe } from 'vitest';
import { Authority, type CertificateFiles, hasOpenssl } from '../../bench/authority.js';

export { Authority, type CertificateFiles, hasOpenssl };

/** What {@link makeCertificates} wrote; all are paths of PEM files. */
export interface Certificates {
  readonly ca: string;
  readonly otherCa: string;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: CertificateFiles;
  /** Common name `alice`. */
  readonly client: CertificateFiles;
  readonly expired: CertificateFiles;
  /** Listed in `crl`. */
  readonly revoked: CertificateFiles;
  /** Of `otherCa`. */
  readonly stranger: CertificateFiles;
  readonly crl: string;
}

/** `describe`, skipped with the reason in its name where openssl is missing. */
export function describeWithOpenssl(name: string, body: () => void): void {
  if (hasOpenssl) describe(name, body);
  else describe.skip(`${name} (skipped: openssl is not installed)`, body);
}

/** Writes all certificates below `dir`. */
export function makeCertificates(dir: string): Certificates {
  const ca = new Authority(join(dir, 'ca'), 'test authority');
  const other = new Authority(join(dir, 'other'), 'other authority');
  const revoked = ca.issue('revoked', 'clientAuth');
  ca.revoke(revoked.cert);
  return {
    ca: ca.cert,
    otherCa: other.cert,
    server: ca.issue('localhost', 'serverAuth'),
    client: ca.issue('alice', 'clientAuth'),
    expired: ca.issue('bygone', 'clientAuth', ['20200101000000Z', '20200201000000Z']),
    revoked,
    stranger: other.issue('stranger', 'clientAuth'),
    crl: ca.crl(),
  };
}

/** The file's text. */
export function pem(path: string): Buffer {
  return readFileSync(path);
}
