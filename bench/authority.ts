/** An authority that makes certificates with the openssl program, for tests and measurements. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of one certificate and its key. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/** True if there is an openssl to make certificates with. */
export const hasOpenssl =
  spawnSync('openssl', ['version'], { stdio: 'ignore', timeout: 20_000 }).status === 0;

/** One `openssl ca` with its database. */
export class Authority {
  /** Path of its own certificate. */
  readonly cert: string;
  readonly #dir: string;
  readonly #config: string;
  #lists = 0;

  /** `issuer`: whose subordinate it is; without one it signs itself. */
  constructor(dir: string, name: string, issuer?: Authority) {
    mkdirSync(dir, { recursive: true });
    this.#dir = dir;
    this.#config = join(dir, 'ca.cnf');
    this.cert = join(dir, 'ca.pem');
    const key = join(dir, 'ca.key');
    writeFileSync(join(dir, 'index.txt'), '');
    writeFileSync(join(dir, 'serial'), '1000\n');
    writeFileSync(join(dir, 'crlnumber'), '01\n');
    writeFileSync(this.#config, authorityConfig(dir));
    const subject = ['-config', this.#config, '-subj', `/CN=${name}`, '-keyout', key];
    if (issuer === undefined) {
      const out = ['-extensions', 'authority', '-out', this.cert, '-days', '30'];
      openssl(['req', '-x509', ...newKey, ...subject, ...out]);
    } else {
      const request = join(dir, 'ca.csr');
      openssl(['req', ...newKey, ...subject, '-out', request]);
      issuer.#sign(request, 'authority', this.cert);
    }
  }

  /**
   * 'elsewhere': for both, on a machine that is not this one. `dates`: start and end as openssl
   * writes them; a month from now if not given.
   */
  issue(
    name: string,
    usage: 'serverAuth' | 'clientAuth' | 'bothAuth' | 'elsewhere',
    dates?: readonly [string, string],
  ): CertificateFiles {
    const cert = join(this.#dir, `${name}.pem`);
    const key = join(this.#dir, `${name}.key`);
    const request = join(this.#dir, `${name}.csr`);
    const subject = ['-config', this.#config, '-subj', `/CN=${name}`];
    openssl(['req', ...newKey, ...subject, '-keyout', key, '-out', request]);
    const validity = dates === undefined ? [] : ['-startdate', dates[0], '-enddate', dates[1]];
    this.#sign(request, usage, cert, validity);
    return { cert, key };
  }

  #sign(request: string, extensions: string, out: string, validity: readonly string[] = []): void {
    const what = ['-config', this.#config, '-extensions', extensions, '-in', request, '-out', out];
    openssl(['ca', '-batch', '-notext', ...what, ...validity]);
  }

  revoke(cert: string): void {
    openssl(['ca', '-config', this.#config, '-revoke', cert]);
  }

  /** The list of what is revoked so far; `overdue`: a newer one was promised for long ago. */
  crl(form: 'pem' | 'der' = 'pem', overdue = false): string {
    const path = join(this.#dir, `crl-${this.#lists++}`);
    const dates = overdue
      ? ['-crl_lastupdate', '20200101000000Z', '-crl_nextupdate', '20200201000000Z']
      : ['-crldays', '30'];
    openssl(['ca', '-config', this.#config, '-gencrl', ...dates, '-out', `${path}.pem`]);
    if (form === 'pem') return `${path}.pem`;
    openssl(['crl', '-in', `${path}.pem`, '-outform', 'DER', '-out', `${path}.der`]);
    return `${path}.der`;
  }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function authorityConfig(dir: string): string {
  return `
[ca]
default_ca = here
[here]
dir = ${dir}
database = ${dir}/index.txt
new_certs_dir = ${dir}
serial = ${dir}/serial
crlnumber = ${dir}/crlnumber
certificate = ${dir}/ca.pem
private_key = ${dir}/ca.key
default_md = sha256
default_days = 30
policy = names
[names]
commonName = supplied
[req]
distinguished_name = names
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[serverAuth]
basicConstraints = CA:false
extendedKeyUsage = serverAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
[clientAuth]
basicConstraints = CA:false
extendedKeyUsage = clientAuth
[elsewhere]
basicConstraints = CA:false
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = IP:10.9.9.9
[bothAuth]
basicConstraints = CA:false
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
`;
}

function openssl(args: readonly string[]): void {
  const run = spawnSync('openssl', args, { encoding: 'utf8', timeout: 120_000 });
  if (run.status !== 0) throw new Error(`openssl ${args.join(' ')} failed:\n${run.stderr}`);
}
