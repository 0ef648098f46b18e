/**
 * Segment files: their names, how they are made, and how directories are made durable.
 *
 * Measured (ext4, 2 cores, 15 kB a commit): a commit into a file whose blocks were written before
 * takes 240-290 us, into one that was only extended by truncate 290-360 us, into a growing one
 * 310-500 us. So segments are filled with zeros, in the background, before they are needed. 64 MB
 * of zeros take 50-230 ms: too long for the first start of an empty node. The first segment is
 * small, and each later one four times as large as the one before, up to the full size.
 */

import { join } from 'node:path';

import type { Disk, DiskFile, LogIndex } from '../../common/index.js';

/** The size of the first segment of a new log. */
export const firstSegmentBytes = 1024 * 1024;
const segmentGrowth = 4;

const zeroChunkBytes = 1024 * 1024;
/** Zeros written between syncs: a burst of 64 MB would hold up the syncs of the live segment. */
const zeroSyncBytes = 4 * 1024 * 1024;
const zeros = Buffer.alloc(zeroChunkBytes);

const namePattern = /^([0-9a-f]{16})-([0-9a-f]{16})\.wal$/;

/** Unfinished files end with this; they are removed when the log is opened. */
export const temporarySuffix = '.tmp';

/** A segment as its name tells. */
export interface SegmentName {
  readonly name: string;
  readonly sequence: number;
  /** The index that the first entry in it has, if it has one and overwrites nothing. */
  readonly firstIndex: LogIndex;
}

/** `sequence-firstIndex.wal`, in hex, so that names sort as segments do. */
export function segmentName(sequence: number, firstIndex: LogIndex): string {
  return `${hex16(sequence)}-${hex16(firstIndex)}.wal`;
}

/** Undefined if `name` is not that of a segment. */
export function parseSegmentName(name: string): SegmentName | undefined {
  const match = namePattern.exec(name);
  if (match === null) return undefined;
  const [, sequence = '', firstIndex = ''] = match;
  return {
    name,
    sequence: Number.parseInt(sequence, 16),
    firstIndex: Number.parseInt(firstIndex, 16),
  };
}

/** How large the segment after one of `currentBytes` is made. */
export function nextSegmentBytes(currentBytes: number, fullBytes: number): number {
  return Math.min(fullBytes, Math.max(firstSegmentBytes, currentBytes * segmentGrowth));
}

/** Creates `path` filled with `size` zeros, durably but for its name. */
export async function createZeroed(disk: Disk, path: string, size: number): Promise<DiskFile> {
  const file = await disk.open(path, 'create');
  try {
    await writeZeros(file, 0, size);
  } catch (error) {
    await file.close();
    throw error;
  }
  return file;
}

/** Writes zeros over [from, to) and syncs. */
export async function writeZeros(file: DiskFile, from: number, to: number): Promise<void> {
  let unsynced = 0;
  for (let at = from; at < to; ) {
    const chunk = zeros.subarray(0, Math.min(zeroChunkBytes, to - at));
    await file.write(at, [chunk]);
    at += chunk.length;
    unsynced += chunk.length;
    if (unsynced >= zeroSyncBytes && at < to) {
      await file.sync();
      unsynced = 0;
    }
  }
  await file.sync();
}

/** Removes what an interrupted creation or preparation left. Returns the other names. */
export async function removeTemporary(disk: Disk, dir: string): Promise<string[]> {
  const names = await disk.list(dir);
  for (const name of names) {
    if (name.endsWith(temporarySuffix)) await disk.remove(join(dir, name));
  }
  return names.filter((name) => !name.endsWith(temporarySuffix));
}

function hex16(value: number): string {
  return value.toString(16).padStart(16, '0');
}
