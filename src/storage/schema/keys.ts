/**
 * The key spaces of the KvStore (docs/on-disk-format.md):
 *
 *   'f'                        format version, decimal
 *   'k' main8 '_' sub8 ['t']   one revision: encoded KeyValue + checksum; 't' marks a tombstone
 *   'm' name                   a meta record + checksum
 *   'p'                        how far a compaction has come; JSON + checksum
 *   'z'                        the mark: applied index, revisions, counters; JSON + checksum
 *   '{' number6                the journal of the index, see recovery/journal.ts
 *   '|' slot1 number4, '}'     a checkpoint of the index, see recovery/checkpoint-format.ts
 *   'h', 'i' number4           the saved index of earlier versions: removed
 *
 * After the 'k' come the very bytes of etcd's revision key, so HashKV needs no conversion.
 */

import type { Revision } from '../../common/index.js';

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

/** Length of a revision key; one byte more with the tombstone mark. */
export const revisionKeyBytes = 18;
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
