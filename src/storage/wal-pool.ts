/**
 * The segment to come, made ready in the background, and used-up segments kept for another use.
 * A recycled file needs no zeros: the magic of its new segment tells stale bytes from its own.
 *
 * A new file is filled in step with the live segment, a little after each of its writes. In one go,
 * half way through, 16 MB of zeros held up the syncs of the live segment long enough to be the p99
 * of whoever wrote a little all the time (docs/adr/0007).
 */

import { basename, join } from 'node:path';

import { assert, type Disk, type DiskFile, type Logger } from '../common/index.js';
import type { SegmentFile } from './wal-recover.js';
import { errorCode, nextSegmentBytes, temporarySuffix, zeros } from './wal-segment.js';

/** Filled at once, or an eighth of a small file: a write to the live segment may wait for that. */
const stepBytes = 512 * 1024;
const stepsMin = 8;
/** The new file is ready when this share of what was left of the live segment has been written. */
const readyShare = 0.75;

/** A file that is ready to become the next segment. */
export interface ReadySegment {
  readonly file: DiskFile;
  readonly path: string;
  readonly sizeBytes: number;
  readonly isRecycled: boolean;
}

/** A file that is being filled. */
interface Making {
  readonly file: DiskFile;
  readonly path: string;
  readonly sizeBytes: number;
  writtenBytes: number;
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
  #making: Making | undefined;
  #working: Promise<void> | undefined;
  /** Where the live segment was when its successor was first thought of, and where it is now. */
  #beganAt: number | undefined;
  #position = 0;
  /** How much of the successor should be filled by now. */
  #dueBytes = 0;
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
    const unused = (this.#ready ?? this.#spare)?.sizeBytes ?? 0;
    return unused + (this.#making?.writtenBytes ?? 0);
  }

  /** `position` of `capacity` bytes of the live segment are written; so much of the next is due. */
  prepare(capacity: number, position: number): void {
    if (this.#ready !== undefined || position < this.#retryAt) return;
    this.#position = position;
    this.#beganAt ??= position;
    const sizeBytes = this.#making?.sizeBytes ?? nextSegmentBytes(capacity, this.#fullBytes);
    const room = (capacity - this.#beganAt) * readyShare;
    const share = room > 0 ? Math.min(1, (position - this.#beganAt) / room) : 1;
    this.#dueBytes = Math.ceil(share * sizeBytes);
    const missing = this.#missing(sizeBytes, this.#making?.writtenBytes ?? 0);
    if (this.#working !== undefined || missing === 0) return;
    this.#working = this.#work(sizeBytes)
      .catch(this.#onFailure)
      .finally(() => {
        this.#working = undefined;
      });
  }

  /** The segment that is ready; the caller gives it its name. */
  take(): ReadySegment {
    assert(this.#ready !== undefined, 'no write-ahead log segment is ready');
    const ready = this.#ready;
    this.#ready = undefined;
    this.#beganAt = undefined;
    this.#retryAt = 0;
    return ready;
  }

  /** Takes over a segment that is no longer needed; its name is gone durably afterwards. */
  async giveBack(segment: SegmentFile): Promise<void> {
    const { path, sizeBytes } = segment;
    const isUseful = this.#spare === undefined && sizeBytes >= this.#fullBytes;
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
    await this.#working;
    const [unused, spare] = [this.#ready ?? this.#making, this.#spare];
    this.#ready = undefined;
    this.#making = undefined;
    this.#spare = undefined;
    if (unused !== undefined) {
      await unused.file.close();
      await this.#disk.remove(unused.path);
    }
    if (spare !== undefined) await this.#disk.remove(spare.path);
  }

  async #work(sizeBytes: number): Promise<void> {
    const spare = this.#spare;
    if (spare !== undefined && this.#making === undefined) {
      this.#spare = undefined;
      const file = await this.#disk.open(spare.path, 'write');
      this.#ready = { file, ...spare, isRecycled: true };
      return;
    }
    const path = this.#making?.path ?? this.#temporaryPath();
    try {
      this.#making ??= {
        file: await this.#disk.open(path, 'create'),
        path,
        sizeBytes,
        writtenBytes: 0,
      };
      await this.#fill(this.#making);
    } catch (error) {
      if (errorCode(error) !== 'ENOSPC') throw error;
      // Not the end yet: the current segment still has room, and then may grow.
      this.#logger.warn('no room to prepare the next write-ahead log segment', { sizeBytes });
      this.#retryAt = this.#position + Math.ceil(sizeBytes / 8);
      await this.#making?.file.close();
      this.#making = undefined;
      await this.#disk.remove(path);
    }
  }

  /**
   * As far as is due; what becomes due meanwhile, too. Each step is synced before the next. Steps
   * become larger when they fall behind: then so much is written that nobody waits for one sync.
   */
  async #fill(making: Making): Promise<void> {
    const { file, path, sizeBytes } = making;
    for (;;) {
      const missing = this.#missing(sizeBytes, making.writtenBytes);
      if (missing === 0) break;
      const step = Math.min(zeros.length, missing < 2 * stepBytes ? stepBytes : missing, missing);
      await file.writeDurable(making.writtenBytes, [zeros.subarray(0, step)]);
      making.writtenBytes += step;
    }
    if (making.writtenBytes < sizeBytes) return;
    this.#making = undefined;
    this.#ready = { file, path, sizeBytes, isRecycled: false };
  }

  /** What is due and not there; 0 if it is too little for a step. */
  #missing(sizeBytes: number, writtenBytes: number): number {
    const missing = this.#dueBytes - writtenBytes;
    const step = Math.min(stepBytes, sizeBytes / stepsMin);
    return missing >= step || this.#dueBytes === sizeBytes ? missing : 0;
  }

  #temporaryPath(): string {
    this.#counter += 1;
    return join(this.#dir, `${this.#counter}${temporarySuffix}`);
  }
}
