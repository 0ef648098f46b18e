/**
 * The file of the audit: lines are gathered, and written some times a second by the Disk, never by
 * whoever brings them. While the disk is full or gone they are kept, up to a bound; above it they
 * are dropped and counted, and the file itself tells so as soon as it can be written again. What
 * was written only in part is written again in the same place: there is never half a line.
 *
 * No fsync: it tells what was done, the store itself is the truth.
 */

import { basename, dirname, join } from 'node:path';
import {
  auditBacklogBytesMax,
  auditCloseMs,
  auditFlushMs,
  auditRetryMs,
  auditWriteBytes,
  type Clock,
  type Disk,
  type DiskFile,
  type Logger,
  untilOrAfter,
} from '../../common/index.js';
import type { Metrics } from '../metrics/index.js';
import { type AuditConfig, RotatedNames } from '../options/index.js';
import { LineChunks } from './line-chunks.js';

export interface AuditFileOptions {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly config: AuditConfig;
}

/** Mistakes in the flag, not of the disk: a member that can't tell what it does should not begin. */
const mistakes: ReadonlySet<unknown> = new Set([
  ...['ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'EROFS', 'ENAMETOOLONG'],
]);

export class AuditFile {
  readonly #o: AuditFileOptions;
  readonly #names: RotatedNames;
  readonly #lines = new LineChunks();
  #dropped = 0;
  #droppedFromMs = 0;
  #file: DiskFile | undefined;
  #offset = 0;
  #isWaiting = false;
  #running: Promise<void> | undefined;
  #hasFailed = false;
  #isClosed = false;

  constructor(options: AuditFileOptions) {
    this.#o = options;
    this.#names = new RotatedNames(options.config.path, false);
  }

  /** Rejects if the path is wrong; a disk that is full is waited for. */
  async open(): Promise<void> {
    try {
      await this.#open();
    } catch (error) {
      if (mistakes.has((error as { readonly code?: unknown }).code)) {
        const why = error instanceof Error ? error.message : String(error);
        throw new Error(`--audit-log can't be written: ${why}`, { cause: error });
      }
      this.#failed(error);
    }
  }

  /** One line, with its newline. */
  write(line: string): void {
    const { metrics } = this.#o;
    if (this.#lines.bytes + line.length > auditBacklogBytesMax || this.#isClosed) {
      if (this.#dropped === 0) this.#droppedFromMs = this.#o.clock.wallMs();
      this.#dropped += 1;
      metrics.auditDropped += 1;
      return;
    }
    this.#lines.add(line);
    metrics.auditLines += 1;
    if (this.#lines.bytes >= auditWriteBytes && !this.#hasFailed) void this.#runNow();
    else this.#runLater(this.#hasFailed ? auditRetryMs : auditFlushMs);
  }

  /** Writes what is left, if the disk takes it now; a disk that hangs is not waited for. */
  async close(): Promise<void> {
    await untilOrAfter(this.#close(), this.#o.clock, auditCloseMs);
  }

  async #close(): Promise<void> {
    await this.#running;
    await this.#runNow();
    this.#isClosed = true;
    const file = this.#file;
    this.#file = undefined;
    await file?.close().catch(() => {});
  }

  #runLater(delayMs: number): void {
    if (this.#isWaiting || this.#running !== undefined) return;
    this.#isWaiting = true;
    this.#o.clock.after(delayMs, () => {
      this.#isWaiting = false;
      void this.#runNow();
    });
  }

  #runNow(): Promise<void> {
    this.#running ??= this.#writeAll().finally(() => {
      this.#running = undefined;
      if (this.#lines.bytes > 0 || this.#dropped > 0) {
        if (!this.#isClosed) this.#runLater(this.#hasFailed ? auditRetryMs : auditFlushMs);
      }
    });
    return this.#running;
  }

  async #writeAll(): Promise<void> {
    try {
      await this.#open();
      for (let batch = this.#next(); batch !== undefined; batch = this.#next()) {
        await this.#file?.write(this.#offset, [batch]);
        this.#offset += batch.length;
        this.#lines.written();
        this.#hasFailed = false;
        if (this.#offset >= this.#o.config.sizeBytesMax) await this.#rotate();
      }
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#o.metrics.auditWriteFailures += 1;
    if (!this.#hasFailed) {
      const { path } = this.#o.config;
      this.#o.logger.error('the audit log can not be written', { path, error });
    }
    this.#hasFailed = true;
  }

  /** What failed before comes first, for it was not taken out; at last, what was dropped is told. */
  #next(): Buffer | undefined {
    if (this.#lines.bytes === 0 && this.#dropped > 0) {
      const from = new Date(this.#droppedFromMs).toISOString();
      const ts = new Date(this.#o.clock.wallMs()).toISOString();
      this.#lines.add(`${JSON.stringify({ ts, dropped: this.#dropped, from })}\n`);
      this.#dropped = 0;
    }
    return this.#lines.first();
  }

  async #open(): Promise<void> {
    if (this.#file !== undefined) return;
    const { config, disk } = this.#o;
    const file = await openOrCreate(disk, config.path);
    try {
      this.#offset = await file.size();
      const last = this.#offset === 0 ? undefined : await file.read(this.#offset - 1, 1);
      // The process ended in the middle of a line.
      if (last !== undefined && last.length === 1 && last[0] !== 0x0a) {
        await file.write(this.#offset, [Buffer.from('\n')]);
        this.#offset += 1;
      }
    } catch (error) {
      await file.close().catch(() => {});
      throw error;
    }
    this.#file = file;
  }

  async #rotate(): Promise<void> {
    const { clock, config, disk } = this.#o;
    const dir = dirname(config.path);
    const there = new Set(await disk.list(dir));
    let timeMs = clock.wallMs();
    while (there.has(this.#names.at(timeMs))) timeMs += 1;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
    await disk.rename(config.path, join(dir, this.#names.at(timeMs)));
    await this.#open();
    if (config.filesMax === 0) return;
    const old = this.#names.among(await disk.list(dir)).slice(config.filesMax);
    for (const { name } of old) await disk.remove(join(dir, basename(name)));
  }
}

async function openOrCreate(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'write');
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ENOENT') throw error;
    return disk.open(path, 'create');
  }
}
