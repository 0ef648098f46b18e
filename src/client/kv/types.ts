/**
 * The key-value store as a user sees it: a view of the key space with a prefix and a codec, and
 * the options and results of its calls. Options that exclude each other do not compile, and what
 * was asked for decides the type of the result.
 */

import type { LeaseId, Revision } from '../../common/index.js';
import type { CallOptions, Header, Key, KeyInfo, KeyRange, KeyValue } from '../types.js';
import type { StateWatcher, Watcher, WatchFromOptions, WatchOptions } from '../watch/types.js';
import type { Comparer, KvOps, Stm, StmOptions, TxnStart } from './txn-types.js';

/** What the root takes for a value. */
export type Bytes = string | Uint8Array;

/** How values of one kind are kept as bytes. `In` may be wider than `Out` (defaults). */
export interface Codec<Out, In = Out> {
  /** Throws if the value is not of the kind. */
  encode(value: In): Uint8Array;
  /** Throws if the bytes are not of the kind. `bytes` may be kept. */
  decode(bytes: Buffer): Out;
}

/** The part of Standard Schema (zod, valibot, arktype and others) that is used. */
export interface StandardSchema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}
export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: ReadonlyArray<SchemaIssue> };
export interface SchemaIssue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

/** A lease, or anything that has one's id. */
export type LeaseRef = LeaseId | { readonly id: LeaseId };

// ------------------------------------------------------------------------------------- reads

/** Which state is read. */
export interface ReadOptions extends CallOptions {
  /** The past; the newest state if left out. */
  readonly revision?: Revision;
  /** Answered by one member from what it has: faster, works without quorum, may be stale. */
  readonly serializable?: boolean;
}

/** The order of a range; by key ascending if left out. */
export interface Sort {
  readonly by: 'key' | 'version' | 'createRevision' | 'modRevision' | 'value';
  readonly order: 'ascending' | 'descending';
}

export interface RangeOptions extends ReadOptions {
  /** At most so many, after sorting and filtering; at least 1. */
  readonly limit?: number;
  readonly sort?: Sort;
  /** No values in the result, nor in its type. */
  readonly keysOnly?: boolean;
  /** Inclusive bounds; left out: none. */
  readonly modRevisionMin?: Revision;
  readonly modRevisionMax?: Revision;
  readonly createRevisionMin?: Revision;
  readonly createRevisionMax?: Revision;
}

/** An entry of a range: with its value, or without if `keysOnly` was asked for. */
export type EntryOf<V, O> = O extends { readonly keysOnly: true }
  ? KeyInfo
  : O extends { readonly keysOnly: boolean | undefined }
    ? KeyInfo | KeyValue<V>
    : KeyValue<V>;

export interface RangeResult<E> {
  readonly header: Header;
  /** Of the store when it was read; a watch from `revision + 1` misses nothing. */
  readonly revision: Revision;
  readonly kvs: readonly E[];
  /** Keys in the range, whatever the limit and the filters. */
  readonly count: number;
  /** There are more than the limit. */
  readonly more: boolean;
}

/** Reading a range of any size page by page, all pages at one revision. */
export interface ScanOptions extends ReadOptions {
  /** Keys a page. Default 500. */
  readonly pageSize?: number;
  readonly keysOnly?: boolean;
}

// ------------------------------------------------------------------------------------ writes

/** The lease that a put attaches: none (and detach), this one, or the one it has. */
export type LeaseChoice =
  | { readonly lease?: LeaseRef | undefined; readonly keepLease?: never }
  | { readonly keepLease: true; readonly lease?: never };

export type PutOptions = CallOptions & {
  /** Also return what was there before. */
  readonly prev?: boolean;
} & LeaseChoice;

/** `prev` is there if it was asked for. */
export type PrevOf<V, O> = O extends { readonly prev: true }
  ? { readonly prev: KeyValue<V> | undefined }
  : O extends { readonly prev: boolean }
    ? { readonly prev?: KeyValue<V> | undefined }
    : unknown;
export type PrevsOf<V, O> = O extends { readonly prev: true }
  ? { readonly prevs: readonly KeyValue<V>[] }
  : O extends { readonly prev: boolean }
    ? { readonly prevs?: readonly KeyValue<V>[] }
    : unknown;

/** What every change returns. */
export interface WriteResult {
  readonly header: Header;
  /** The revision that the change made (or, if it changed nothing, that it found). */
  readonly revision: Revision;
}
export type PutResult<V, O = unknown> = WriteResult & PrevOf<V, O>;

export interface DeleteOptions extends CallOptions {
  /** Also return what was there before. */
  readonly prev?: boolean;
}
export type DeleteResult<V, O = unknown> = WriteResult & {
  /** Keys deleted. */
  readonly deleted: number;
} & PrevsOf<V, O>;

/** Options of the compare-and-set verbs. */
export type CasOptions = CallOptions & LeaseChoice;

/** A compare-and-set: done, or not because `current` is there instead. */
export type CasResult<V> =
  | { readonly ok: true; readonly header: Header; readonly revision: Revision }
  | {
      readonly ok: false;
      readonly header: Header;
      readonly revision: Revision;
      /** What is there; undefined: nothing. */
      readonly current: KeyValue<V> | undefined;
    };

/** Read, change, write if unchanged, and again if not. */
export type ModifyOptions = CasOptions & {
  /** Attempts before CONFLICT. Default 20. */
  readonly attemptsMax?: number;
};
export type ModifyResult<V> = {
  readonly header: Header;
  readonly revision: Revision;
  /** The value before; undefined: there was none. */
  readonly before: KeyValue<V> | undefined;
  /** False: the function returned undefined, and nothing was written. */
  readonly written: boolean;
};

/** A view of the key space: below a prefix, values of one kind. */
export interface Kv<V, In = V> {
  /** The bytes before every key of this view. */
  readonly prefix: Buffer;
  readonly codec: Codec<V, In>;
  /** For what is built on this view. */
  readonly ops: KvOps<V, In>;

  /** The key, or undefined if it is not there. */
  get(key: Key, options?: ReadOptions): Promise<KeyValue<V> | undefined>;
  exists(key: Key, options?: ReadOptions): Promise<boolean>;
  range<const O extends RangeOptions>(
    range: KeyRange,
    options?: O,
  ): Promise<RangeResult<EntryOf<V, O>>>;
  count(range: KeyRange, options?: ReadOptions): Promise<number>;
  /** Entry by entry, fetched in pages at one revision. */
  scan<const O extends ScanOptions>(
    range: KeyRange,
    options?: O,
  ): AsyncIterableIterator<EntryOf<V, O>, undefined>;
  /** Page by page, all at one revision. */
  pages<const O extends ScanOptions>(
    range: KeyRange,
    options?: O,
  ): AsyncIterableIterator<RangeResult<EntryOf<V, O>>, undefined>;
  /** Chunks of one RangeStream call (3.7+); where the server has none, pages. */
  stream<const O extends ScanOptions>(
    range: KeyRange,
    options?: O,
  ): AsyncIterableIterator<readonly EntryOf<V, O>[], undefined>;

  put<const O extends PutOptions>(key: Key, value: In, options?: O): Promise<PutResult<V, O>>;
  /** Changes the lease, and the revision, but not the value; the key must be there. */
  touch<const O extends CallOptions & { readonly lease?: LeaseRef; readonly prev?: boolean }>(
    key: Key,
    options?: O,
  ): Promise<PutResult<V, O>>;
  delete<const O extends DeleteOptions>(key: Key, options?: O): Promise<DeleteResult<V, O>>;
  deleteRange<const O extends DeleteOptions>(
    range: KeyRange,
    options?: O,
  ): Promise<DeleteResult<V, O>>;

  /** Puts if the key is not there. */
  create(key: Key, value: In, options?: CasOptions): Promise<CasResult<V>>;
  /** Puts if the key's last revision is this one. */
  replace(
    key: Key,
    value: In,
    options: CasOptions & { readonly modRevision: Revision },
  ): Promise<CasResult<V>>;
  /** Deletes if the key's last revision is this one. */
  deleteIf(
    key: Key,
    options: CallOptions & { readonly modRevision: Revision },
  ): Promise<CasResult<V>>;
  /** `change` gets the value (or undefined) and returns the next one; undefined: leave it. */
  modify(
    key: Key,
    change: (current: V | undefined, kv: KeyValue<V> | undefined) => In | undefined,
    options?: ModifyOptions,
  ): Promise<ModifyResult<V>>;

  /** Conditions and operations that happen together or not at all. */
  txn(): TxnStart;
  /** Conditions on a key, for `txn().if(...)`. */
  when(key: Key): Comparer<In>;
  /** Conditions that every key of a range must meet. */
  whenAll(range: KeyRange): Comparer<In>;
  /** A function of reads and writes, run again while others interfere. */
  stm<R>(work: (tx: Stm<V, In>) => Promise<R> | R, options?: StmOptions): Promise<R>;

  /** Changes as they happen, over disconnections, in order, none twice. */
  watch<const O extends WatchOptions>(range: KeyRange, options?: O): Watcher<V, O>;
  /** The state, then every change after exactly that state. */
  watchFrom<const O extends WatchFromOptions>(range: KeyRange, options?: O): StateWatcher<V, O>;

  /** The view below `prefix` (of this view). */
  namespace(prefix: Key): Kv<V, In>;
  /** The same keys with values of another kind. */
  as<Out2, In2>(codec: Codec<Out2, In2>): Kv<Out2, In2>;
  /** The same keys, values JSON that the schema validates when written and when read. */
  typed<In2, Out2>(schema: StandardSchema<In2, Out2>): Kv<Out2, In2>;
}
