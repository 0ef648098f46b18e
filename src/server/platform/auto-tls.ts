/**
 * The certificate of --auto-tls on disk: made when there is none, when it can't be used, and when
 * its time is over, also while the server runs. etcd takes any that is there, however old.
 */

import { X509Certificate } from 'node:crypto';
import type { Clock, Disk, Logger } from '../../common/index.js';
import { type AutoTls, type PortTls, pairAt, UsageError } from '../options/index.js';
import { makeSelfSigned, type SelfSigned } from './self-signed.js';

export interface AutoTlsPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly logger: Logger;
}

/** The clock of a client may be behind. */
const notBeforeMs = 3_600_000;
/** More than a PEM file of ours has. */
const fileBytesMax = 64 * 1024;

/** Keeps the certificate of one port valid. */
export class AutoTlsPair {
  readonly #auto: AutoTls;
  readonly #ports: AutoTlsPorts;
  #expiresMs = 0;

  constructor(auto: AutoTls, ports: AutoTlsPorts) {
    this.#auto = auto;
    this.#ports = ports;
  }

  /** TLS with the certificate, after {@link ensure}. Rejects as that does, and with UsageError. */
  async open(): Promise<PortTls> {
    const { cert, key } = await this.ensure();
    const { certPath, keyPath } = this.#auto;
    return this.#auto.open(
      new Map([
        [certPath, cert],
        [keyPath, key],
      ]),
    );
  }

  /** Nothing while the certificate is valid; else as {@link ensure}. */
  async renew(): Promise<void> {
    if (this.#ports.clock.wallMs() >= this.#expiresMs) await this.ensure();
  }

  /** The pair on disk, made if need be. Rejects with the error of the disk. */
  async ensure(): Promise<SelfSigned> {
    const { clock, disk, logger } = this.#ports;
    const { certPath, dir, hosts, keyPath, port, validityMs } = this.#auto;
    const found = await this.#stored();
    if (found !== undefined) return found;
    const nowMs = clock.wallMs();
    const made = await makeSelfSigned({
      hosts,
      notBeforeMs: nowMs - notBeforeMs,
      notAfterMs: nowMs + validityMs,
      usage: port === 'peer' ? 'serverAndClient' : 'server',
    });
    await disk.mkdir(dir);
    // A crash in between leaves two that do not belong together: then both are made anew.
    await replaceFile(disk, keyPath, made.key);
    await replaceFile(disk, certPath, made.cert);
    await disk.syncDir(dir);
    this.#expiresMs = nowMs + validityMs;
    const notAfter = new Date(this.#expiresMs).toISOString();
    logger.warn('automatically generate certificates', {
      endpoint: port,
      path: certPath,
      notAfter,
    });
    return made;
  }

  /** What is on disk, if it is of use. */
  async #stored(): Promise<SelfSigned | undefined> {
    const { clock, disk, logger } = this.#ports;
    const { certPath, keyPath, port } = this.#auto;
    const files = new Map<string, Buffer>();
    for (const path of [certPath, keyPath]) {
      const file = await readIfThere(disk, path);
      if (file === undefined) return undefined;
      files.set(path, file);
    }
    let pair: SelfSigned;
    try {
      pair = pairAt(this.#auto, (path) => files.get(path) ?? '');
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const reason = error.message;
      logger.warn('a generated certificate is of no use', { endpoint: port, reason });
      return undefined;
    }
    const expiresMs = Date.parse(new X509Certificate(pair.cert).validTo);
    if (expiresMs <= clock.wallMs()) return undefined;
    this.#expiresMs = expiresMs;
    return pair;
  }
}

async function readIfThere(disk: Disk, path: string): Promise<Buffer | undefined> {
  try {
    const file = await disk.open(path, 'read');
    try {
      return await file.read(0, Math.min(await file.size(), fileBytesMax));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** At once, so that nobody ever reads a half. */
async function replaceFile(disk: Disk, path: string, text: string): Promise<void> {
  const fresh = `${path}.new`;
  await disk.remove(fresh);
  const file = await disk.open(fresh, 'create');
  try {
    await file.write(0, [Buffer.from(text)]);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(fresh, path);
}
