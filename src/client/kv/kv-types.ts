/**
 * The key-value store as a user sees it: a view of the key space with a prefix and a codec, and
 * the store inside a transaction function. Options that exclude each other do not compile, and
 * what was asked for decides the type of the result. Types only.
 */

import type { Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import type { Runtime } from '../connection/index.js';
import type {
  Codec,
  EntryOf,
  Key,
  KeyRange,
  KeyValue,
  RangeOptions,
  RangeResult,
  ReadOptions,
  ScanOptions,
  StandardSchema,
} from '../keyspace/index.js';
import type { StateWatcher, Watcher, WatchFromOptions, WatchOptions } from '../watch/index.js';
import type { Comparer, Condition, KvOps, TxnStart } from './txn-types.js';
import type {
  CasOptions,
  CasResult,
  DeleteOptions,
  DeleteResult,
  LeaseChoice,
  LeaseRef,
  ModifyOptions,
  ModifyResult,
  PutOptions,
  PutResult,
} from './write-types.js';

/** What is built on a view needs of its client. */
export interface ClientOfView {
  readonly runtime: Runtime;
  /** Aborted when the client is closed. */
  readonly signal: AbortSignal;
}

/** A view of the key space: below a prefix, values of one kind. */
export interface Kv<V, In = V> {
  /** The bytes before every key of this view. */
  readonly prefix: Buffer;
  readonly codec: Codec<V, In>;
  /** For what is built on this view. */
  readonly client: ClientOfView;
  /** Operations for transactions. */
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

/**
 * What a run may have seen when it commits. `repeatable-read`: no key it read was changed since.
 * `serializable`: and all reads are of one revision. `serializable-snapshot`: and no key it writes
 * was changed since that revision. As etcd's Go package `concurrency`.
 */
export type Isolation = 'serializable-snapshot' | 'serializable' | 'repeatable-read';

export interface StmOptions extends CallOptions {
  /** Default `serializable-snapshot`. */
  readonly isolation?: Isolation;
  /** Runs before CONFLICT. Default 50. */
  readonly attemptsMax?: number;
  /** More conditions of the commit; if one fails, CONFLICT at once (a fence is not retried). */
  readonly guards?: readonly Condition[];
}

/** The store inside a transaction function: reads are repeatable and see its own writes. */
export interface Stm<V, In> {
  get(key: Key): Promise<V | undefined>;
  /** The entry as it was read; own writes are not in it. */
  entry(key: Key): Promise<KeyValue<V> | undefined>;
  put(key: Key, value: In, options?: LeaseChoice): void;
  delete(key: Key): void;
  /** The same transaction seen through another view. */
  in<V2, In2>(kv: Kv<V2, In2>): Stm<V2, In2>;
  /** Which run this is; the first is 1. */
  readonly attempt: number;
}
