/**
 * The key spaces of the KvStore and how their bytes look (docs/on-disk-format.md):
 *
 *   'f'                        format version, decimal
 *   'k' main8 '_' sub8 ['t']   one revision: encoded KeyValue + checksum; 't' marks a tombstone
 *   'm' name                   a meta record + checksum
 *   'p'                        how far a compaction has come; JSON + checksum
 *   'z'                        the mark: applied index, revisions, counters; JSON + checksum
 *   '{' number6                the journal of the index, see recovery/journal.ts
 *   '|' slot1 number4, '}'     a checkpoint of the index, see recovery/checkpoint.ts
 *   'h', 'i' number4           the saved index of earlier versions: removed
 *
 * After the 'k' come the very bytes of etcd's revision key, so HashKV needs no conversion. Each
 * value ends in a CRC-32 over key and value, because LevelDB does not verify its own when it reads
 * (L-40). CRC-32 by node:zlib, not CRC-32C: it is native, 0.16 us for 320
 * bytes where ours in JavaScript takes twice that.
 */

import { crc32 } from 'node:zlib';
import { type KeyString, type MemberId, type Revision, StorageError } from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import { damagedRemedy } from '../remedies.js';

/** The layout that this program writes; a newer one is refused. */
export const formatVersion = 2;

export const prefixRecord = 0x6b;
const prefixMeta = 0x6d;
const underscore = 0x5f;
const tombstoneMark = 0x74;

export const formatKey = Buffer.from('f');
/** Where format 1 had the mark. */
export const markKeyOfFormat1 = Buffer.from('a');
/**
 * Behind all records: every batch has it, so every table that LevelDB writes spans from its first
 * new record to the mark. In front of them it would span all records that there are, and LevelDB
 * would write all of them anew with each table (docs/adr/0004).
 */
export const markKey = Buffer.from('z');
/** All keys of the KvStore are below. */
export const everythingEnd = Buffer.from([0xff]);
/** All revisions are in [recordsStart, recordsEnd), all meta records in [metaStart, metaEnd). */
export const recordsStart = Buffer.from('k');
export const recordsEnd = Buffer.from('l');
export const metaStart = Buffer.from('m');
export const metaEnd = Buffer.from('n');
export const removalKey = Buffer.from('p');

/** Length of a revision key without and with the tombstone mark. */
export const revisionKeyBytes = 18;
export const checksumBytes = 4;
/** What a stored record adds to its encoded KeyValue, for `sizeBytes`. */
export const recordOverheadBytes = revisionKeyBytes + checksumBytes;

/** Writes a revision key at `at`; returns the offset after it. */
export function writeRevisionKey(
  target: Buffer,
  at: number,
  main: Revision,
  sub: number,
  tombstone: boolean,
): number {
  target[at] = prefixRecord;
  target.writeUInt32BE(Math.floor(main / 0x1_0000_0000), at + 1);
  target.writeUInt32BE(main >>> 0, at + 5);
  target[at + 9] = underscore;
  target.writeUInt32BE(Math.floor(sub / 0x1_0000_0000), at + 10);
  target.writeUInt32BE(sub >>> 0, at + 14);
  if (!tombstone) return at + revisionKeyBytes;
  target[at + revisionKeyBytes] = tombstoneMark;
  return at + revisionKeyBytes + 1;
}

/** A revision key in a buffer of its own. */
export function revisionKey(main: Revision, sub: number, tombstone: boolean): Buffer {
  const key = Buffer.allocUnsafe(revisionKeyBytes + (tombstone ? 1 : 0));
  writeRevisionKey(key, 0, main, sub, tombstone);
  return key;
}

export function mainOf(key: Buffer): Revision {
  return key.readUInt32BE(1) * 0x1_0000_0000 + key.readUInt32BE(5);
}

export function subOf(key: Buffer): number {
  return key.readUInt32BE(10) * 0x1_0000_0000 + key.readUInt32BE(14);
}

export function isTombstone(key: Buffer): boolean {
  return key.length > revisionKeyBytes;
}

/** True if the key has the shape of a revision key. */
export function isRevisionKey(key: Buffer): boolean {
  return (
    (key.length === revisionKeyBytes ||
      (key.length === revisionKeyBytes + 1 && key[revisionKeyBytes] === tombstoneMark)) &&
    key[0] === prefixRecord &&
    key[9] === underscore
  );
}

export function metaKey(name: string): Buffer {
  return Buffer.from(`m${name}`, 'utf8');
}

export function metaName(key: Buffer): string {
  return key.toString('utf8', 1);
}

/** CRC-32 of a key: so short that the call into native code would take six times as long. */
function crcOfKey(key: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < key.length; i += 1) {
    crc = (crcTable[(crc ^ (key[i] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

const crcTable: Int32Array = Int32Array.from({ length: 256 }, (_, n) => {
  let crc = n;
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  return crc;
});

/** `value` with its checksum behind it. */
export function seal(key: Uint8Array, value: Uint8Array): Buffer {
  const sealed = Buffer.allocUnsafe(value.length + checksumBytes);
  sealed.set(value);
  sealed.writeUInt32LE(crc32(value, crcOfKey(key)), value.length);
  return sealed;
}

/**
 * Checks what {@link seal} wrote; returns the view without checksum, undefined if it is damaged.
 */
export function unseal(key: Uint8Array, sealed: Buffer): Buffer | undefined {
  const length = sealed.length - checksumBytes;
  if (length < 0) return undefined;
  const value = sealed.subarray(0, length);
  return sealed.readUInt32LE(length) === crc32(value, crcOfKey(key)) ? value : undefined;
}

/** As {@link unseal}, but damage is a StorageError that says where and what to do. */
export function unsealOrThrow(key: Uint8Array, sealed: Buffer | undefined, path: string): Buffer {
  const value = sealed === undefined ? undefined : unseal(key, sealed);
  if (value !== undefined) return value;
  const what = sealed === undefined ? 'is missing' : 'is damaged (checksum mismatch)';
  throw damage(`the stored record ${describeKey(key)} ${what}`, path);
}

/** The one remedy for a member whose data can't be trusted. */
export function damage(what: string, path: string, cause?: unknown): StorageError {
  return new StorageError(what, { path, remedy: damagedRemedy, cause });
}

/** A store key for people. */
export function describeKey(bytes: Uint8Array): string {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isRevisionKey(key)) {
    return `of revision ${mainOf(key)}.${subOf(key)}${isTombstone(key) ? ' (delete)' : ''}`;
  }
  return key[0] === prefixMeta
    ? `meta ${JSON.stringify(metaName(key))}`
    : `0x${key.toString('hex')}`;
}

/** What every batch carries, atomic with its data (L-1, L-5). */
export interface StoreMark {
  readonly index: number;
  readonly term: number;
  readonly configuration: Configuration;
  readonly revision: Revision;
  /** Reads below it are refused. */
  readonly compactRevision: Revision;
  /** Below it nothing is left to remove; behind `compactRevision` while a compaction runs. */
  readonly removedRevision: Revision;
  /** Of all stored records: `sizeBytes`, and their number. */
  readonly sizeBytes: number;
  readonly records: number;
  /** Sum of {@link metaSumOf} of all meta records: one that is gone, or stale, shows. */
  readonly metaSum: number;
  /** Number of the next batch of the journal; -1 if whoever wrote the mark keeps none. */
  readonly journalEnd: number;
  /** Bytes of all batches that the journal ever had. */
  readonly journalBytes: number;
}

/** A compaction that is under way: keys below `below` have lost what it removes. */
export interface Removal {
  readonly revision: Revision;
  readonly below: KeyString;
}

/** What a meta record takes in the KvStore; 0 for none. */
export function metaBytesOf(name: string, value: Uint8Array | undefined): number {
  return value === undefined ? 0 : 1 + name.length + value.length + checksumBytes;
}

/** What a meta record adds to the sum in the mark; 0 for none. Sums are modulo 2^32. */
export function metaSumOf(name: string, value: Uint8Array | undefined): number {
  // Odd, or a record with checksum 0 could go unnoticed.
  return value === undefined ? 0 : (crc32(value, crc32(metaKey(name))) | 1) >>> 0;
}

/** A stored JSON mark. Ids are hexadecimal, as JSON has no 64-bit integers. */
export function encodeMark(mark: StoreMark): Buffer {
  const { configuration: c, ...rest } = mark;
  const ids = (list: readonly bigint[]): string[] => list.map((id) => id.toString(16));
  const configuration = {
    voters: ids(c.voters),
    votersOutgoing: ids(c.votersOutgoing),
    learners: ids(c.learners),
    learnersNext: ids(c.learnersNext),
    autoLeave: c.autoLeave,
  };
  return seal(markKey, Buffer.from(JSON.stringify({ ...rest, configuration })));
}

/** The reverse of {@link encodeMark}; StorageError if it is damaged. */
export function decodeMark(sealed: Buffer, path: string, key = markKey): StoreMark {
  const text = unsealOrThrow(key, sealed, path).toString();
  const raw = JSON.parse(text) as Omit<
    StoreMark,
    'configuration' | 'journalEnd' | 'journalBytes'
  > & {
    // Not in marks of earlier versions.
    journalEnd?: number;
    journalBytes?: number;
    configuration: {
      voters: string[];
      votersOutgoing: string[];
      learners: string[];
      learnersNext: string[];
      autoLeave: boolean;
    };
  };
  const ids = (list: string[]): MemberId[] => list.map((id) => BigInt(`0x${id}`));
  const c = raw.configuration;
  return {
    ...raw,
    journalEnd: raw.journalEnd ?? -1,
    journalBytes: raw.journalBytes ?? 0,
    configuration: {
      voters: ids(c.voters),
      votersOutgoing: ids(c.votersOutgoing),
      learners: ids(c.learners),
      learnersNext: ids(c.learnersNext),
      autoLeave: c.autoLeave,
    },
  };
}

/** A stored record of a compaction's progress. */
export function encodeRemoval(removal: Removal): Buffer {
  return seal(removalKey, Buffer.from(JSON.stringify(removal)));
}

/** The reverse of {@link encodeRemoval}; undefined if it is damaged: only a short cut is lost. */
export function decodeRemoval(sealed: Buffer): Removal | undefined {
  const text = unseal(removalKey, sealed);
  return text === undefined ? undefined : (JSON.parse(text.toString()) as Removal);
}
