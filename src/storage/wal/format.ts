/**
 * The bytes of the write-ahead log. A segment is a row of frames, each aligned to 8 bytes:
 *
 *   crc u32 | magic u32 | length u32 | previousCrc u32 | payloadLength u32 | 0 u32 |
 *     payload | table
 *
 * `crc` covers all that follows it up to the end of the frame, `length` counts what follows
 * `previousCrc`. `previousCrc` repeats the crc of the frame before, across segments too: the chain
 * that shows a missing or exchanged frame. `length` follows from `payloadLength` and says so a
 * second time, so that a damaged one is not believed. `magic` is random for each log and different
 * in each of its segments. It is what makes stale bytes harmless in a segment whose file was used
 * before (an old frame has an old magic, and its crc would be wrong under another), and what keeps
 * a value sent by a client, who can't know it, from being taken for a frame. What is done to the
 * payload at the start of each sector, and the table, is told in wal/sector.ts.
 *
 * One frame is one batch: one write and one sync. The next frame is written only after that, so an
 * unreadable frame with a readable one behind it is damage, never an interrupted write. The payload
 * is a row of items, aligned to 8 bytes; the first frame of a segment repeats metadata, hard state
 * and snapshot, so that a segment needs none of those before it. Numbers are little-endian.
 *
 *   item: dataLength u32 | kind u8 | entryType u8 | 0 u16, then by kind
 *     segment   sequence u64, lastIndex u64, lastTerm u64, version u32, magic base u32,
 *               flags u32 (1: the file was used before), bytes of the file u32
 *     metadata  data
 *     hardState term u64, vote u64, commit u64
 *     entry     index u64, term u64, data
 *     snapshot  index u64, term u64, configuration (see wal/configuration.ts)
 *
 * Version 1 has neither stamps nor `payloadLength` (the payload begins at 16) nor the file's bytes.
 * It is read, never written: opening a log of version 1 begins a segment of version 2.
 */

import { crc32 } from 'node:zlib';

import { assert, type LogIndex, type Term, walRecordBytesMax } from '../../common/index.js';
import type { Entry, EntryType, HardState, SnapshotMeta } from '../../raft/index.js';
import { decodeConfiguration, encodeConfiguration } from './configuration.js';
import {
  frameEnd,
  frameHeaderBytes,
  frameStart,
  sectorBytes,
  sectorEnd,
  stamp,
  stampBytesMax,
  unstamp,
} from './sector.js';

/** The version that this code writes. */
export const walFormatVersion = 2 as const;
/** A version that this code reads. */
export type WalVersion = 1 | typeof walFormatVersion;

/** Of version 1: where its payload begins. The fields up to there are the same in both. */
const firstHeaderBytes = 16;
const itemHeaderBytes = 8;

const kindSegment = 1;
const kindMetadata = 2;
const kindHardState = 3;
const kindEntry = 4;
const kindSnapshot = 5;

const segmentItemBytes = 40;

const entryTypes: readonly EntryType[] = ['normal', 'configChange', 'noop'];

/** The first item of a segment. */
export interface SegmentInfo {
  /** 1 for the first segment of a log, then one more each. */
  readonly sequence: number;
  /** The end of the log when the segment was begun. */
  readonly lastIndex: LogIndex;
  readonly lastTerm: Term;
  readonly version: number;
  /** What the file had when it got its name: it never shrinks. 0 in version 1. */
  readonly fileBytes: number;
  /** Magic of segment 0, so to speak: that of segment n is n more. */
  readonly magicBase: number;
  /** The file was used before: not all that lies behind the last frame is zero. */
  readonly isRecycled: boolean;
}

/** One item of a frame, decoded. Data are borrowed from the frame. */
export type WalItem =
  | { readonly kind: 'segment'; readonly segment: SegmentInfo }
  | { readonly kind: 'metadata'; readonly metadata: Buffer }
  | { readonly kind: 'hardState'; readonly hardState: HardState }
  | { readonly kind: 'entry'; readonly entry: Entry }
  | { readonly kind: 'snapshot'; readonly snapshot: SnapshotMeta };

/** A frame found whole. */
export interface Frame {
  readonly crc: number;
  readonly previousCrc: number;
  /** A copy: entries that stay must not keep the whole segment in memory. */
  readonly payload: Buffer;
  readonly end: number;
  /** Where the next frame begins. */
  readonly next: number;
}

/** `length` rounded up to the alignment of frames and items. */
export function align8(length: number): number {
  return Math.ceil(length / 8) * 8;
}

/** Bytes that an entry with so much data takes in a frame. */
export function entryItemBytes(dataLength: number): number {
  return itemHeaderBytes + 16 + align8(dataLength);
}

/** A magic base such that no segment's magic wraps around or is 0. */
export function magicBaseFrom(random: number): number {
  return (0x8000_0000 | (random & 0x3fff_ffff)) >>> 0;
}

/** The magic of segment `sequence`. */
export function magicOf(magicBase: number, sequence: number): number {
  assert(sequence < 0x4000_0000, 'a write-ahead log has too many segments');
  return (magicBase + sequence) >>> 0;
}

/**
 * Builds one frame after the other in a buffer that is kept from one to the next: encoding a batch
 * allocates nothing. Measured in bench/wal.ts.
 */
export class FrameEncoder {
  #buffer = Buffer.allocUnsafeSlow(64 * 1024);
  #view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length);
  #length = frameHeaderBytes;
  #at = 0;

  /** Bytes of the frame so far. */
  get length(): number {
    return this.#length;
  }

  /** Starts a frame at `at` in its file; what the last `finish` returned is overwritten. */
  begin(at: number): void {
    this.#at = at;
    this.#length = frameHeaderBytes;
    // One huge batch must not hold its memory for ever.
    if (this.#buffer.length > bufferBytesKept) this.#allocate(bufferBytesKept);
  }

  segment(info: SegmentInfo): void {
    const at = this.#item(kindSegment, 0, segmentItemBytes);
    setU64(this.#view, at, info.sequence);
    setU64(this.#view, at + 8, info.lastIndex);
    setU64(this.#view, at + 16, info.lastTerm);
    this.#view.setUint32(at + 24, info.version, true);
    this.#view.setUint32(at + 28, info.magicBase, true);
    this.#view.setUint32(at + 32, info.isRecycled ? 1 : 0, true);
    this.#view.setUint32(at + 36, info.fileBytes, true);
  }

  metadata(metadata: Uint8Array): void {
    this.#buffer.set(metadata, this.#item(kindMetadata, 0, metadata.length));
  }

  hardState(state: HardState): void {
    const at = this.#item(kindHardState, 0, 24);
    setU64(this.#view, at, state.term);
    this.#view.setBigUint64(at + 8, state.vote, true);
    setU64(this.#view, at + 16, state.commit);
  }

  /** Copies the data: cheaper than one more buffer for writev up to the largest request. */
  entry(entry: Entry): void {
    const { index, term, type, data } = entry;
    const at = this.#item(kindEntry, entryTypes.indexOf(type), 16 + data.length);
    setU64(this.#view, at, index);
    setU64(this.#view, at + 8, term);
    this.#buffer.set(data, at + 16);
  }

  snapshot(snapshot: SnapshotMeta): void {
    const configuration = encodeConfiguration(snapshot.configuration);
    const at = this.#item(kindSnapshot, 0, 16 + configuration.length);
    setU64(this.#view, at, snapshot.index);
    setU64(this.#view, at + 8, snapshot.term);
    this.#buffer.set(configuration, at + 16);
  }

  /**
   * What to write, up to the end of the last sector, until the next `begin`; the frame's crc, for
   * the next one; and where in the file that one begins.
   */
  finish(magic: number, previousCrc: number): EncodedFrame {
    const length = this.#length;
    const payloadLength = length - frameHeaderBytes;
    assert(payloadLength <= walRecordBytesMax, 'a write-ahead log frame is too long');
    assert(payloadLength > 0, 'a write-ahead log frame is empty');
    const room = length + stampBytesMax(length) + sectorBytes;
    if (room > this.#buffer.length) this.#allocate(room);
    const view = this.#view;
    const at = this.#at;
    const frameBytes = stamp(view, at, length, { magic, previousCrc });
    view.setUint32(4, magic, true);
    view.setUint32(8, frameBytes - firstHeaderBytes, true);
    view.setUint32(12, previousCrc, true);
    view.setUint32(16, payloadLength, true);
    view.setUint32(20, 0, true);
    const crc = crc32(this.#buffer.subarray(4, frameBytes));
    view.setUint32(0, crc, true);
    const writtenBytes = sectorEnd(at + frameBytes) - at;
    this.#buffer.fill(0, frameBytes, writtenBytes);
    const bytes = this.#buffer.subarray(0, writtenBytes);
    return { bytes, crc, next: frameStart(at + frameBytes) };
  }

  /** Writes the header of an item and makes room; returns where its body begins. */
  #item(kind: number, entryType: number, bodyLength: number): number {
    const at = this.#length;
    const end = at + itemHeaderBytes + align8(bodyLength);
    if (end > this.#buffer.length) this.#allocate(Math.max(end, 2 * this.#buffer.length));
    const view = this.#view;
    // Zero the padding first: the body is written over the rest of it.
    if (bodyLength > 0) view.setFloat64(end - 8, 0, true);
    view.setUint32(at, bodyLength, true);
    view.setUint32(at + 4, kind | (entryType << 8), true);
    this.#length = end;
    return at + itemHeaderBytes;
  }

  #allocate(size: number): void {
    const grown = Buffer.allocUnsafeSlow(size);
    if (this.#length > frameHeaderBytes) this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
    this.#view = new DataView(grown.buffer, grown.byteOffset, grown.length);
  }
}

/** What the encoder keeps between frames; a normal batch is far smaller. */
const bufferBytesKept = 8 * 1024 * 1024;

/** What {@link FrameEncoder.finish} returns. */
export interface EncodedFrame {
  readonly bytes: Buffer;
  readonly crc: number;
  readonly next: number;
}

/** Which version a segment that begins with these bytes is of, if it is of any. */
export function versionOf(bytes: Buffer): WalVersion {
  // In version 1 the first item begins where version 2 has a length and 0.
  if (bytes.length < frameHeaderBytes) return 2;
  return bytes.readUInt32LE(20) === kindSegment ? 1 : 2;
}

/** Where the payload of the frame at `at` and the frame itself end, as far as its header tells. */
export interface FrameExtent {
  readonly payloadLength: number;
  readonly end: number;
}

/** Undefined if the lengths in the header can't be right. They are in the bytes. */
export function frameExtent(
  bytes: Buffer,
  at: number,
  version: WalVersion,
): FrameExtent | undefined {
  const length = bytes.readUInt32LE(at + 8);
  if (version === 1) {
    if (length === 0 || length > walRecordBytesMax) return undefined;
    return { payloadLength: length, end: at + firstHeaderBytes + length };
  }
  const payloadLength = bytes.readUInt32LE(at + 16);
  if (payloadLength === 0 || payloadLength > walRecordBytesMax) return undefined;
  if (payloadLength % 8 !== 0 || bytes.readUInt32LE(at + 20) !== 0) return undefined;
  const end = frameEnd(at, payloadLength);
  return end === at + firstHeaderBytes + length ? { payloadLength, end } : undefined;
}

/** The frame at `at`, or undefined if there is no whole one. Trusts no length. */
export function readFrame(
  bytes: Buffer,
  at: number,
  magic: number,
  version: WalVersion,
): Frame | undefined {
  const extent = wholeFrame(bytes, at, magic, version);
  if (extent === undefined) return undefined;
  const { payloadLength, end } = extent;
  const crc = bytes.readUInt32LE(at);
  const previousCrc = bytes.readUInt32LE(at + 12);
  if (version === 1) {
    const payload = Buffer.from(bytes.subarray(at + firstHeaderBytes, end));
    return { crc, previousCrc, payload, end, next: align8(end) };
  }
  const payload = unstamp(bytes, at, payloadLength);
  return { crc, previousCrc, payload, end, next: frameStart(end) };
}

function wholeFrame(
  bytes: Buffer,
  at: number,
  magic: number,
  version: WalVersion,
): FrameExtent | undefined {
  if (at + frameHeaderBytes > bytes.length) return undefined;
  if (bytes.readUInt32LE(at + 4) !== magic) return undefined;
  const extent = frameExtent(bytes, at, version);
  if (extent === undefined || extent.end > bytes.length) return undefined;
  if (crc32(bytes.subarray(at + 4, extent.end)) !== bytes.readUInt32LE(at)) return undefined;
  return extent;
}

/** Where the first whole frame at or behind `from` begins; -1 if there is none. */
export function findFrame(bytes: Buffer, from: number, magic: number, version: WalVersion): number {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32LE(magic);
  let found = bytes.indexOf(pattern, from + 4);
  while (found >= 0) {
    const at = found - 4;
    if (at % 8 === 0 && wholeFrame(bytes, at, magic, version) !== undefined) return at;
    found = bytes.indexOf(pattern, found + 1);
  }
  return -1;
}

/**
 * Decodes a payload and hands its items to `take`, in order. Returns false if it is not made as
 * this version makes them, which under a right crc means that other software wrote it.
 */
export function readItems(payload: Buffer, take: (item: WalItem) => void): boolean {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.length);
  let at = 0;
  while (at < payload.length) {
    if (at + itemHeaderBytes > payload.length) return false;
    const length = view.getUint32(at, true);
    const body = at + itemHeaderBytes;
    const end = body + align8(length);
    if (end > payload.length) return false;
    const kinds = view.getUint32(at + 4, true);
    const item = readItem(view, payload, kinds, body, length);
    if (item === undefined) return false;
    take(item);
    at = end;
  }
  return true;
}

function readItem(
  view: DataView,
  payload: Buffer,
  kinds: number,
  body: number,
  length: number,
): WalItem | undefined {
  if (kinds >>> 16 !== 0) return undefined;
  switch (kinds & 0xff) {
    case kindEntry: {
      const type = entryTypes[kinds >>> 8];
      const data = payload.subarray(body + 16, body + length);
      if (type === undefined || length < 16) return undefined;
      const [index, term]: [LogIndex, Term] = [getU64(view, body), getU64(view, body + 8)];
      return { kind: 'entry', entry: { index, term, type, data } };
    }
    case kindHardState: {
      if (length !== 24) return undefined;
      const [term, commit] = [getU64(view, body), getU64(view, body + 16)];
      return {
        kind: 'hardState',
        hardState: { term, vote: view.getBigUint64(body + 8, true), commit },
      };
    }
    case kindSnapshot: {
      if (length < 16) return undefined;
      const configuration = decodeConfiguration(payload.subarray(body + 16, body + length));
      if (configuration === undefined) return undefined;
      const [index, term] = [getU64(view, body), getU64(view, body + 8)];
      return { kind: 'snapshot', snapshot: { index, term, configuration } };
    }
    case kindMetadata:
      return { kind: 'metadata', metadata: payload.subarray(body, body + length) };
    case kindSegment:
      return length === segmentItemBytes ? readSegment(view, body) : undefined;
    default:
      return undefined;
  }
}

function readSegment(view: DataView, body: number): WalItem {
  const segment = {
    sequence: getU64(view, body),
    lastIndex: getU64(view, body + 8),
    lastTerm: getU64(view, body + 16),
    version: view.getUint32(body + 24, true),
    magicBase: view.getUint32(body + 28, true),
    isRecycled: view.getUint32(body + 32, true) === 1,
    fileBytes: view.getUint32(body + 36, true),
  };
  return { kind: 'segment', segment };
}

function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
}
