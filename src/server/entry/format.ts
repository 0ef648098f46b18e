/**
 * What a Raft log entry of type 'normal' carries, and the context of one of type 'configChange':
 * twelve bytes of ours, then the client's request exactly as it came (or a body of our own).
 * `origin` and `sequence` lead the member that proposed it back to the waiting call; `origin` is
 * drawn anew at each start, so a replayed entry finds nobody waiting. They are not a deduplication
 * key.
 *
 *     byte 0       format, 1
 *     byte 1       kind, see EntryKind
 *     bytes 2-5    origin, big endian
 *     bytes 6-11   sequence, big endian
 *     bytes 12-    body
 */

import { type LogIndex, StorageError } from '../../common/index.js';

/** Numbers are on disk: never reuse one. Who applies a kind is told by its feature's folder. */
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
  /** Never a normal entry: the context of a Raft configuration change. */
  memberChange: 10,
  memberUpdate: 11,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

const entryFormat = 1;
const kindMax: number = Math.max(...Object.values(EntryKind));
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

/** The body of an entry: a view. */
export function entryBody(data: Uint8Array): Buffer {
  const length = data.byteLength - entryHeaderBytes;
  return Buffer.from(data.buffer, data.byteOffset + entryHeaderBytes, length);
}

/** Writes who waits for the entry. */
export function stampEntry(data: Buffer, origin: number, sequence: number): void {
  data.writeUInt32BE(origin, 2);
  data.writeUIntBE(sequence, 6, 6);
}

/**
 * The kind of an entry. Throws StorageError for one that this version can't read: an entry must
 * never be skipped.
 */
export function entryKind(data: Uint8Array, index: LogIndex): EntryKind {
  const kind = data[1];
  if (data.length < entryHeaderBytes || data[0] !== entryFormat || !isEntryKind(kind)) {
    throw new StorageError(`log entry ${index} has an unknown form`, {
      path: 'member/wal',
      remedy: 'It was written by a newer kvorum: start this data directory with that version.',
    });
  }
  return kind;
}

/** Which start of which member proposed the entry. */
export function entryOrigin(data: Uint8Array): number {
  return uint32(data, 2);
}

/** Which of its proposals it was. */
export function entrySequence(data: Uint8Array): number {
  return ((data[6] ?? 0) * 256 + (data[7] ?? 0)) * 2 ** 32 + uint32(data, 8);
}

/** Byte by byte: an entry's data need not be a Buffer, and making one costs more than this. */
function uint32(data: Uint8Array, at: number): number {
  const high = ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
  return high * 65536 + (((data[at + 2] ?? 0) << 8) | (data[at + 3] ?? 0));
}

function isEntryKind(kind: number | undefined): kind is EntryKind {
  return kind !== undefined && kind >= EntryKind.put && kind <= kindMax;
}
