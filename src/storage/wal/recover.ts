/**
 * Reading a write-ahead log back. The question that matters is what to do with bytes that are not a
 * whole frame (L-39):
 *
 *  - At the end of the last segment, with no whole frame behind them and with a sector missing,
 *    they are a write that a crash interrupted. Nobody was told that it is durable: it is cut.
 *  - Anything else is damage to something that was durable. Cutting there could take back what this
 *    member promised, so the log is not opened; the error names file, offset and remedy.
 *
 * One frame is one synced write, and the next is written only afterwards: that is why one whole
 * frame behind the bytes is proof of the second case, and so is a segment that was begun behind
 * them. For the last frame, see wal/tail.ts. No length is trusted before the checksum over it was
 * right.
 */

import { join } from 'node:path';

import {
  assert,
  assertNever,
  type Disk,
  type LogIndex,
  present,
  StorageError,
} from '../../common/index.js';
import type { Entry } from '../../raft/index.js';
import { damagedRemedy } from '../remedies.js';
import {
  type Frame,
  findFrame,
  magicOf,
  readFrame,
  readItems,
  type SegmentInfo,
  versionOf,
  type WalItem,
  type WalVersion,
  walFormatVersion,
} from './format.js';
import { sectorEnd } from './sector.js';
import { parseSegmentName, type SegmentName } from './segment.js';
import { LogShape } from './shape.js';
import { judgeTail, type Tail } from './tail.js';

/** One segment file of an open log. */
export interface SegmentFile {
  readonly path: string;
  readonly sequence: number;
  readonly version: WalVersion;
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
  /** The segment with the last mark that ended the log, which those before it had gone beyond. */
  readonly droppedIn: number;
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
    throw new StorageError(what, { path: join(dir, before.name), remedy: damagedRemedy });
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
  /** Where that ends. */
  readonly frameEnd: number;
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
  #droppedIn = 0;
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
    const version = versionOf(bytes);
    const head = readFrame(bytes, 0, magic, version);
    if (head === undefined) {
      if (!isLast || isFirst) throw damaged('the write-ahead log is damaged', path, 0);
      this.#takeUnused(segment, path, bytes, magic);
      return;
    }
    if (this.#end !== undefined && head.previousCrc !== this.#previousCrc) {
      const { file, position } = this.#end;
      throw damaged('the write-ahead log is damaged or was cut short', file.path, position);
    }
    const { sequence } = segment;
    const file = { path, sequence, version, lastIndex: 0, sizeBytes: bytes.length };
    this.#segments.push(file);
    const info = this.#takeHead(head, segment, path, isFirst);
    if (bytes.length < info.fileBytes) {
      const what = `a segment of the write-ahead log was cut short, it had ${info.fileBytes} bytes`;
      throw damaged(what, path, bytes.length);
    }
    let position = 0;
    let [frameAt, frameEnd] = [0, 0];
    for (let frame: Frame | undefined = head; frame !== undefined; ) {
      if (position > 0 && frame.previousCrc !== this.#previousCrc) {
        throw damaged('a frame of the write-ahead log does not follow the last', path, position);
      }
      if (position > 0) this.#takeFrame(frame, file, position);
      else this.#takeRest(frame, file);
      this.#previousCrc = frame.crc;
      frameAt = position;
      frameEnd = frame.end;
      position = frame.next;
      frame = readFrame(bytes, position, magic, version);
    }
    const { isRecycled } = info;
    this.#end = { file, bytes, frameAt, frameEnd, position, magic, isRecycled };
  }

  /** A last segment without a first frame: its name was durable, and nothing else yet. */
  #takeUnused(segment: SegmentName, path: string, bytes: Buffer, magic: number): void {
    const version = versionOf(bytes);
    const what = 'the write-ahead log is damaged';
    const tail = this.#judge({ bytes, at: 0, magic, version, sequence: segment.sequence });
    if (tail.kind === 'damaged') throw damaged(what, path, 0);
    // It is begun when everything before it is durable, and its name says how far that reaches.
    const end = present(this.#end, 'the end of the segment before');
    if (this.#judgeEnd(end).kind !== 'nothing') throw damaged(what, end.file.path, end.position);
    this.#dropUnseen(segment.firstIndex - 1);
    const { lastIndex } = this.#shape;
    if (segment.firstIndex !== lastIndex + 1) {
      const reach = `it ends at entry ${lastIndex}, the next segment begins at ${segment.firstIndex}`;
      throw damaged(`the write-ahead log lacks entries (${reach})`, end.file.path, end.position);
    }
    this.#emptyPaths.push(path);
  }

  #judgeEnd({ file, bytes, position, magic, isRecycled }: SegmentEnd): Tail {
    const { sequence, version } = file;
    const after = findFrame(bytes, position + 8, magic, version);
    if (after >= 0) {
      const what = `the write-ahead log is damaged (a whole frame follows at offset ${after})`;
      throw damaged(what, file.path, position);
    }
    return this.#judge({ bytes, at: position, magic, version, sequence, isRecycled });
  }

  #judge(at: {
    readonly bytes: Buffer;
    readonly at: number;
    readonly magic: number;
    readonly version: WalVersion;
    readonly sequence: number;
    readonly isRecycled?: boolean;
  }): Tail {
    const [magicBase, previousCrc] = [this.#magicBase, this.#previousCrc];
    return judgeTail({ isRecycled: false, ...at, magicBase, previousCrc });
  }

  finish(): RecoveredWal {
    const end = present(this.#end, 'the end of the write-ahead log');
    const shape = this.#shape;
    const tail = this.#judgeEnd(end);
    if (tail.kind === 'damaged') {
      const what =
        'the last frame of the write-ahead log is damaged (all of it was written, so it is not ' +
        'an interrupted write)';
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
      lastFrame: { offset: end.frameAt, bytes: lastFrameBytes(end) },
      previousCrc: this.#previousCrc,
      tornBytes: tail.kind === 'torn' ? tail.bytes : 0,
      droppedIn: this.#droppedIn,
      emptyPaths: this.#emptyPaths,
    };
  }

  /** Checks the first frame of a segment against its name and against the segments before it. */
  #takeHead(frame: Frame, segment: SegmentName, path: string, isFirst: boolean): SegmentInfo {
    const items: WalItem[] = [];
    const isReadable = readItems(frame.payload, (item) => items.push(item));
    const [first, second, third, fourth] = items;
    const version = first?.kind === 'segment' ? first.segment.version : undefined;
    const isKnown = version === 1 || version === walFormatVersion;
    if (first?.kind !== 'segment' || (isReadable && !isKnown)) throw otherVersion(path, version);
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
      return info;
    }
    this.#dropUnseen(info.lastIndex);
    if (info.lastIndex !== this.#shape.lastIndex || info.magicBase !== this.#magicBase) {
      throw damaged('a segment of the write-ahead log does not follow the last', path, 0);
    }
    return info;
  }

  /**
   * A snapshot mark with which the log does not agree ends it there (LogShape.mark). That can not
   * be seen if the entry at the mark lies in a released segment, but the next segment says where
   * the log ended before it; and an entry that was appended behind the mark has said it already.
   */
  #dropUnseen(lastIndex: LogIndex): void {
    const shape = this.#shape;
    if (lastIndex !== shape.snapshot.index || lastIndex >= shape.lastIndex) return;
    shape.dropBehindMark();
    this.#entries = [];
    this.#missingThrough = Math.min(this.#missingThrough, lastIndex);
  }

  /** Items of a segment's first frame that come after the head. */
  #takeRest(frame: Frame, file: SegmentFile): void {
    const headItems = 4;
    let seen = 0;
    readItems(frame.payload, (item) => {
      seen += 1;
      if (seen > headItems) this.#takeItem(item, file, 0);
    });
  }

  #takeFrame(frame: Frame, file: SegmentFile, position: number): void {
    const isReadable = readItems(frame.payload, (item) => this.#takeItem(item, file, position));
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
        const isWithin = index <= shape.lastIndex;
        if (!shape.mark(item.snapshot)) {
          if (isWithin) this.#droppedIn = file.sequence;
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

/** The last frame, and in version 2 the zeros up to the end of its sector that go with it. */
function lastFrameBytes({ file, bytes, frameAt, frameEnd }: SegmentEnd): Buffer {
  const end = file.version === 1 ? frameEnd : Math.min(sectorEnd(frameEnd), bytes.length);
  const result = Buffer.alloc(end - frameAt);
  bytes.copy(result, 0, frameAt, frameEnd);
  return result;
}

function damaged(what: string, path: string, offset: number): StorageError {
  return new StorageError(what, { path, offset, remedy: damagedRemedy });
}

function otherVersion(path: string, version: number | undefined, offset = 0): StorageError {
  const found = version === undefined ? 'another format' : `format ${version}`;
  return new StorageError(`the write-ahead log is of ${found}, not ${walFormatVersion}`, {
    path,
    offset,
    remedy: 'Start the version of kvorum that wrote it.',
  });
}
