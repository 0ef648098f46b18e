/**
 * TLS whose certificates, keys, authorities and revocation lists are replaced while the server
 * runs. etcd reads them, but for the authorities, at each handshake, and refuses it if they are of
 * no use at that moment. Here handshakes share a look at them, at most one in `tlsFilesLookMs`, and
 * files that are of no use (half written, a key that is not yet the new certificate's) change
 * nothing but the log.
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
  /** Done before each look at the files, which it may replace. */
  readonly prepare?: (() => Promise<void>) | undefined;
}

/** TLS that follows its files. */
export interface RenewedTls extends PortTls {
  /** Looks at the files now; what it comes to is logged, whatever it is. Never rejects. */
  reread(): Promise<void>;
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
): RenewedTls {
  const refused = onRefused === undefined ? {} : { onRefused };
  const { files } = tls;
  if (files === undefined) {
    return { listen: { ...tls.listen, ...refused }, dial: tls.dial, reread: async () => {} };
  }
  const renewal = new TlsRenewal(tls, files, options);
  return {
    listen: { ...tls.listen, ...refused, current: () => renewal.ask((now) => now.listen) },
    dial: { ...tls.dial, current: () => renewal.ask((now) => now.dial) },
    files,
    reread: () => renewal.reread(),
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
  /** When that look is over. */
  #underWay: Promise<void> | undefined;
  #nextLookMs = Number.NEGATIVE_INFINITY;
  #isSlow = false;
  /** What is wrong with what the files hold. */
  #problem: string | undefined;
  /** What could not be prepared, last time. */
  #unprepared: string | undefined;
  /** Lines in the log so far. */
  #said = 0;

  constructor(tls: PortTls, files: TlsFiles, options: TlsRenewalOptions) {
    this.#now = tls;
    this.#files = files;
    this.#options = options;
  }

  ask(select: (tls: PortTls) => TlsOptions): TlsOptions | Promise<TlsOptions> {
    if (this.#look === undefined) {
      const { clock } = this.#options;
      if (clock.nowMs() < this.#nextLookMs) return select(this.#now);
      this.#begin();
    }
    return (this.#look ?? Promise.resolve()).then(() => select(this.#now));
  }

  async reread(): Promise<void> {
    // One that is under way may have begun before the files were replaced.
    while (this.#underWay !== undefined) await this.#underWay;
    const saidBefore = this.#said;
    this.#begin();
    while (this.#underWay !== undefined) await this.#underWay;
    if (this.#said !== saidBefore) return;
    const { endpoint, logger } = this.#options;
    if (this.#problem !== undefined) this.#warn(this.#problem);
    else logger.info('certificates are what they were', { endpoint });
  }

  #begin(): void {
    const underWay = this.#lookAtFiles().then(() => {
      this.#look = undefined;
      this.#underWay = undefined;
      this.#nextLookMs = this.#options.clock.nowMs() + tlsFilesLookMs;
    });
    this.#underWay = underWay;
    this.#look = this.#orLate(underWay);
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
    const { endpoint, logger, network, prepare } = this.#options;
    const { pemPaths, revocations } = this.#files;
    await prepare?.().then(
      () => {
        this.#unprepared = undefined;
      },
      (error: unknown) => {
        const reason = messageOf(error);
        if (this.#unprepared !== reason) this.#warn(reason);
        this.#unprepared = reason;
      },
    );
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
      const hasChanged = !isFirst || !samePem(next, this.#now);
      this.#now = next;
      this.#problem = undefined;
      if (!hasChanged) return;
      this.#said += 1;
      logger.info('certificates were read again', { endpoint });
    } catch (error) {
      this.#problem = messageOf(error);
      this.#warn(this.#problem);
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
    this.#said += 1;
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

/** Certificates, keys and authorities; what is revoked can't be compared. */
function samePem(a: PortTls, b: PortTls): boolean {
  return (['listen', 'dial'] as const).every((side) =>
    (['cert', 'key', 'ca'] as const).every((part) => a[side][part] === b[side][part]),
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
