/**
 * TLS whose certificates, keys and revocation lists are replaced while the server runs. etcd reads
 * the files at each handshake, and refuses it if they are of no use at that moment. Here handshakes
 * share a look at them, at most one in `tlsFilesLookMs`, and files that are of no use (half
 * written, a key that is not yet the new certificate's) change nothing but the log.
 */

import {
  type Clock,
  type Disk,
  type Logger,
  type Network,
  type TlsOptions,
  tlsFileBytesMax,
  tlsFilesLookMs,
  tlsFilesWaitMsMax,
  turn,
} from '../../common/index.js';
import {
  bytesOf,
  type PortTls,
  quote,
  RevocationList,
  readFlagFile,
  type TlsFiles,
  UsageError,
  unusableRevocations,
} from '../options/index.js';

export interface TlsRenewalOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly network: Pick<Network, 'checkTls'>;
  /** Whose certificates they are, for the log: 'client' or 'peer'. */
  readonly endpoint: string;
}

/** What was in a file, or why it can't be read. */
type Content = Buffer | Error;

/**
 * `tls` with options that follow its files; the same if it has none. `onRefused` is added to those
 * for listeners.
 */
export function renewedTls(
  tls: PortTls,
  onRefused: TlsOptions['onRefused'],
  options: TlsRenewalOptions,
): PortTls {
  const refused = onRefused === undefined ? {} : { onRefused };
  const { files } = tls;
  if (files === undefined) return { listen: { ...tls.listen, ...refused }, dial: tls.dial };
  const renewal = new TlsRenewal(tls, files, options);
  return {
    listen: { ...tls.listen, ...refused, current: () => renewal.ask((now) => now.listen) },
    dial: { ...tls.dial, current: () => renewal.ask((now) => now.dial) },
    files,
  };
}

class TlsRenewal {
  readonly #files: TlsFiles;
  readonly #options: TlsRenewalOptions;
  #now: PortTls;
  /** By path, as of the last look. */
  #contents: ReadonlyMap<string, Content> = new Map();
  /** While files are looked at: when handshakes may go on. */
  #look: Promise<void> | undefined;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #isSlow = false;

  constructor(tls: PortTls, files: TlsFiles, options: TlsRenewalOptions) {
    this.#now = tls;
    this.#files = files;
    this.#options = options;
  }

  ask(select: (tls: PortTls) => TlsOptions): TlsOptions | Promise<TlsOptions> {
    if (this.#look === undefined) {
      const { clock } = this.#options;
      if (clock.nowMs() < this.#nextLookMs) return select(this.#now);
      const look = this.#lookAtFiles().then(() => {
        this.#look = undefined;
        this.#nextLookMs = clock.nowMs() + tlsFilesLookMs;
      });
      this.#look = this.#orLate(look);
    }
    return this.#look.then(() => select(this.#now));
  }

  /** Resolves when the look is over, or takes too long. */
  #orLate(look: Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#options.clock.after(tlsFilesWaitMsMax, () => {
        if (!this.#isSlow) this.#warn(`reading them takes more than ${tlsFilesWaitMsMax} ms`);
        this.#isSlow = true;
        resolve();
      });
      void look.then(() => {
        timer.cancel();
        this.#isSlow = false;
        resolve();
      });
    });
  }

  /** Never rejects. */
  async #lookAtFiles(): Promise<void> {
    const { endpoint, logger, network } = this.#options;
    const { pemPaths, revocations } = this.#files;
    const paths = [...pemPaths, ...(revocations === undefined ? [] : [revocations.path])];
    const contents = new Map<string, Content>();
    for (const path of new Set(paths)) contents.set(path, await this.#read(path));
    if (sameContents(contents, this.#contents)) return;
    const isFirst = this.#contents.size === 0;
    this.#contents = contents;
    try {
      const found = (path: string): Buffer => {
        const content = contents.get(path);
        if (content instanceof Buffer) return content;
        throw content ?? new UsageError(`${quote(path)} was not read`);
      };
      const list = revocations === undefined ? undefined : await this.#parse(revocations, found);
      const next = this.#files.build(found, list);
      network.checkTls?.(next.listen);
      network.checkTls?.(next.dial);
      this.#now = next;
      if (!isFirst) logger.info('certificates were read again', { endpoint });
    } catch (error) {
      this.#warn(error instanceof Error ? error.message : String(error));
    }
  }

  async #parse(
    { flag, path }: NonNullable<TlsFiles['revocations']>,
    found: (path: string) => Buffer,
  ): Promise<RevocationList> {
    const { clock } = this.#options;
    const file = bytesOf(readFlagFile(flag, path, found));
    try {
      return await RevocationList.parseInSlices(file, () => turn(clock));
    } catch (cause) {
      throw unusableRevocations(flag, path, cause);
    }
  }

  #warn(reason: string): void {
    const { endpoint, logger } = this.#options;
    logger.warn('certificates can not be read again; those of before stay', { endpoint, reason });
  }

  async #read(path: string): Promise<Content> {
    try {
      const file = await this.#options.disk.open(path, 'read');
      try {
        // One more than there may be, so that the check of the flags sees it.
        return await file.read(0, Math.min(await file.size(), tlsFileBytesMax + 1));
      } finally {
        await file.close();
      }
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}

function sameContents(a: ReadonlyMap<string, Content>, b: ReadonlyMap<string, Content>): boolean {
  if (a.size !== b.size) return false;
  for (const [path, content] of a) {
    const other = b.get(path);
    const isSame =
      content instanceof Error
        ? other instanceof Error && content.message === other.message
        : other !== undefined && !(other instanceof Error) && content.equals(other);
    if (!isSame) return false;
  }
  return true;
}
