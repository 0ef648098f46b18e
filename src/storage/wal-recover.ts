/**
 * Reading a write-ahead log back. The question that matters is what to do with bytes that are not a
 * whole frame (reliability.md 1.7, protocol-aware recovery):
 *
 *  - At the end of the last segment, with no whole frame behind them, they are a write that a crash
 *    interrupted. Nobody was told that it is durable, so it is cut.
 *  - Anywhere else they are damage to something that was durable. Cutting there could take back
 *    what this member promised, so the log is not opened; the error names file, offset and remedy.
 *
 * One frame is one synced write, and the next is written only afterwards: that is why one whole
 * frame behind the bytes is proof of the second case. No length is trusted before the checksum over
 * it was right. What can't be told from an interrupted write is damage to the very last frame; it
 * is cut, and the bytes are counted and reported.
 */

import { join } from 'node:path';

import {
  assert,
  assertNever,
  type Disk,
  type LogIndex,
  present,
  StorageError,
} from '../common/index.js';
import type { Entry } from '../raft/index.js';
import {
  align8,
  type Frame,
  findFrame,
  frameHeaderBytes,
  magicOf,
  readFrame,
  readItems,
  type SegmentInfo,
  type WalItem,
  walFormatVersion,
} from './wal-format.js';
import { parseSegmentName, type SegmentName } from './wal-segment.js';
import { LogShape } from './wal-shape.js';

const remedy =
  'Do not edit the file. Remove this member, delete its data directory, and add it again as a ' +
  'new member; or restore the directory from a backup.';

/** One segment file of an open log. */
export interface SegmentFile {
  readonly path: string;
  readonly sequence: number;
  /** The highest index of any entry in it, overwritten ones too; 0 without entries. */
  lastIndex: LogIndex;
  sizeBytes: number;
}

/** What recovery found, and where writing goes on. */
export interface RecoveredWal {
  readonly shape: LogShape;
  readonly metadata: Buffer;
  /** After the snapshot mark, contiguous. */
  readonly entries: Entry[];
  readonly segments: SegmentFile[];
  readonly magicBase: number;
  /** Where the next frame goes in the last segment, and the crc that it repeats. */
  readonly position: number;
  readonly previousCrc: number;
  /** The caller writes it once more: whoever wrote it may have died of a failed fsync. */
  readonly lastFrame: { readonly offset: number; readonly bytes: Buffer };
  /** Torn bytes from `position` on; the caller cleans them up before it writes. */
  readonly tornBytes: number;
  /** Last segments that were begun but hold nothing; the caller removes them. */
  readonly emptyPaths: readonly string[];
}

/** The segments among `names`, in order. Throws StorageError if one in the middle is missing. */
export function segmentsOf(dir: string, names: readonly string[]): SegmentName[] {
  const segments = names
    .map(parseSegmentName)
    .filter((segment) => segment !== undefined)
    .sort((a, b) => a.sequence - b.sequence);
  for (let i = 1; i < segments.length; i++) {
    const [before, after] = [segments[i - 1], segments[i]];
    if (before === undefined || after === undefined) continue;
    if (after.sequence === before.sequence + 1) continue;
    const what = `the write-ahead log has no segment between ${before.name} and ${after.name}`;
    throw new StorageError(what, { path: join(dir, before.name), remedy });
  }
  return segments;
}

/** Reads all segments. Changes nothing on disk. Throws StorageError on damage. */
export async function recoverWal(
  disk: Disk,
  dir: string,
  names: readonly string[],
): Promise<RecoveredWal> {
  const segments = segmentsOf(dir, names);
  assert(segments.length > 0, 'recovery needs a segment');
  const recovery = new Recovery(dir);
  for (const [i, segment] of segments.entries()) {
    const path = join(dir, segment.name);
    recovery.take(segment, await readWhole(disk, path), i === segments.length - 1);
  }
  return recovery.finish();
}

/** All bytes of a file. */
export async function readWhole(disk: Disk, path: string): Promise<Buffer> {
  const file = await disk.open(path, 'read');
  try {
    return await file.read(0, await file.size());
  } finally {
    await file.close();
  }
}

/** Where the readable part of a segment ended. */
interface SegmentEnd {
  readonly file: SegmentFile;
  readonly bytes: Buffer;
  /** Where its last frame begins. */
  readonly frameAt: number;
  readonly position: number;
  readonly magic: number;
  readonly isRecycled: boolean;
}

class Recovery {
  readonly #dir: string;
  readonly #shape = new LogShape();
  readonly #segments: SegmentFile[] = [];
  readonly #emptyPaths: string[] = [];
  #metadata: Buffer | undefined;
  #entries: Entry[] = [];
  /** Entries up to here are in released segments, or were overwritten. */
  #missingThrough: LogIndex = 0;
  #magicBase = 0;
  #previousCrc = 0;
  #end: SegmentEnd | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  take(segment: SegmentName, bytes: Buffer, isLast: boolean): void {
    const path = join(this.#dir, segment.name);
    const isFirst = this.#end === undefined;
    // The first segment was durable before it got its name. The magic of the others is known.
    const magic = isFirst
      ? bytes.length < 8
        ? 0
        : bytes.readUInt32LE(4)
      : magicOf(this.#magicBase, segment.sequence);
    const head = readFrame(bytes, 0, magic);
    if (head === undefined) {
      const isTorn = isLast && !isFirst && findFrame(bytes, 8, magic) < 0;
      if (!isTorn) throw damaged('the write-ahead log is damaged', path, 0);
      this.#emptyPaths.push(path);
      return;
    }
    if (this.#end !== undefined && head.previousCrc !== this.#previousCrc) {
      const { file, position } = this.#end;
      throw damaged('the write-ahead log is damaged or was cut short', file.path, position);
    }
    const file = { path, sequence: segment.sequence, lastIndex: 0, sizeBytes: bytes.length };
    this.#segments.push(file);
    const info = this.#takeHead(head, segment, path, isFirst);
    let position = 0;
    let frameAt = 0;
    for (let frame: Frame | undefined = head; frame !== undefined; ) {
      if (position > 0 && frame.previousCrc !== this.#previousCrc) {
        throw damaged('a frame of the write-ahead log does not follow the last', path, position);
      }
      if (position > 0) this.#takeFrame(frame, file, position);
      else this.#takeRest(frame, file);
      this.#previousCrc = frame.crc;
      frameAt = position;
      position = frame.end;
      frame = readFrame(bytes, position, magic);
    }
    this.#end = { file, bytes, frameAt, position, magic, isRecycled: info.isRecycled };
  }

  finish(): RecoveredWal {
    const end = present(this.#end, 'the end of the write-ahead log');
    const shape = this.#shape;
    const tornBytes = tornLength(end);
    const after = findFrame(end.bytes, end.position + 8, end.magic);
    if (after >= 0) {
      const what = `the write-ahead log is damaged (a whole frame follows at offset ${after})`;
      throw damaged(what, end.file.path, end.position);
    }
    if (this.#missingThrough > shape.snapshot.index) {
      const what = `the write-ahead log lacks entries after ${shape.snapshot.index}`;
      throw damaged(what, present(this.#segments[0], 'a segment').path, 0);
    }
    const first = this.#entries[0];
    assert(
      first === undefined || first.index === shape.snapshot.index + 1,
      'recovered entries do not follow the snapshot',
    );
    return {
      shape,
      metadata: present(this.#metadata, 'metadata of the write-ahead log'),
      entries: this.#entries,
      segments: this.#segments,
      magicBase: this.#magicBase,
      position: end.position,
      lastFrame: {
        offset: end.frameAt,
        bytes: Buffer.from(end.bytes.subarray(end.frameAt, end.position)),
      },
      previousCrc: this.#previousCrc,
      tornBytes,
      emptyPaths: this.#emptyPaths,
    };
  }

  /** Checks the first frame of a segment against its name and against the segments before it. */
  #takeHead(frame: Frame, segment: SegmentName, path: string, isFirst: boolean): SegmentInfo {
    const items: WalItem[] = [];
    const isReadable = readItems(frame.payload, (item) => items.push(item));
    const [first, second, third, fourth] = items;
    if (first?.kind !== 'segment' || (isReadable && first.segment.version !== walFormatVersion)) {
      throw otherVersion(path, first?.kind === 'segment' ? first.segment.version : undefined);
    }
    const isHead =
      isReadable &&
      second?.kind === 'metadata' &&
      third?.kind === 'hardState' &&
      fourth?.kind === 'snapshot';
    if (!isHead) throw damaged('a segment of the write-ahead log has no head', path, 0);
    const info = first.segment;
    if (info.sequence !== segment.sequence || info.lastIndex + 1 !== segment.firstIndex) {
      throw damaged('a segment of the write-ahead log has the name of another', path, 0);
    }
    if (isFirst) {
      const last = { index: info.lastIndex, term: info.lastTerm };
      this.#shape.restart(fourth.snapshot, third.hardState, last);
      this.#missingThrough = info.lastIndex;
      this.#magicBase = info.magicBase;
      this.#metadata = Buffer.from(second.metadata);
    } else if (info.lastIndex !== this.#shape.lastIndex || info.magicBase !== this.#magicBase) {
      throw damaged('a segment of the write-ahead log does not follow the last', path, 0);
    }
    return info;
  }

  /** Items of a segment's first frame that come after the head. */
  #takeRest(frame: Frame, file: SegmentFile): void {
    const headItems = 4;
    let seen = 0;
    const payload = Buffer.from(frame.payload);
    readItems(payload, (item) => {
      seen += 1;
      if (seen > headItems) this.#takeItem(item, file, 0);
    });
  }

  #takeFrame(frame: Frame, file: SegmentFile, position: number): void {
    // A copy: entries that stay must not keep the whole segment in memory.
    const payload = Buffer.from(frame.payload);
    const isReadable = readItems(payload, (item) => this.#takeItem(item, file, position));
    if (!isReadable) throw otherVersion(file.path, undefined, position);
  }

  #takeItem(item: WalItem, file: SegmentFile, position: number): void {
    const shape = this.#shape;
    switch (item.kind) {
      case 'entry':
        this.#takeEntry(item.entry, file, position);
        return;
      case 'hardState':
        shape.hardState = item.hardState;
        return;
      case 'snapshot': {
        const { index } = item.snapshot;
        if (index < shape.snapshot.index) {
          throw damaged('a snapshot mark of the write-ahead log goes back', file.path, position);
        }
        if (!shape.mark(item.snapshot)) {
          this.#entries = [];
          this.#missingThrough = Math.min(this.#missingThrough, index);
        }
        const first = this.#entries[0];
        if (first !== undefined) this.#entries.splice(0, index + 1 - first.index);
        return;
      }
      case 'segment':
      case 'metadata':
        throw damaged('a head stands inside the write-ahead log', file.path, position);
      default:
        assertNever(item, 'item of the write-ahead log');
    }
  }

  #takeEntry(entry: Entry, file: SegmentFile, position: number): void {
    const { index, term } = entry;
    const refusal = this.#shape.refuses(index, term);
    if (refusal !== undefined) {
      throw damaged(`the write-ahead log is inconsistent: ${refusal}`, file.path, position);
    }
    this.#shape.append(index, term);
    file.lastIndex = Math.max(file.lastIndex, index);
    if (index <= this.#missingThrough) {
      this.#missingThrough = index - 1;
      this.#entries = [];
    }
    const first = this.#entries[0];
    if (first !== undefined) this.#entries.length = index - first.index;
    this.#entries.push(entry);
  }
}

/** How many bytes behind the last frame look like an interrupted write. */
function tornLength(end: SegmentEnd): number {
  const { bytes, position, magic } = end;
  if (!end.isRecycled) return lastNonZero(bytes, position) - position;
  // Stale bytes are expected in a file that was used before; a frame that was begun is not.
  if (position + frameHeaderBytes > bytes.length) return 0;
  if (bytes.readUInt32LE(position + 4) !== magic) return 0;
  const length = align8(frameHeaderBytes + bytes.readUInt32LE(position + 8));
  return Math.min(length, bytes.length - position);
}

/** The end of what is not zero in `bytes` from `from` on; `from` if all of it is. */
function lastNonZero(bytes: Buffer, from: number): number {
  let end = bytes.length;
  // Whole blocks first, natively: a segment is mostly zeros when it is young.
  while (end - zeroBlock.length >= from) {
    if (bytes.compare(zeroBlock, 0, zeroBlock.length, end - zeroBlock.length, end) !== 0) break;
    end -= zeroBlock.length;
  }
  while (end > from && bytes[end - 1] === 0) end -= 1;
  return end;
}

const zeroBlock = Buffer.alloc(64 * 1024);

function damaged(what: string, path: string, offset: number): StorageError {
  return new StorageError(what, { path, offset, remedy });
}

function otherVersion(path: string, version: number | undefined, offset = 0): StorageError {
  const found = version === undefined ? 'another format' : `format ${version}`;
  return new StorageError(`the write-ahead log is of ${found}, not ${walFormatVersion}`, {
    path,
    offset,
    remedy: 'Start the version of kvorum that wrote it.',
  });
}
