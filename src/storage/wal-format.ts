/**
 * The bytes of the write-ahead log. A segment is a row of frames, each aligned to 8 bytes:
 *
 *   crc u32 | magic u32 | length u32 | previousCrc u32 | payload[length] | zeros to 8
 *
 * `crc` covers all that follows it up to the end of the payload. `previousCrc` repeats the crc of
 * the frame before, across segments too: the chain that shows a missing or exchanged frame.
 * `magic` is random for each log and different in each of its segments. It is what makes stale
 * bytes harmless in a segment whose file was used before (an old frame has an old magic, and its
 * crc would be wrong under another), and what keeps a value sent by a client, who can't know it,
 * from being taken for a frame.
 *
 * One frame is one batch: one write and one sync. The next frame is written only after that, so an
 * unreadable frame with a readable one behind it is damage, never an interrupted write. The payload
 * is a row of items, aligned to 8 bytes; the first frame of a segment repeats metadata, hard state
 * and snapshot, so that a segment needs none of those before it. Numbers are little-endian.
 *
 *   item: dataLength u32 | kind u8 | entryType u8 | 0 u16, then by kind
 *     segment   sequence u64, lastIndex u64, lastTerm u64, version u32, magic base u32,
 *               flags u32 (1: the file was used before), 0 u32
 *     metadata  data
 *     hardState term u64, vote u64, commit u64
 *     entry     index u64, term u64, data
 *     snapshot  index u64, term u64, configuration (see wal-configuration.ts)
 */

import { crc32 } from 'node:zlib';

import { assert, type LogIndex, type Term, walRecordBytesMax } from '../common/index.js';
import type { Entry, EntryType, HardState, SnapshotMeta } from '../raft/index.js';
import { decodeConfiguration, encodeConfiguration } from './wal-configuration.js';

/** The version that this code writes, and the only one it reads. */
export const walFormatVersion = 1;

export const frameHeaderBytes = 16;
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
  /** Magic of segment 0, so to speak: that of segment n is n more. */
  readonly magicBase: number;
  /** The file was used before: what lies behind the last frame is not zero. */
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
  /** Borrowed from the bytes it was found in. */
  readonly payload: Buffer;
  /** Where the next frame begins. */
  readonly end: number;
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

  /** Bytes of the frame so far. */
  get length(): number {
    return this.#length;
  }

  /** Starts a frame; what the last `finish` returned is overwritten. */
  begin(): void {
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
    this.#view.setUint32(at + 36, 0, true);
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

  /** The frame's bytes, padded, until the next `begin`; and its crc, for the next one. */
  finish(magic: number, previousCrc: number): { readonly bytes: Buffer; readonly crc: number } {
    const end = this.#length;
    const payloadLength = end - frameHeaderBytes;
    assert(payloadLength <= walRecordBytesMax, 'a write-ahead log frame is too long');
    assert(payloadLength > 0, 'a write-ahead log frame is empty');
    this.#view.setUint32(4, magic, true);
    this.#view.setUint32(8, payloadLength, true);
    this.#view.setUint32(12, previousCrc, true);
    const bytes = this.#buffer.subarray(0, end);
    const crc = crc32(bytes.subarray(4));
    this.#view.setUint32(0, crc, true);
    return { bytes, crc };
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

/** The frame at `at`, or undefined if there is no whole one. Trusts no length. */
export function readFrame(bytes: Buffer, at: number, magic: number): Frame | undefined {
  if (at + frameHeaderBytes > bytes.length) return undefined;
  if (bytes.readUInt32LE(at + 4) !== magic) return undefined;
  const length = bytes.readUInt32LE(at + 8);
  const end = at + frameHeaderBytes + length;
  if (length === 0 || length > walRecordBytesMax || end > bytes.length) return undefined;
  const crc = bytes.readUInt32LE(at);
  if (crc32(bytes.subarray(at + 4, end)) !== crc) return undefined;
  const payload = bytes.subarray(at + frameHeaderBytes, end);
  return { crc, previousCrc: bytes.readUInt32LE(at + 12), payload, end: at + align8(end - at) };
}

/** Where the first whole frame at or behind `from` begins; -1 if there is none. */
export function findFrame(bytes: Buffer, from: number, magic: number): number {
  const pattern = Buffer.alloc(4);
  pattern.writeUInt32LE(magic);
  let found = bytes.indexOf(pattern, from + 4);
  while (found >= 0) {
    const at = found - 4;
    if (at % 8 === 0 && readFrame(bytes, at, magic) !== undefined) return at;
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
