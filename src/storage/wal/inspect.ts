/**
 * A look into a write-ahead log for tools and tests: reads whatever is readable, changes nothing
 * and refuses nothing.
 */

import { join } from 'node:path';

import type { Disk } from '../../common/index.js';
import { findFrame, readFrame, readItems, versionOf, type WalItem } from './format.js';
import { readWhole, segmentsOf } from './recover.js';

/** Something in a log, and where the frame that holds it begins. */
export type WalRecord = {
  readonly path: string;
  readonly offset: number;
} & (
  | WalItem
  /** A frame starts here, with the items that follow. */
  | { readonly kind: 'frame'; readonly bytes: number; readonly isChained: boolean }
  /** A frame whose checksum is right but whose items this version does not know. */
  | { readonly kind: 'unknown' }
  /** Nothing readable from here on, or up to the whole frame at `resumesAt`: that is damage. */
  | { readonly kind: 'end'; readonly resumesAt: number | undefined }
);

/** Yields what the log in `dir` holds, in order; data are the caller's. Rejects on disk errors. */
export async function* inspectWal(disk: Disk, dir: string): AsyncGenerator<WalRecord> {
  let previousCrc: number | undefined;
  for (const segment of segmentsOf(dir, await disk.list(dir))) {
    const path = join(dir, segment.name);
    const bytes = await readWhole(disk, path);
    const magic = bytes.length < 8 ? 0 : bytes.readUInt32LE(4);
    const version = versionOf(bytes);
    for (let offset = 0; ; ) {
      const frame = readFrame(bytes, offset, magic, version);
      if (frame === undefined) {
        const resumesAt = findFrame(bytes, offset + 8, magic, version);
        yield { path, offset, kind: 'end', resumesAt: resumesAt < 0 ? undefined : resumesAt };
        if (resumesAt < 0) break;
        offset = resumesAt;
        continue;
      }
      const isChained = previousCrc === undefined || previousCrc === frame.previousCrc;
      yield { path, offset, kind: 'frame', bytes: frame.end - offset, isChained };
      const items: WalItem[] = [];
      const isKnown = readItems(frame.payload, (item) => items.push(item));
      for (const item of items) yield { path, offset, ...item };
      if (!isKnown) yield { path, offset, kind: 'unknown' };
      previousCrc = frame.crc;
      offset = frame.next;
    }
  }
}
