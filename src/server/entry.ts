/**
 * What a Raft log entry of type 'normal' carries: twelve bytes of ours, then the client's request
 * exactly as it came. `origin` and `sequence` lead the member that proposed it back to the waiting
 * call; `origin` is drawn anew at each start, so a replayed entry finds nobody waiting. They are not
 * a deduplication key.
 *
 *     byte 0       format, 1
 *     byte 1       kind, see EntryKind
 *     bytes 2-5    origin, big endian
 *     bytes 6-11   sequence, big endian
 *     bytes 12-    body
 */

import { StorageError, safeIntegerMax } from '../common/index.js';

/** Numbers are on disk: never reuse one. */
export const EntryKind = {
  put: 1,
  deleteRange: 2,
  txn: 3,
  compaction: 4,
  leaseGrant: 5,
  leaseRevoke: 6,
  leaseCheckpoint: 7,
  alarm: 8,
  memberAttributes: 9,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

const entryFormat = 1;
const kindMax = EntryKind.memberAttributes;
/** Bytes before the body. */
export const entryHeaderBytes = 12;
/** Sequences are 48 bits: 3 million a second for three years. */
export const sequenceMax = 2 ** 48 - 1;

/** A new entry with a copy of `body`, not yet stamped. */
export function newEntry(kind: EntryKind, body: Uint8Array): Buffer {
  const data = Buffer.allocUnsafe(entryHeaderBytes + body.length);
  data[0] = entryFormat;
  data[1] = kind;
  data.set(body, entryHeaderBytes);
  return data;
}

/** The body of an entry made by {@link newEntry}: a view. */
export function entryBody(data: Buffer): Buffer {
  return data.subarray(entryHeaderBytes);
}

/** Writes who waits for the entry. */
export function stampEntry(data: Buffer, origin: number, sequence: number): void {
  data.writeUInt32BE(origin, 2);
  data.writeUIntBE(sequence, 6, 6);
}

/** The header of an entry; the body is a view into `data`. */
export interface DecodedEntry {
  readonly kind: EntryKind;
  readonly origin: number;
  readonly sequence: number;
  readonly body: Buffer;
}

/** Throws StorageError for an entry that this version can't read: it must not be skipped. */
export function decodeEntry(data: Uint8Array, index: number): DecodedEntry {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const kind = bytes[1];
  if (bytes.length < entryHeaderBytes || bytes[0] !== entryFormat || !isEntryKind(kind)) {
    throw new StorageError(`log entry ${Math.min(index, safeIntegerMax)} has an unknown form`, {
      path: 'member/wal',
      remedy: 'It was written by a newer kvorum: start this data directory with that version.',
    });
  }
  return {
    kind,
    origin: bytes.readUInt32BE(2),
    sequence: bytes.readUIntBE(6, 6),
    body: bytes.subarray(entryHeaderBytes),
  };
}

function isEntryKind(kind: number | undefined): kind is EntryKind {
  return kind !== undefined && kind >= EntryKind.put && kind <= kindMax;
}
