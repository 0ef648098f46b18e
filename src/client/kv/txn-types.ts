/**
 * Transactions: `if(conditions).then(operations).else(operations).commit()`, whose result type
 * follows from the operations. Types only.
 *
 * Conditions and operations are made by a view (`kv.when`, `kv.ops`) and are complete: its prefix
 * and codec are in them, so operations of several views go into one transaction.
 */

import type { Revision } from '../../common/index.js';
import type { Compare, RequestOp, ResponseOp } from '../../proto/index.js';
import type { CallOptions, Header } from '../call/index.js';
import type {
  EntryOf,
  Key,
  KeyRange,
  KeyValue,
  RangeOptions,
  RangeResult,
} from '../keyspace/index.js';
import type { DeleteResult, LeaseChoice, LeaseRef, PutResult } from './write-types.js';

/** One condition of a transaction; as on the wire. */
export interface Condition {
  readonly compare: Compare;
}

/** One operation of a transaction with what its reply becomes. */
export interface Op<R> {
  readonly request: RequestOp;
  /** Of the reply to this operation. `header` is the transaction's. */
  readonly read: (response: ResponseOp, header: Header) => R;
}

/** The result of an operation's type. */
export type ResultOf<T> = T extends Op<infer R> ? R : never;

/** The results of a list of operations, position by position. */
export type ResultsOf<T extends readonly Op<unknown>[]> = {
  readonly [K in keyof T]: ResultOf<T[K]>;
};

export type Relation = '=' | '!=' | '<' | '>';

/** Conditions on one key (or on all keys of a range). A missing key has all numbers 0. */
export interface Comparer<In> {
  version(is: Relation, version: number): Condition;
  createRevision(is: Relation, revision: Revision): Condition;
  modRevision(is: Relation, revision: Revision): Condition;
  lease(is: Relation, lease: LeaseRef | 0n): Condition;
  /** Compares encoded bytes; always false for a missing key. */
  value(is: Relation, value: In): Condition;
  exists(): Condition;
  missing(): Condition;
}

/** Operations of one view, for transactions. */
export interface KvOps<V, In> {
  get(key: Key, options?: { readonly revision?: Revision }): Op<KeyValue<V> | undefined>;
  range<const O extends Omit<RangeOptions, keyof CallOptions>>(
    range: KeyRange,
    options?: O,
  ): Op<RangeResult<EntryOf<V, O>>>;
  count(range: KeyRange): Op<number>;
  put<const O extends { readonly prev?: boolean } & LeaseChoice>(
    key: Key,
    value: In,
    options?: O,
  ): Op<PutResult<V, O>>;
  touch(key: Key, options?: { readonly lease?: LeaseRef }): Op<PutResult<V>>;
  delete<const O extends { readonly prev?: boolean }>(
    key: Key,
    options?: O,
  ): Op<DeleteResult<V, O>>;
  deleteRange<const O extends { readonly prev?: boolean }>(
    range: KeyRange,
    options?: O,
  ): Op<DeleteResult<V, O>>;
}

/** What a transaction did: `ok` tells which branch, and so which results. */
export type TxnResult<Then extends readonly Op<unknown>[], Else extends readonly Op<unknown>[]> =
  | {
      /** All conditions held: `then` was executed. */
      readonly ok: true;
      readonly header: Header;
      readonly revision: Revision;
      readonly results: ResultsOf<Then>;
    }
  | {
      readonly ok: false;
      readonly header: Header;
      readonly revision: Revision;
      readonly results: ResultsOf<Else>;
    };

/** Nobody has one: what `then` of a complete transaction would want. */
declare const commitIsMissing: unique symbol;
export interface CommitIsMissing {
  readonly [commitIsMissing]: true;
}

/**
 * A transaction that can be sent, or be an operation of another one. Immutable. Nothing happens
 * before `commit()`: so it must not be awaited, nor returned from an async function, as if it were
 * what `commit()` returns. TypeScript says so (TS1320, TS1058), because `then` is not that of a
 * promise; at run time `await` throws INVALID_OPTION.
 */
export interface Txn<Then extends readonly Op<unknown>[], Else extends readonly Op<unknown>[]> {
  commit(options?: CallOptions): Promise<TxnResult<Then, Else>>;
  /** This transaction as one operation of another (etcd >= 3.3). */
  asOp(): Op<TxnResult<Then, Else>>;
}

/** A {@link Txn} to which nothing can be added. */
export interface TxnComplete<
  Then extends readonly Op<unknown>[],
  Else extends readonly Op<unknown>[],
> extends Txn<Then, Else> {
  readonly then: (forgotten: CommitIsMissing) => never;
}

/** After `then`: only `else` may follow. */
export interface TxnThen<Then extends readonly Op<unknown>[]>
  extends TxnComplete<Then, readonly []> {
  else<const Else extends readonly Op<unknown>[]>(...ops: Else): TxnComplete<Then, Else>;
}

/** After `if`. */
export interface TxnIf extends Txn<readonly [], readonly []> {
  then<const Then extends readonly Op<unknown>[]>(...ops: Then): TxnThen<Then>;
  else<const Else extends readonly Op<unknown>[]>(...ops: Else): TxnComplete<readonly [], Else>;
}

/** `kv.txn()`. */
export interface TxnStart extends TxnIf {
  /** All must hold. May be empty. */
  if(...conditions: (Condition | readonly Condition[])[]): TxnIf;
}
