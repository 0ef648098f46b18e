/**
 * A log file that is put aside when it has grown (--enable-log-rotation), with the names that etcd
 * gives such files: `kvorum-2026-11-30T12-00-00.000.log` beside `kvorum.log`. Pino's writer does the
 * writing, and opens the file anew; what is left for us is to rename, to remove and to compress.
 *
 * The size is looked at after each write, so a file may be larger by one of them, 16 KiB.
 */

import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fstatSync,
  renameSync,
} from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { destination } from 'pino';
import type { Clock } from '../../common/index.js';
import { type LogRotation, RotatedNames } from '../options/index.js';
import type { LineSink } from './line-sink.js';

export interface RotatingLogOptions {
  readonly rotation: LogRotation;
  readonly clock: Pick<Clock, 'wallMs'>;
  /** Opens a file for appending; its descriptor. Throws as node:fs does. */
  openFile(path: string): number;
  /** Bytes that wait for the disk, above which lines are dropped. */
  readonly backlogBytesMax: number;
}

/** Throws what `openFile` throws. */
export function openRotatingLog(path: string, options: RotatingLogOptions): LineSink {
  const { backlogBytesMax: maxLength, clock, openFile, rotation } = options;
  // The writer opens it once more, in its own time: here so that what is wrong is told at once.
  const descriptor = openFile(path);
  let sizeBytes = fstatSync(descriptor).size;
  closeSync(descriptor);
  const sink = destination({ dest: path, append: true, mode: 0o600, sync: false, maxLength });
  // A log that can't be written (disk full, reader gone) is no reason to stop serving.
  sink.on('error', () => {});
  const old = new OldLogs(path, rotation, clock);
  sink.on('write', (bytes: number) => {
    sizeBytes += bytes;
    if (sizeBytes < rotation.sizeBytesMax) return;
    sizeBytes = 0;
    try {
      renameSync(path, old.nextPath());
    } catch {
      return; // It goes on in the same file, and is tried again when that has grown as much again.
    }
    sink.reopen();
    old.tidy();
  });
  return sink;
}

const dayMs = 86_400_000;
const compressedEnd = '.gz';

/** The files that were put aside. */
class OldLogs {
  readonly #dir: string;
  readonly #names: RotatedNames;
  readonly #rotation: LogRotation;
  readonly #clock: Pick<Clock, 'wallMs'>;
  #tidying: Promise<void> | undefined;
  #again = false;

  constructor(path: string, rotation: LogRotation, clock: Pick<Clock, 'wallMs'>) {
    this.#dir = dirname(path);
    this.#names = new RotatedNames(path, rotation.localTime);
    this.#rotation = rotation;
    this.#clock = clock;
  }

  /** Where the file goes now: nothing is there. */
  nextPath(): string {
    for (let timeMs = this.#clock.wallMs(); ; timeMs += 1) {
      const path = join(this.#dir, this.#names.at(timeMs));
      if (!existsSync(path) && !existsSync(path + compressedEnd)) return path;
    }
  }

  /** Removes and compresses in the background, once at a time. */
  tidy(): void {
    this.#again = true;
    this.#tidying ??= this.#run().finally(() => {
      this.#tidying = undefined;
    });
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      // What can't be done now is done after the next rotation.
      await this.#once().catch(() => {});
    }
  }

  async #once(): Promise<void> {
    const { compress, daysMax, filesMax } = this.#rotation;
    const oldestMs = daysMax > 0 ? this.#clock.wallMs() - daysMax * dayMs : 0;
    const found = this.#names.among(await readdir(this.#dir));
    for (const [i, { isCompressed, name, timeMs }] of found.entries()) {
      const path = join(this.#dir, name);
      const isExtra = filesMax > 0 && i >= filesMax;
      if (isExtra || timeMs < oldestMs) await rm(path, { force: true });
      else if (compress && !isCompressed) await compressFile(path);
    }
  }
}

/** Half a compressed file never has the name of a whole one. */
async function compressFile(path: string): Promise<void> {
  const partial = `${path}.tmp`;
  const out = createWriteStream(partial, { mode: 0o600 });
  await pipeline(createReadStream(path), createGzip(), out);
  await rename(partial, path + compressedEnd);
  await rm(path, { force: true });
}
