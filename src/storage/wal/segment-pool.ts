/**
 * The segment to come, made ready in the background, and used-up segments kept for another use.
 * A recycled file needs no zeros: the magic of its new segment tells stale bytes from its own.
 */

import { basename, join } from 'node:path';

import { assert, type Disk, type DiskFile, type Logger } from '../../common/index.js';
import { errorCode } from '../disk-failure.js';
import { walFormatVersion } from './format.js';
import type { SegmentFile } from './recover.js';
import { createZeroed, nextSegmentBytes, temporarySuffix } from './segment.js';

/** A file that is ready to become the next segment. */
export interface ReadySegment {
  readonly file: DiskFile;
  readonly path: string;
  readonly sizeBytes: number;
  readonly isRecycled: boolean;
}

/** Keeps at most one file ready and one to recycle. */
export class SegmentPool {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #fullBytes: number;
  readonly #logger: Logger;
  readonly #onFailure: (error: unknown) => void;
  #ready: ReadySegment | undefined;
  #spare: { readonly path: string; readonly sizeBytes: number } | undefined;
  #preparing: Promise<void> | undefined;
  /** After the disk was full: position in the segment before which it is not tried again. */
  #retryAt = 0;
  #counter = 0;

  constructor(
    disk: Disk,
    dir: string,
    fullBytes: number,
    logger: Logger,
    onFailure: (error: unknown) => void,
  ) {
    this.#disk = disk;
    this.#dir = dir;
    this.#fullBytes = fullBytes;
    this.#logger = logger;
    this.#onFailure = onFailure;
  }

  get isReady(): boolean {
    return this.#ready !== undefined;
  }

  get sizeBytes(): number {
    return (this.#ready?.sizeBytes ?? 0) + (this.#spare?.sizeBytes ?? 0);
  }

  /** Starts making a segment ready to follow one of `currentBytes`, unless that was done. */
  prepare(currentBytes: number, position: number): void {
    if (this.#ready !== undefined || this.#preparing !== undefined) return;
    if (position < this.#retryAt) return;
    this.#preparing = this.#prepare(currentBytes, position)
      .catch(this.#onFailure)
      .finally(() => {
        this.#preparing = undefined;
      });
  }

  /** The segment that is ready; the caller gives it its name. */
  take(): ReadySegment {
    assert(this.#ready !== undefined, 'no write-ahead log segment is ready');
    const ready = this.#ready;
    this.#ready = undefined;
    this.#retryAt = 0;
    return ready;
  }

  /** Takes over a segment that is no longer needed; its name is gone durably afterwards. */
  async giveBack(segment: SegmentFile): Promise<void> {
    const { path, sizeBytes, version } = segment;
    // What version 1 wrote has no marks by which to tell that it is old.
    const isOfUse = version === walFormatVersion && sizeBytes >= this.#fullBytes;
    const isUseful = this.#spare === undefined && isOfUse;
    if (isUseful) {
      const spare = this.#temporaryPath();
      await this.#disk.rename(path, spare);
      await this.#disk.syncDir(this.#dir);
      this.#spare = { path: spare, sizeBytes };
    } else {
      await this.#disk.remove(path);
      await this.#disk.syncDir(this.#dir);
    }
    this.#logger.debug('released a write-ahead log segment', { name: basename(path) });
  }

  async close(): Promise<void> {
    await this.#preparing;
    const [ready, spare] = [this.#ready, this.#spare];
    this.#ready = undefined;
    this.#spare = undefined;
    if (ready !== undefined) {
      await ready.file.close();
      await this.#disk.remove(ready.path);
    }
    if (spare !== undefined) await this.#disk.remove(spare.path);
  }

  async #prepare(currentBytes: number, position: number): Promise<void> {
    const spare = this.#spare;
    if (spare !== undefined) {
      this.#spare = undefined;
      const file = await this.#disk.open(spare.path, 'write');
      this.#ready = { file, ...spare, isRecycled: true };
      return;
    }
    const sizeBytes = nextSegmentBytes(currentBytes, this.#fullBytes);
    const path = this.#temporaryPath();
    try {
      const file = await createZeroed(this.#disk, path, sizeBytes);
      this.#ready = { file, path, sizeBytes, isRecycled: false };
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC') throw error;
      // Not the end yet: the current segment still has room, and then may grow.
      this.#logger.warn('no room to prepare the next write-ahead log segment', { sizeBytes });
      this.#retryAt = position + Math.ceil(sizeBytes / 8);
      await this.#disk.remove(path);
    }
  }

  #temporaryPath(): string {
    this.#counter += 1;
    return join(this.#dir, `${this.#counter}${temporarySuffix}`);
  }
}
