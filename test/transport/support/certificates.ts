/** Certificates for one test run, made by openssl in a temporary directory. */

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** False where TLS tests must be skipped. */
export const haveOpenssl: boolean = spawnSync('openssl', ['version']).status === 0;

export interface Certificates {
  readonly ca: string;
  readonly serverCert: string;
  readonly serverKey: string;
  /** Common name `alice`, from the same authority. */
  readonly clientCert: string;
  readonly clientKey: string;
  /** Common name `mallory`, from another authority. */
  readonly strangerCert: string;
  readonly strangerKey: string;
}

/** Makes them; about 100 ms. */
export function makeCertificates(): Certificates {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-certs-'));
  const run = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  };
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  const authority = (name: string): void => {
    const subject = `/CN=${name}`;
    run(
      'req',
      '-x509',
      ...newKey,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.pem`,
      '-subj',
      subject,
    );
  };
  const issue = (name: string, ca: string): void => {
    run('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
    const files = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial'];
    run('x509', '-req', '-in', `${name}.csr`, ...files, '-out', `${name}.pem`, '-extfile', 'ext');
  };
  try {
    writeFileSync(join(dir, 'ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    authority('ca');
    authority('other');
    issue('server', 'ca');
    issue('alice', 'ca');
    issue('mallory', 'other');
    const read = (name: string): string => readFileSync(join(dir, name), 'utf8');
    return {
      ca: read('ca.pem'),
      serverCert: read('server.pem'),
      serverKey: read('server.key'),
      clientCert: read('alice.pem'),
      clientKey: read('alice.key'),
      strangerCert: read('mallory.pem'),
      strangerKey: read('mallory.key'),
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
