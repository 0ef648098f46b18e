/**
 * Backups by a schedule, made by the member that leads: history is followed all the time, and
 * written as a file of changes when there is enough of it or the time has come; now and then comes
 * a full snapshot. Whatever fails is tried again, later and later; the store never waits for it.
 */

import {
  type Backup,
  type BackupKey,
  type BackupTarget,
  BackupWriter,
  type Catalog,
  type Retention,
  readCatalog,
  toRemove,
  type WriterName,
} from '../../backup/index.js';
import {
  assert,
  backoffMs,
  backupChangesFilesMax,
  backupFollowMs,
  backupRetryMaxMs,
  backupRetryMinMs,
  type Clock,
  type Disk,
  EtcdError,
  Lock,
  type Logger,
  type Random,
  sleep,
} from '../../common/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { BackupMetrics } from '../metrics/index.js';
import { withFullSnapshot } from './full-snapshot.js';
import { digestOf, fileLines, HistoryFollower } from './history-follower.js';

export interface ScheduledBackupOptions {
  /** Asked until it resolves. */
  readonly openTarget: () => Promise<BackupTarget>;
  readonly writer: WriterName;
  readonly key: BackupKey | undefined;
  /** How often changes are written at least. */
  readonly intervalMs: number;
  /** After so many intervals comes a full snapshot. */
  readonly fullEvery: number;
  readonly retention: Retention;
  readonly store: MvccStore;
  /** Hexadecimal. */
  readonly clusterId: string;
  /** Users and roles as they are; see authText. */
  readonly auth: () => string;
  /** Of the image of a full snapshot, while it is made. */
  readonly imagePath: string;
  readonly metrics: BackupMetrics;
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: Random;
  readonly logger: Logger;
}

/** What is known while this member leads. */
interface Chain {
  readonly backup: Backup;
  readonly follower: HistoryFollower;
}

export class ScheduledBackup {
  readonly #o: ScheduledBackupOptions;
  #running: AbortController | undefined;

  constructor(options: ScheduledBackupOptions) {
    this.#o = options;
  }

  /** This member makes the backups from now on. */
  start(): void {
    if (this.#running !== undefined) return;
    this.#running = new AbortController();
    void new Run(this.#o, this.#running.signal).run();
  }

  /** Another one does. What is under way is given up. */
  stop(): void {
    this.#running?.abort(new Error('this member does not make the backups any more'));
    this.#running = undefined;
  }
}

/** From one start to its stop. */
class Run {
  readonly #o: ScheduledBackupOptions;
  readonly #signal: AbortSignal;
  readonly #polls = new Lock();
  #target: BackupTarget | undefined;
  #chain: Chain | undefined;
  /** Of the full snapshot that is under way. */
  #next: HistoryFollower | undefined;
  /** Why the chain can't be continued. */
  #broken: string | undefined;
  /** When something was written last; undefined: not since this member leads. */
  #writtenMs: number | undefined;
  #fullMs: number | undefined;
  #mustPrune = false;
  /** Something went wrong there: what was there may be gone. */
  #mustLook = false;

  constructor(options: ScheduledBackupOptions, signal: AbortSignal) {
    this.#o = options;
    this.#signal = signal;
  }

  /** Never rejects. */
  async run(): Promise<void> {
    const { clock, logger, metrics, random } = this.#o;
    void this.#follow();
    for (let failures = 0; !this.#signal.aborted; ) {
      try {
        await this.#step();
        if (failures > 0) logger.info('backups are made again', { failures });
        failures = 0;
        await sleep(clock, backupFollowMs, this.#signal);
      } catch (error) {
        if (this.#signal.aborted) return;
        metrics.failures += 1;
        this.#mustLook = true;
        // Once, however long it lasts.
        if (failures === 0) logger.error('the backup failed, and is tried again', told(error));
        const pauseMs = backoffMs(failures, backupRetryMinMs, backupRetryMaxMs, random);
        failures += 1;
        await sleep(clock, pauseMs, this.#signal);
      }
    }
  }

  /** Reads history whatever the target does. */
  async #follow(): Promise<void> {
    while (!this.#signal.aborted) {
      await this.#poll();
      await sleep(this.#o.clock, backupFollowMs, this.#signal);
    }
  }

  #poll(): Promise<void> {
    return this.#polls.run(async () => {
      const follower = this.#next ?? this.#chain?.follower;
      if (follower === undefined || this.#signal.aborted) return;
      try {
        await follower.poll();
      } catch (error) {
        const isCompacted = error instanceof EtcdError && error.reason === 'COMPACTED';
        const why = isCompacted ? 'history was compacted before it was read' : String(error);
        // Of the one that is under way, when it is done.
        if (follower === this.#chain?.follower) this.#broken ??= why;
      }
    });
  }

  async #step(): Promise<void> {
    this.#target ??= await this.#o.openTarget();
    if (this.#chain === undefined && this.#broken === undefined) await this.#open(this.#target);
    if (this.#mustLook) await this.#lookAgain(this.#target);
    await this.#poll();
    const chain = this.#chain;
    const isDue = this.#since(this.#writtenMs) >= this.#o.intervalMs;
    const reason = this.#fullReason();
    if (chain !== undefined && this.#broken === undefined) {
      const isLast = reason !== undefined && this.#mayTakeFull();
      const isNeeded = isDue || isLast || chain.follower.isFull;
      if (isNeeded) await this.#writeChanges(this.#target, chain);
    }
    if (reason !== undefined && this.#mayTakeFull()) await this.#writeFull(this.#target, reason);
    if (this.#mustPrune) await this.#prune(this.#target);
  }

  /** Looks for a backup that can be continued, and removes what an interrupted one left. */
  async #open(target: BackupTarget): Promise<void> {
    const { clock, clusterId, key, logger, store } = this.#o;
    const catalog = await readCatalog(target, key);
    const removed = await this.#writer(target).sweep(catalog);
    if (removed.length > 0) logger.info('removed what an interrupted backup left', { removed });
    for (const { name, error } of catalog.broken) {
      logger.warn('a backup can not be read', { name, error: error.message });
    }
    const backup = ofCluster(catalog, clusterId).at(-1);
    if (backup === undefined) {
      this.#broken = 'there is none of this cluster';
      return;
    }
    const { newest } = backup.manifest;
    if (backup.missing.length > 0) this.#broken = 'files of it are missing';
    else if (backup.manifest.key !== key?.name) this.#broken = 'the key is another one';
    else if (!(await this.#isSameHistory(backup))) this.#broken = 'history is another one';
    if (this.#broken !== undefined) return;
    const follower = new HistoryFollower(store, clock, newest.revision);
    this.#chain = { backup, follower };
    this.#writtenMs = this.#msAgo(backup.manifest.writtenMs);
    this.#fullMs = this.#msAgo(backup.manifest.full.startedMs);
    this.#succeeded(backup, backup.manifest.writtenMs);
    logger.info('the newest backup is continued', {
      backup: backup.manifest.chain,
      revision: newest.revision,
    });
  }

  async #lookAgain(target: BackupTarget): Promise<void> {
    const chain = this.#chain?.backup.manifest.chain;
    if (chain !== undefined) {
      const { backups } = await readCatalog(target, this.#o.key);
      const found = backups.find(({ manifest }) => manifest.chain === chain);
      if (found === undefined || found.missing.length > 0) this.#broken = 'files of it are missing';
    }
    this.#mustLook = false;
  }

  async #isSameHistory({ manifest }: Backup): Promise<boolean> {
    const { store } = this.#o;
    const { digest, revision } = manifest.newest;
    if (revision > store.revision) return false;
    try {
      return (await digestOf(store, revision)) === digest;
    } catch (error) {
      if (error instanceof EtcdError && error.reason === 'COMPACTED') return false;
      throw error;
    }
  }

  /** Why the next backup is a full one; undefined: it is not. */
  #fullReason(): string | undefined {
    const { auth, fullEvery, intervalMs } = this.#o;
    if (this.#broken !== undefined) return this.#broken;
    const manifest = this.#chain?.backup.manifest;
    if (manifest === undefined) return 'there is none';
    if (manifest.auth !== auth()) return 'users or roles have changed';
    if (manifest.number >= backupChangesFilesMax) return 'the last one has very many parts';
    const isOld = this.#since(this.#fullMs) >= fullEvery * intervalMs;
    return isOld ? 'the time has come' : undefined;
  }

  /** Not more often than the schedule: a store that compacts faster than we read gets no rest else. */
  #mayTakeFull(): boolean {
    return this.#fullMs === undefined || this.#since(this.#fullMs) >= this.#o.intervalMs;
  }

  async #writeChanges(target: BackupTarget, chain: Chain): Promise<void> {
    const { clock, logger, store } = this.#o;
    const startMs = clock.nowMs();
    if (!chain.follower.hasChanges) {
      // What is there is complete.
      this.#writtenMs = startMs;
      this.#succeeded(chain.backup, clock.wallMs());
      return;
    }
    const gathered = chain.follower.take();
    try {
      const lines = fileLines(gathered, store, clock);
      const backup = await this.#writer(target).changes(chain.backup, lines, this.#signal);
      this.#chain = { ...chain, backup };
    } catch (error) {
      chain.follower.giveBack(gathered);
      throw error;
    }
    const { backup } = this.#chain;
    this.#writtenMs = startMs;
    this.#measure(startMs, backup.manifest.changes.at(-1)?.bytes ?? 0);
    this.#succeeded(backup, clock.wallMs());
    const { changes, from, to } = gathered;
    logger.debug('backed changes up', { backup: backup.manifest.chain, from, to, changes });
  }

  async #writeFull(target: BackupTarget, reason: string): Promise<void> {
    const { auth, clock, clusterId, disk, imagePath: path, logger, store } = this.#o;
    const startMs = clock.nowMs();
    // Of before, so that a change meanwhile shows.
    const known = auth();
    let follower: HistoryFollower | undefined;
    try {
      const backup = await withFullSnapshot({ store, disk, path }, this.#signal, (facts, image) => {
        follower = new HistoryFollower(store, clock, facts.revision);
        this.#next = follower;
        const all = { ...facts, clusterId, auth: known };
        return this.#writer(target).full(all, image, this.#signal);
      });
      assert(follower !== undefined, 'a full snapshot is followed from its revision on');
      this.#chain = { backup, follower };
      this.#broken = undefined;
      this.#fullMs = startMs;
      this.#writtenMs = startMs;
      this.#mustPrune = true;
      this.#measure(startMs, backup.manifest.full.bytes);
      this.#succeeded(backup, clock.wallMs());
      const { revision, bytes } = backup.manifest.full;
      logger.info('backed everything up', {
        ...{ backup: backup.manifest.chain, revision, bytes, reason },
        tookMs: Math.round(clock.nowMs() - startMs),
      });
    } finally {
      this.#next = undefined;
    }
  }

  async #prune(target: BackupTarget): Promise<void> {
    const { clusterId, key, logger, retention } = this.#o;
    const catalog = await readCatalog(target, key);
    const writer = this.#writer(target);
    for (const backup of toRemove(ofCluster(catalog, clusterId), retention)) {
      this.#signal.throwIfAborted();
      await writer.remove(backup);
      logger.info('removed a backup as it is too old', { backup: backup.manifest.chain });
    }
    this.#mustPrune = false;
  }

  #writer(target: BackupTarget): BackupWriter {
    const { clock, key, random, writer } = this.#o;
    return new BackupWriter({ target, writer, key, clock, random });
  }

  #measure(startMs: number, bytes: number): void {
    const { clock, metrics } = this.#o;
    metrics.lastDurationSeconds = (clock.nowMs() - startMs) / 1000;
    metrics.lastBytes = bytes;
    metrics.bytes += bytes;
  }

  #succeeded({ manifest }: Backup, wallMs: number): void {
    const { metrics } = this.#o;
    metrics.lastSuccessMs = wallMs;
    metrics.revision = manifest.newest.revision;
  }

  /** On the clock that only goes forward. */
  #msAgo(wallMs: number): number {
    const { clock } = this.#o;
    return clock.nowMs() - Math.max(0, clock.wallMs() - wallMs);
  }

  #since(ms: number | undefined): number {
    return ms === undefined ? Number.POSITIVE_INFINITY : this.#o.clock.nowMs() - ms;
  }
}

/** The oldest first. */
function ofCluster({ backups }: Catalog, clusterId: string): readonly Backup[] {
  return backups.filter(({ manifest }) => manifest.clusterId === clusterId);
}

function told(error: unknown): { readonly error: string } {
  return { error: error instanceof Error ? error.message : String(error) };
}
