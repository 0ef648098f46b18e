/**
 * The MVCC store as the server sees it. It runs on the ports of common/ports.ts only.
 */

import type {
  EtcdError,
  KeyString,
  LeaseId,
  LogIndex,
  Revision,
  Slice,
  Steps,
  Term,
} from '../../common/index.js';
import type { Configuration } from '../../raft/index.js';
import type { AppliedMark } from '../schema/index.js';
import type {
  SnapshotSink,
  SnapshotSource,
  SnapshotView,
  StagedSnapshot,
} from '../transfer/index.js';
import type { RevisionHash } from './compaction-hashes.js';

/** A place in history: everything of revisions < main, and the first `sub` changes of main. */
export interface ReadPoint {
  readonly main: Revision;
  /** Infinity: all of `main`. */
  readonly sub: number;
}

/** As etcd's RangeRequest, checked and saturated; `rangeEnd` '' is one key, '\0' is "and above". */
export interface RangeQuery {
  readonly key: KeyString;
  readonly rangeEnd: KeyString;
  /** <= 0: no limit. */
  readonly limit: number;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  /** 0 none, 1 ascending, 2 descending. */
  readonly sortOrder: number;
  /** 0 key, 1 version, 2 create revision, 3 mod revision, 4 value. */
  readonly sortTarget: number;
  /** 0 switches each filter off. */
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
  /** The caller can send `RangeResult.pages`: a plain range of keys only then answers with them. */
  readonly paged?: boolean;
}

/**
 * What a range found. `kvs` are encoded mvccpb.KeyValue messages; borrowed, must not be changed.
 */
export interface RangeResult {
  readonly kvs: readonly Uint8Array[];
  /**
   * Instead of `kvs`, many of them in each: the field `kvs` of a RangeResponse as it goes over the
   * wire, cut between entries. A list of a million small buffers is what this saves.
   */
  readonly pages?: readonly Uint8Array[];
  readonly more: boolean;
  readonly count: number;
}

/**
 * Where the memory for an answer comes from. A call is one: whoever reads for it asks before it
 * holds more than what is in memory anyway.
 */
export interface AnswerRoom {
  /** Nobody waits for the answer any more. */
  readonly cancelled: boolean;
  /** Undefined: go on; else when it has resolved. Rejects if the answer is to be given up. */
  takeRoom(bytes: number): Promise<void> | undefined;
}

/** The present state of one live key, from the index: no value. */
export interface KeyState {
  readonly modRevision: Revision;
  readonly createRevision: Revision;
  readonly version: number;
}

/** One change, as watchers see it. The encoded messages are shared and must not be changed. */
export interface MvccEvent {
  readonly type: 'put' | 'delete';
  readonly key: KeyString;
  readonly modRevision: Revision;
  readonly sub: number;
  /** A put of a key that this revision created: create and mod revision are the same (etcd). */
  readonly isCreate: boolean;
  /** Encoded mvccpb.KeyValue: the new one, or for a delete just key and mod_revision. */
  readonly kv: Uint8Array;
  /**
   * Encoded KeyValue before the revision, whatever the transaction did to the key in between:
   * `null` if there was none, or if `isCreate`; `undefined` if its bytes are not at hand:
   * read them, if there are any, at ReadPoint {main: modRevision - 1}.
   */
  readonly prevKv: Uint8Array | null | undefined;
}

/** What an entry has changed. */
export interface MvccCommit {
  /** The store's revision after the commit; unchanged if nothing was written. */
  readonly revision: Revision;
  /** Number of changes, and key and kind of the one at `sub`: of any number, without events. */
  readonly changes: number;
  keyAt(sub: number): KeyString;
  isDeleteAt(sub: number): boolean;
  /** Made when it is read for the first time: do that before the turn ends, or not at all. */
  readonly events: readonly MvccEvent[];
}

/** What a visit of keys shows; valid during the call only. */
export interface VisitedKey extends KeyState {
  /** If the visit wants leases. */
  readonly lease: LeaseId;
  /** If the visit wants values; borrowed. */
  readonly value: Uint8Array;
}

/**
 * Reads at one read point, for decisions: whatever is written meanwhile, it shows the same. To be
 * closed, for it may hold history that a compaction wants to remove.
 */
export interface PointReader {
  /** What it shows. */
  readonly revision: Revision;
  /** Undefined: the key does not exist. */
  state(key: KeyString): KeyState | undefined;
  /** 0n: the key has none, or does not exist. A promise: it has to be read from disk. */
  lease(key: KeyString): LeaseId | Promise<LeaseId>;
  /** Borrowed; undefined if the key does not exist. A promise: it has to be read from disk. */
  value(key: KeyString): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  /**
   * Visits the living keys of the range in order until `visit` returns false, which it then returns
   * too. Gives way whenever `slice` is spent; values in memory are bounded, whatever the range.
   */
  every(
    key: KeyString,
    rangeEnd: KeyString,
    wants: 'state' | 'lease' | 'value',
    visit: (key: VisitedKey) => boolean,
    slice: Slice,
  ): Steps<boolean>;
  /** Another one of the same store; at its present revision, too. */
  reader(holdFrom: Revision | undefined): PointReader;
  /** As {@link MvccStore.range}, for points whose history it holds, whatever is compacted since. */
  range(query: RangeQuery, at: ReadPoint, room?: AnswerRoom): RangeResult | Promise<RangeResult>;
  close(): void;
}

/**
 * Synchronous access to the present: of the store, or of a transaction with its own writes. Values
 * must be in memory (see `MvccStore.warm`); an InvariantError if they are not.
 */
export interface MvccPresent {
  state(key: KeyString): KeyState | undefined;
  /** 0n: the key has none, or does not exist. */
  lease(key: KeyString): LeaseId;
  /** In no order. Whoever goes through them while they change may miss those that are added. */
  keysOf(lease: LeaseId): Iterable<KeyString>;
  /** Of its record as stored, overhead included; the same on all members. 0: no such key. */
  storedBytes(key: KeyString): number;
  /** Number of live keys in the range. */
  countRange(key: KeyString, rangeEnd: KeyString): number;
  /** Encoded current KeyValue, borrowed; undefined if the key does not exist. */
  record(key: KeyString): Uint8Array | undefined;
  /** Current value, borrowed; undefined if the key does not exist. */
  value(key: KeyString): Uint8Array | undefined;
}

/**
 * One entry's changes; memory only. Reads through it see its own earlier writes. Nothing is visible
 * outside before `commit`; a transaction without changes takes no revision.
 */
export interface MvccWriteTxn extends MvccPresent {
  /** Of the entry. */
  readonly index: LogIndex;
  /** Where a read inside the transaction happens now: use it for ranges evaluated later. */
  readPoint(): ReadPoint;
  /** Something has been put or deleted. */
  readonly changed: boolean;
  /** `value` is copied. Lease 0n: none. */
  put(key: KeyString, value: Uint8Array, lease: LeaseId): void;
  /** Deletes all live keys in the range in key order; returns how many. In one piece. */
  deleteRange(key: KeyString, rangeEnd: KeyString): number;
  /** The same for any number of keys: gives way whenever `slice` is spent. */
  deleteRangeSteps(key: KeyString, rangeEnd: KeyString, slice: Slice): Steps<number>;
  /** Sets or deletes a record of the meta key space, atomically with the rest of the entry. */
  setMeta(name: string, value: Uint8Array | undefined): void;
  commit(): MvccCommit;
}

export interface MvccStoreOptions {
  /** Bytes of records kept in memory beside those not yet written to the KvStore. */
  readonly cacheBytesMax: number;
  /** A flush starts after this much time, or at once above `flushBytes`. */
  readonly flushIntervalMs: number;
  readonly flushBytes: number;
  /** Records after which a flush starts as well; Infinity: their number does not matter. */
  readonly flushRecords: number;
  /** Unflushed bytes above which the caller should hold back proposals. */
  readonly unflushedBytesMax: number;
  readonly compactionBatch: number;
  readonly compactionSleepMs: number;
}

/** A reader of history in revision order, for watchers that are behind. */
export interface EventPage {
  readonly events: readonly MvccEvent[];
  /** Everything up to and including this revision has been seen. */
  readonly throughRevision: Revision;
}

/** What is stored beside the keys: leases, alarms, members, users. */
export interface StoredMeta {
  /**
   * Records whose name begins so, in the order of their names. Made as they are asked for: whoever
   * goes through very many gives way to the event loop in between. What changes meanwhile may come.
   */
  metaEntries(prefix: string): Iterable<readonly [string, Uint8Array]>;
}

/** Reads what it wants of a state that is about to take over; what it returns does so, at once. */
export type PrepareSwitch = (next: StoredMeta) => Promise<() => void>;

/**
 * All keys and their history. Changes are applied synchronously to memory and written to the
 * KvStore in the background, each batch atomic with the applied mark.
 */
export interface MvccStore extends StoredMeta {
  readonly revision: Revision;
  /** -1 before the first compaction. */
  readonly compactRevision: Revision;
  /** Logical bytes of all stored records; the same on every member. */
  readonly sizeBytes: number;
  /**
   * Bytes of all that is stored: records, what is kept beside the keys, and the saved index. What
   * is still to be written counts, too. Not the same on every member, and never 0.
   */
  readonly inUseBytes: number;
  /**
   * Bytes that the files take, as of the last look at them; at least `inUseBytes`. What is more is
   * what {@link defragment} can give back.
   */
  readonly allocatedBytes: number;
  readonly keyCount: number;
  /** Reads of history, or of what is not in memory, under way: compactions wait for them. */
  readonly openReads: number;
  /** Records that compactions have removed since the start. */
  readonly compactedKeys: number;
  /** As of the last restart or flush: what is in the KvStore, synced if `synced`. */
  readonly flushed: { readonly index: LogIndex; readonly synced: boolean };
  readonly unflushedBytes: number;
  /** Bytes of memory for records, those that are not flushed included. */
  readonly cachedBytes: number;

  /** Starts the changes of the entry at `index`; one at a time, ends with `commit`. */
  begin(index: LogIndex, term: Term): MvccWriteTxn;
  /** Applies an entry that changes nothing here but moves the applied mark. */
  setApplied(mark: { index: LogIndex; term: Term; configuration?: Configuration }): void;
  readonly applied: AppliedMark;

  /** Whatever is in memory stays there until the next commit. */
  holdRecords(): void;
  /** True if `record(key)` of every key would answer from memory now. */
  isWarm(keys: readonly KeyString[]): boolean;
  /**
   * Brings the current records of the keys into memory and keeps them there until the next commit.
   */
  warm(keys: readonly KeyString[]): Promise<void>;

  /**
   * COMPACTED or FUTURE_REVISION if `revision` (> 0) can't be read, else undefined.
   */
  checkRevision(revision: Revision): EtcdError | undefined;
  /** What is there now, outside of any transaction. Not to be kept: an install brings another. */
  readonly present: MvccPresent;
  /**
   * Reads at the present revision, which stays what it shows. Holds history from `holdFrom` on;
   * undefined: nothing, for an entry that is being applied, during which nothing else is.
   */
  reader(holdFrom: Revision | undefined): PointReader;
  /**
   * Synchronous if everything is in memory and small, else a promise; long ranges give way to the
   * event loop. `at` undefined: the present revision. A point that gets compacted away before the
   * call began rejects with COMPACTED; later compactions wait for it.
   */
  range(
    query: RangeQuery,
    at: ReadPoint | undefined,
    room?: AnswerRoom,
  ): RangeResult | Promise<RangeResult>;
  /** Encoded current record if it is in memory, `undefined` if it is not, null if no such key. */
  peek(key: KeyString): Uint8Array | null | undefined;

  /** Events with revision >= `from`, at most so many revisions and bytes, oldest first. */
  history(from: Revision, revisionsMax: number, bytesMax: number): Promise<EventPage>;

  /**
   * Marks `revision` as compacted (throws the EtcdErrors of Compact); part of the entry's batch.
   */
  scheduleCompaction(index: LogIndex, term: Term, revision: Revision): void;
  /** Resolves when everything scheduled so far has been removed and written. */
  compactionDone(): Promise<void>;

  /**
   * CRC-32C as etcd's HashKV computes it, of all revisions <= `revision`; 0: the present one. At
   * the revision of one of the last compactions it is what it was before that, unless `kept` is
   * false: then it is of what is there now. Rejects with COMPACTED or FUTURE_REVISION.
   */
  hashKv(revision: Revision, kept?: boolean): Promise<RevisionHash>;
  /** Of the last compactions that were made here, newest first. */
  compactionHashes(): readonly RevisionHash[];
  /** CRC-32C of everything stored. */
  hashAll(): Promise<number>;

  /** Everything as of now; must be closed. */
  snapshotView(): Promise<SnapshotView>;

  /** The state as of now, for another member. Flushes first. */
  snapshotSource(): Promise<SnapshotSource>;
  /** Takes a state from another member in, beside the present one. */
  openSink(): Promise<SnapshotSink>;
  /**
   * Replaces everything by what was staged. The caller has marked the log with `staged.mark`
   * before, durably, and applies nothing until this resolves. The present state is served until the
   * new one is ready and `prepare`, if given, has read from it what it wants; then it changes at
   * once, and what `prepare` resolved with is called in that same turn. Whatever
   * reads then ends on the old state, or rejects with an EtcdError that says to try again; what was
   * not flushed is dropped. Rejects with ObsoleteSnapshotError, having discarded it, if it is not
   * newer than the present state; with STOPPED if the store is closed meanwhile. Any other error
   * is final: the staged state stays, and the next start goes on with it.
   */
  install(staged: StagedSnapshot, prepare?: PrepareSwitch): Promise<void>;

  meta(name: string): Uint8Array | undefined;

  /** Every live key with a lease. */
  leasedKeys(): Iterable<readonly [KeyString, LeaseId]>;

  /** Writes everything applied so far, with an fsync; returns the index it covers. */
  flushSync(): Promise<AppliedMark>;
  /** Reclaims disk space, without blocking readers or writers for longer than a slice. */
  defragment(): Promise<void>;
  close(): Promise<void>;
}
