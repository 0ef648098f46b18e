/**
 * The mark, which every batch carries: how far the store has come, and what must be in it; and how
 * far a compaction has come. A start believes nothing that the mark does not account for.
 */

import { crc32 } from 'node:zlib';
import {
  assert,
  type KeyString,
  type LogIndex,
  type MemberId,
  type Revision,
  type Term,
} from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import { markKey, metaKey, removalKey } from './keys.js';
import { checksumBytes, seal, unseal, unsealOrThrow } from './seal.js';

/** The applied state: where the state machine is and with which members. */
export interface AppliedMark {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}

/** What every batch carries, atomic with its data (L-1, L-5). */
export interface StoreMark extends AppliedMark {
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
  assert(mark.sizeBytes >= 0 && mark.records >= 0, 'what is stored is counted from 0');
  assert(mark.removedRevision <= mark.revision, 'what was removed was there');
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
  assert(removal.below !== '', 'a compaction under way has come past a key');
  return seal(removalKey, Buffer.from(JSON.stringify(removal)));
}

/** The reverse of {@link encodeRemoval}; undefined if it is damaged: only a short cut is lost. */
export function decodeRemoval(sealed: Buffer): Removal | undefined {
  const text = unseal(removalKey, sealed);
  return text === undefined ? undefined : (JSON.parse(text.toString()) as Removal);
}
