/**
 * The write-ahead log (step 6 of the path of a write): what Raft must not forget, durable before
 * anything that depends on it leaves this process.
 *
 * Group commit: while one frame is being written and synced, appends gather; then all of them go
 * out as the next frame. There is no timer: an idle log writes at once. One frame is under way at a
 * time, which is what recovery relies on (wal/recover.ts). After the first failed disk operation
 * nothing more is written and every append rejects: the pages of a failed sync count as clean, so
 * trying again could report success for bytes that are gone (L-31).
 *
 * A snapshot must be marked before entries that lie behind it are appended.
 */

import { join } from 'node:path';

import {
  assert,
  type Disk,
  type DiskFile,
  InvariantError,
  Lock,
  type Logger,
  type LogIndex,
  present,
  type Random,
  StorageError,
  silentLogger,
  walSegmentBytes,
} from '../../common/index.js';
import type { Entry, HardState, SnapshotMeta } from '../../raft/index.js';
import { diskFailure } from '../disk-failure.js';
import { syncPath } from '../sync-path.js';
import {
  type EncodedFrame,
  entryItemBytes,
  FrameEncoder,
  magicBaseFrom,
  magicOf,
  walFormatVersion,
} from './format.js';
import { type RecoveredWal, recoverWal, type SegmentFile, segmentsOf } from './recover.js';
import { frameHeaderBytes, sectorBytes, stampBytesMax } from './sector.js';
import {
  createZeroed,
  firstSegmentBytes,
  nextSegmentBytes,
  removeTemporary,
  segmentName,
  temporarySuffix,
  writeZeros,
} from './segment.js';
import { SegmentPool } from './segment-pool.js';
import { LogShape } from './shape.js';
import type { Wal, WalContents } from './types.js';

/** A frame takes appends until it has this many bytes; the rest goes into the next. */
const frameBytesTarget = 4 * 1024 * 1024;

/** How a log is opened. */
export interface WalOptions {
  /** For the magic of a new log. */
  readonly random: Random;
  /** Creates a log with these metadata if there is none; without it that is an error. */
  readonly metadataIfNew?: Uint8Array;
  readonly segmentBytes?: number;
  readonly logger?: Logger;
}

/** Opens the log in `dir`, or creates it. Throws StorageError on damage and on disk errors. */
export async function openWal(
  disk: Disk,
  dir: string,
  options: WalOptions,
): Promise<{ readonly wal: Wal; readonly contents: WalContents; readonly isNew: boolean }> {
  try {
    return await open(disk, dir, options);
  } catch (error) {
    throw diskFailure('the write-ahead log can not be opened', dir, error);
  }
}

async function open(
  disk: Disk,
  dir: string,
  options: WalOptions,
): Promise<{ wal: Wal; contents: WalContents; isNew: boolean }> {
  const logger = options.logger ?? silentLogger;
  const segmentBytes = options.segmentBytes ?? walSegmentBytes;
  // Without a finished segment there is no log, whatever else an interrupted creation left.
  let names = await removeTemporary(disk, dir);
  const isNew = segmentsOf(dir, names).length === 0;
  if (isNew) {
    if (options.metadataIfNew === undefined) {
      const remedy = 'Check that --data-dir and --wal-dir are those it ran on; put the log back.';
      throw new StorageError('there is no write-ahead log', { path: dir, remedy });
    }
    await create(disk, dir, options.metadataIfNew, options.random, segmentBytes);
    names = await disk.list(dir);
  }
  let recovered = await recoverWal(disk, dir, names);
  await syncPath(disk, dir);
  let file = await prepareForWriting(disk, dir, recovered, logger);
  if (recovered.segments.at(-1)?.version !== walFormatVersion) {
    await file.close();
    [recovered, file] = await beginVersion(disk, dir, recovered, segmentBytes);
  }
  const { shape, metadata, entries, tornBytes } = recovered;
  const hardState = shape.consistentHardState();
  shape.hardState = hardState;
  const wal = new SegmentedWal({ disk, dir, segmentBytes, logger, recovered, file });
  const contents = { metadata, hardState, snapshot: shape.snapshot, entries, tornBytes };
  return { wal, contents, isNew };
}

/** Makes the first segment: complete and durable before it gets its name (L-27). */
async function create(
  disk: Disk,
  dir: string,
  metadata: Uint8Array,
  random: Random,
  segmentBytes: number,
): Promise<void> {
  const sequence = 1;
  const magicBase = magicBaseFrom(random.u32());
  const encoder = new FrameEncoder();
  const shape = new LogShape();
  const size = Math.min(segmentBytes, firstSegmentBytes);
  encoder.begin(0);
  encodeHead(encoder, {
    sequence,
    magicBase,
    metadata,
    shape,
    fileBytes: size,
    isRecycled: false,
  });
  const { bytes } = encoder.finish(magicOf(magicBase, sequence), 0);

  await disk.mkdir(dir);
  const temporary = join(dir, `new${temporarySuffix}`);
  const file = await createZeroed(disk, temporary, size);
  try {
    await file.write(0, [bytes]);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, join(dir, segmentName(sequence, 1)));
}

/** Cleans up behind the last frame, so that what is written there next is all there is. */
async function prepareForWriting(
  disk: Disk,
  dir: string,
  recovered: RecoveredWal,
  logger: Logger,
): Promise<DiskFile> {
  const { emptyPaths, segments, position, lastFrame, tornBytes } = recovered;
  for (const path of emptyPaths) {
    logger.warn('removing a write-ahead log segment that was never used', { path });
    await disk.remove(path);
    await disk.syncDir(dir);
  }
  const last = segments.at(-1);
  assert(last !== undefined, 'a recovered write-ahead log has a segment');
  const file = await disk.open(last.path, 'write');
  try {
    if (tornBytes > 0) {
      const fields = { path: last.path, offset: position, bytes: tornBytes };
      logger.warn('cutting an interrupted write off the write-ahead log', fields);
      await writeZeros(file, position, position + tornBytes);
    }
    // A killed process may have left a frame that was read back but is not durable yet: after a
    // failed fsync it is not on the disk, and a second fsync would not put it there (L-31).
    await file.writeDurable(lastFrame.offset, [lastFrame.bytes]);
    await file.sync();
    return file;
  } catch (error) {
    await file.close().catch(() => {});
    throw error;
  }
}

/**
 * A log of an earlier version goes on in a segment of this one: a segment has one version. It is
 * the last one from now on, with nothing in it, which is what a crash right behind it leaves too.
 */
async function beginVersion(
  disk: Disk,
  dir: string,
  recovered: RecoveredWal,
  segmentBytes: number,
): Promise<[RecoveredWal, DiskFile]> {
  const last = present(recovered.segments.at(-1), 'the last segment');
  const sequence = last.sequence + 1;
  const path = join(dir, segmentName(sequence, recovered.shape.lastIndex + 1));
  const temporary = join(dir, `new${temporarySuffix}`);
  const sizeBytes = nextSegmentBytes(last.sizeBytes, segmentBytes);
  const created = await createZeroed(disk, temporary, sizeBytes);
  await created.close();
  await disk.rename(temporary, path);
  await disk.syncDir(dir);
  const version = walFormatVersion;
  recovered.segments.push({ path, sequence, version, lastIndex: 0, sizeBytes });
  return [{ ...recovered, position: 0 }, await disk.open(path, 'write')];
}

interface Head {
  readonly sequence: number;
  readonly magicBase: number;
  readonly metadata: Uint8Array;
  readonly shape: LogShape;
  readonly fileBytes: number;
  readonly isRecycled: boolean;
}

function encodeHead(encoder: FrameEncoder, head: Head): void {
  const { sequence, magicBase, metadata, shape, fileBytes, isRecycled } = head;
  const { lastIndex, lastTerm } = shape;
  const version = walFormatVersion;
  encoder.segment({ sequence, lastIndex, lastTerm, version, fileBytes, magicBase, isRecycled });
  encoder.metadata(metadata);
  encoder.hardState(shape.hardState);
  encoder.snapshot(shape.snapshot);
}

/** One call that waits to be durable. */
interface Pending {
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  readonly snapshot: SnapshotMeta | undefined;
  /** It asks for a write of its own; false: it only waits for those before it. */
  readonly needsWrite: boolean;
  /** Entries already encoded, if one frame could not take them all. */
  taken: number;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

const noEntries: readonly Entry[] = [];

class SegmentedWal implements Wal {
  readonly #disk: Disk;
  readonly #dir: string;
  readonly #metadata: Buffer;
  readonly #magicBase: number;
  readonly #segments: SegmentFile[];
  readonly #pool: SegmentPool;
  readonly #encoder = new FrameEncoder();

  /** The log as of the last frame that was encoded. */
  readonly #shape: LogShape;
  /**
   * Belongs into the next frame: the hard state of the last append that was encoded whole. Never
   * one of a later append: its commit index may speak of entries that overwrite those on disk.
   */
  #unwritten: HardState | undefined;
  /** The snapshot mark that is durable: nothing behind it may be released. */
  #markedIndex: LogIndex;

  /**
   * The segment with the last mark that dropped entries. That it did shows only from the entries in
   * front of it, until a later segment begins with what was left.
   */
  #droppedIn: number;

  #file: DiskFile;
  /** Bytes of the current segment that were filled beforehand. */
  #capacity: number;
  #position: number;
  #previousCrc: number;
  #isRecycled = false;

  #queue: Pending[] = [];
  #queuedBytes = 0;
  #isDraining = false;
  readonly #releasing = new Lock();
  #failure: Error | undefined;
  #closed = false;

  constructor(parts: {
    readonly disk: Disk;
    readonly dir: string;
    readonly segmentBytes: number;
    readonly logger: Logger;
    readonly recovered: RecoveredWal;
    readonly file: DiskFile;
  }) {
    const { disk, dir, recovered } = parts;
    this.#disk = disk;
    this.#dir = dir;
    this.#metadata = recovered.metadata;
    this.#magicBase = recovered.magicBase;
    this.#segments = recovered.segments;
    this.#shape = recovered.shape;
    this.#markedIndex = recovered.shape.snapshot.index;
    this.#droppedIn = recovered.droppedIn;
    this.#file = parts.file;
    this.#position = recovered.position;
    this.#capacity = this.#current.sizeBytes;
    this.#previousCrc = recovered.previousCrc;
    this.#pool = new SegmentPool(disk, dir, parts.segmentBytes, parts.logger, (error) => {
      this.#fail(error);
    });
  }

  get sizeBytes(): number {
    let sum = this.#pool.sizeBytes;
    for (const segment of this.#segments) sum += segment.sizeBytes;
    return sum;
  }

  append(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    sync: boolean,
  ): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    // Entries always sync: their order among the frames is their place in the log.
    const needsWrite = sync || entries.length > 0;
    if (!needsWrite && !this.#isDraining) {
      this.#unwritten = hardState ?? this.#unwritten;
      return Promise.resolve();
    }
    return this.#enqueue(hardState, entries, undefined, needsWrite);
  }

  markSnapshot(snapshot: SnapshotMeta): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.#enqueue(undefined, noEntries, snapshot, true);
  }

  release(index: LogIndex): Promise<void> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    // A failure is latched and told to every later call.
    return this.#releasing.run(() => this.#release(index));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const last = this.#failure ?? this.#enqueue(undefined, noEntries, undefined, true);
    this.#closed = true;
    try {
      // A failure was told to those it concerns; closing only lets go.
      if (last instanceof Promise) await last;
      await this.#releasing.idle;
    } finally {
      await this.#letGo();
    }
  }

  async #letGo(): Promise<void> {
    try {
      await this.#pool.close();
      await this.#file.close();
    } catch (error) {
      throw diskFailure('the write-ahead log can not be closed', this.#dir, error);
    }
  }

  get #current(): SegmentFile {
    const segment = this.#segments.at(-1);
    assert(segment !== undefined, 'an open write-ahead log has a segment');
    return segment;
  }

  #refusal(): Error | undefined {
    if (this.#failure !== undefined) return this.#failure;
    if (!this.#closed) return undefined;
    const remedy = 'Open it again.';
    return new StorageError('the write-ahead log is closed', { path: this.#dir, remedy });
  }

  #enqueue(
    hardState: HardState | undefined,
    entries: readonly Entry[],
    snapshot: SnapshotMeta | undefined,
    needsWrite: boolean,
  ): Promise<void> {
    for (const entry of entries) this.#queuedBytes += entryItemBytes(entry.data.length);
    return new Promise((resolve, reject) => {
      const taken = 0;
      this.#queue.push({ hardState, entries, snapshot, needsWrite, taken, resolve, reject });
      if (!this.#isDraining) void this.#drain();
    });
  }

  /** Writes frame after frame until nothing waits. Never rejects. */
  async #drain(): Promise<void> {
    this.#isDraining = true;
    try {
      while (this.#queue.length > 0 && this.#failure === undefined) {
        if (this.#isFull()) await this.#roll();
        const batch = this.#encode();
        if (batch.frame !== undefined) await this.#write(batch.frame);
        if (this.#failure !== undefined) break;
        this.#markedIndex = this.#shape.snapshot.index;
        for (const pending of this.#queue.splice(0, batch.finished)) pending.resolve();
      }
    } catch (error) {
      this.#fail(error);
    }
    this.#isDraining = false;
  }

  /** Takes appends off the queue until a frame is full; `finished` of them are then complete. */
  #encode(): { readonly frame: EncodedFrame | undefined; finished: number } {
    const encoder = this.#encoder;
    const shape = this.#shape;
    encoder.begin(this.#position);
    if (this.#position === 0) this.#encodeHead();
    let finished = 0;
    let needsWrite = false;
    for (const pending of this.#queue) {
      if (encoder.length >= frameBytesTarget) break;
      needsWrite ||= pending.needsWrite;
      if (pending.snapshot !== undefined) {
        const isWithin = pending.snapshot.index <= shape.lastIndex;
        if (!shape.mark(pending.snapshot) && isWithin) this.#droppedIn = this.#current.sequence;
        encoder.snapshot(pending.snapshot);
      }
      this.#encodeEntries(pending);
      if (pending.taken < pending.entries.length) break;
      this.#unwritten = pending.hardState ?? this.#unwritten;
      finished += 1;
    }
    if (!needsWrite) return { frame: undefined, finished };
    this.#encodeHardState();
    // Asked for, but nothing to say: as when a log is closed that has all it was given.
    if (encoder.length === frameHeaderBytes) return { frame: undefined, finished };
    const magic = magicOf(this.#magicBase, this.#current.sequence);
    return { frame: encoder.finish(magic, this.#previousCrc), finished };
  }

  #encodeEntries(pending: Pending): void {
    const shape = this.#shape;
    const segment = this.#current;
    const { entries } = pending;
    while (pending.taken < entries.length && this.#encoder.length < frameBytesTarget) {
      const entry = present(entries[pending.taken], 'an entry to append');
      const refusal = shape.refuses(entry.index, entry.term);
      assert(refusal === undefined, refusal ?? '');
      shape.append(entry.index, entry.term);
      if (entry.index > segment.lastIndex) segment.lastIndex = entry.index;
      this.#encoder.entry(entry);
      this.#queuedBytes -= entryItemBytes(entry.data.length);
      pending.taken += 1;
    }
  }

  #encodeHardState(): void {
    if (this.#unwritten === undefined) return;
    const { term, vote, commit } = this.#unwritten;
    this.#unwritten = undefined;
    // Only a hint after a restart, and of no use beyond the log's end.
    const hardState = { term, vote, commit: Math.min(commit, this.#shape.lastIndex) };
    this.#shape.hardState = hardState;
    this.#encoder.hardState(hardState);
  }

  #encodeHead(): void {
    encodeHead(this.#encoder, {
      sequence: this.#current.sequence,
      magicBase: this.#magicBase,
      metadata: this.#metadata,
      shape: this.#shape,
      fileBytes: this.#current.sizeBytes,
      isRecycled: this.#isRecycled,
    });
  }

  async #write({ bytes, crc, next }: EncodedFrame): Promise<void> {
    await this.#file.writeDurable(this.#position, [bytes]);
    const segment = this.#current;
    segment.sizeBytes = Math.max(segment.sizeBytes, this.#position + bytes.length);
    this.#position = next;
    this.#previousCrc = crc;
    if (this.#position * 2 > this.#capacity) this.#pool.prepare(this.#capacity, this.#position);
  }

  /** True if what waits does not fit and the next segment is ready; else this one just grows. */
  #isFull(): boolean {
    const payload = Math.min(this.#queuedBytes, frameBytesTarget) + frameSlackBytes;
    const needed = payload + stampBytesMax(payload);
    return this.#position > 0 && this.#position + needed > this.#capacity && this.#pool.isReady;
  }

  /** Goes on to the next segment: its name is durable before anything is written under it. */
  async #roll(): Promise<void> {
    const { file, path, sizeBytes, isRecycled } = this.#pool.take();
    const sequence = this.#current.sequence + 1;
    const newPath = join(this.#dir, segmentName(sequence, this.#shape.lastIndex + 1));
    await this.#disk.rename(path, newPath);
    await this.#disk.syncDir(this.#dir);
    const old = this.#file;
    this.#file = file;
    const version = walFormatVersion;
    this.#segments.push({ path: newPath, sequence, version, lastIndex: 0, sizeBytes });
    this.#capacity = sizeBytes;
    this.#position = 0;
    this.#isRecycled = isRecycled;
    await old.close();
  }

  async #release(index: LogIndex): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    // What lies behind the durable mark is still needed to start again.
    const through = Math.min(index, this.#markedIndex);
    try {
      for (;;) {
        const oldest = this.#segments[0];
        // A segment that is not durably begun does not count as the last.
        const kept = this.#position === 0 ? 2 : 1;
        if (oldest === undefined || this.#segments.length <= kept) return;
        if (this.#segments.at(-kept)?.sequence === this.#droppedIn) return;
        if (oldest.lastIndex > through) return;
        // One by one: a gap in the middle of the log must not be what power loss leaves.
        this.#segments.shift();
        await this.#pool.giveBack(oldest);
      }
    } catch (error) {
      this.#fail(error);
      throw this.#failure;
    }
  }

  #fail(cause: unknown): void {
    const path = this.#current.path;
    this.#failure ??=
      cause instanceof InvariantError
        ? cause
        : diskFailure('the write-ahead log can not be written', path, cause);
    const waiting = this.#queue;
    this.#queue = [];
    for (const pending of waiting) pending.reject(this.#failure);
  }
}

/** Room for the header of a frame, the head of a segment, a hard state, and zeros behind it. */
const frameSlackBytes = 512 + sectorBytes;
