/**
 * --auto-tls and --peer-auto-tls: TLS with a certificate that a member makes for itself, and keeps
 * below its data directory where etcd does. Nobody vouches for it: it keeps others from listening,
 * not from pretending.
 */

import {
  asksForCertificates,
  type PortTls,
  prefixOf,
  readTls,
  type TlsPort,
} from './config-tls.js';
import type { Flags, ReadFile } from './flags.js';
import { UsageError } from './usage-error.js';

/** A certificate that is made when there is none, or none that is valid any more. */
export interface AutoTls {
  readonly port: TlsPort;
  readonly dir: string;
  readonly certPath: string;
  readonly keyPath: string;
  /** Host names and IP addresses that it is for. */
  readonly hosts: readonly string[];
  readonly validityMs: number;
  /** TLS of the port with what is in its files, by path. Throws {@link UsageError}. */
  open(files: ReadonlyMap<string, string>): PortTls;
}

const yearMs = 365 * 24 * 3_600_000;

/** Undefined if it is not asked for, or a certificate is given. Throws {@link UsageError}. */
export function readAutoTls(
  port: TlsPort,
  flags: Flags,
  dataDir: string,
  hosts: readonly string[],
  readFile: ReadFile,
): AutoTls | undefined {
  const prefix = prefixOf(port);
  if (!flags.bool(`${prefix}auto-tls`) || hasCertificate(port, flags)) return undefined;
  const years = flags.number('self-signed-cert-validity');
  if (years === 0) throw new UsageError('--self-signed-cert-validity must be greater than 0');
  if (port === 'peer' && asksForCertificates('peer', flags)) {
    throw new UsageError(
      '--peer-auto-tls makes certificates that nobody vouches for: --peer-client-cert-auth and ' +
        '--peer-trusted-ca-file would refuse those of all other members',
    );
  }
  // What is wrong with the other files is told now, where there is none to be made yet.
  readTls(port, flags, readFile);
  const dir = `${dataDir}/fixtures/${port}`;
  const pair = { certPath: `${dir}/cert.pem`, keyPath: `${dir}/key.pem` };
  return {
    port,
    dir,
    ...pair,
    hosts,
    validityMs: years * yearMs,
    open(files) {
      const tls = readTls(port, flags, (path) => files.get(path) ?? readFile(path), pair);
      if (tls === undefined) throw new UsageError('there is no generated certificate');
      return tls;
    },
  };
}

/** As in etcd, a certificate that is given is used, whatever else is asked for. */
export function hasCertificate(port: TlsPort, flags: Flags): boolean {
  const prefix = prefixOf(port);
  return [`${prefix}cert-file`, `${prefix}key-file`].some((name) => flags.text(name) !== '');
}
