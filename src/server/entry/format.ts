/**
 * What a Raft log entry of type 'normal' carries, and the context of one of type 'configChange':
 * twelve bytes of ours, then the client's request exactly as it came (or a body of our own).
 * `origin` and `sequence` lead the member that proposed it back to the waiting call; `origin` is
 * drawn anew at each start, so a replayed entry finds nobody waiting. They are not a deduplication
 * key.
 *
 *     byte 0       format, 1 or 2
 *     byte 1       kind, see EntryKind
 *     bytes 2-5    origin, big endian
 *     bytes 6-11   sequence, big endian
 *     bytes 12-    body
 *
 * Format 2, written while auth is on, has behind the body who asked for it:
 *
 *     name         UTF-8
 *     6 bytes      the auth revision that the caller had, big endian
 *     4 bytes      length of the name, big endian
 *     1 byte       1: the member itself, else 0
 */

import {
  assert,
  type Caller,
  emptyBytes,
  type LogIndex,
  nobody,
  StorageError,
  theMember,
} from '../../common/index.js';

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
  authEnable: 12,
  authDisable: 13,
  authenticate: 14,
  userAdd: 15,
  userDelete: 16,
  userChangePassword: 17,
  userGrantRole: 18,
  userRevokeRole: 19,
  roleAdd: 20,
  roleDelete: 21,
  roleGrantPermission: 22,
  roleRevokePermission: 23,
  downgrade: 24,
} as const;
export type EntryKind = (typeof EntryKind)[keyof typeof EntryKind];

const entryFormat = 1;
const entryFormatWithCaller = 2;
/** Of the caller, beside the name. */
const callerTrailerBytes = 11;
const kindMax: number = Math.max(...Object.values(EntryKind));
/** Bytes before the body. */
export const entryHeaderBytes = 12;
/** Sequences are 48 bits: 3 million a second for three years. */
export const sequenceMax = 2 ** 48 - 1;

/**
 * A new entry with a copy of `body`, not yet stamped. `caller`: whoever asks for it, from its call;
 * undefined while auth is off.
 */
export function newEntry(kind: EntryKind, body: Uint8Array, caller?: Caller): Buffer {
  const name = caller === undefined || caller.name === '' ? emptyBytes : Buffer.from(caller.name);
  const trailerBytes = caller === undefined ? 0 : name.length + callerTrailerBytes;
  const data = Buffer.allocUnsafe(entryHeaderBytes + body.length + trailerBytes);
  data[0] = caller === undefined ? entryFormat : entryFormatWithCaller;
  data[1] = kind;
  data.set(body, entryHeaderBytes);
  if (caller !== undefined) writeCaller(data, entryHeaderBytes + body.length, name, caller);
  return data;
}

function writeCaller(data: Buffer, at: number, name: Uint8Array, caller: Caller): void {
  assert(caller.refusal === undefined, 'nothing is proposed for who is not known');
  data.set(name, at);
  const end = at + name.length;
  data.writeUIntBE(caller.authRevision, end, 6);
  data.writeUInt32BE(name.length, end + 6);
  data[end + 10] = caller.isMember ? 1 : 0;
}

/** Who asked for the entry; {@link nobody} if that is not in it. */
export function entryCaller(data: Uint8Array): Caller {
  if (data[0] !== entryFormatWithCaller) return nobody;
  const length = data.byteLength;
  if (data[length - 1] === 1) return theMember;
  const nameBytes = uint32(data, length - 5);
  const revisionAt = length - callerTrailerBytes;
  const authRevision =
    ((data[revisionAt] ?? 0) * 256 + (data[revisionAt + 1] ?? 0)) * 2 ** 32 +
    uint32(data, revisionAt + 2);
  const name = Buffer.from(data.buffer, data.byteOffset + revisionAt - nameBytes, nameBytes);
  return { name: name.toString(), authRevision, refusal: undefined, isMember: false };
}

/** The body of an entry: a view. */
export function entryBody(data: Uint8Array): Buffer {
  const length = data.byteLength - entryHeaderBytes - trailerBytesOf(data);
  return Buffer.from(data.buffer, data.byteOffset + entryHeaderBytes, length);
}

function trailerBytesOf(data: Uint8Array): number {
  if (data[0] !== entryFormatWithCaller) return 0;
  return callerTrailerBytes + uint32(data, data.byteLength - 5);
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
  if (!isWhole(data) || !isEntryKind(kind)) {
    throw new StorageError(`log entry ${index} has an unknown form`, {
      path: 'member/wal',
      remedy: 'It was written by a newer kvorum: start this data directory with that version.',
    });
  }
  return kind;
}

function isWhole(data: Uint8Array): boolean {
  const format = data[0];
  if (format === entryFormat) return data.length >= entryHeaderBytes;
  return (
    format === entryFormatWithCaller &&
    data.length >= entryHeaderBytes + callerTrailerBytes &&
    data.length >= entryHeaderBytes + trailerBytesOf(data)
  );
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
