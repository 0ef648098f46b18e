/**
 * Step 9 of the data path for KV requests: deterministic. Whatever decides the outcome is read from
 * replicated state, so that every member decides alike. What may touch many keys is done in steps:
 * first everything is decided and checked, then everything is done, so that nothing fails half way.
 */

import {
  assert,
  type Caller,
  type ErrorReason,
  EtcdError,
  entryCopiedBytesMax,
  type KeyString,
  type LeaseId,
  type Slice,
  type Steps,
} from '../../common/index.js';
import {
  type DeleteRangeRequest,
  type PutRequest,
  type RangeRequest,
  rangeOf,
  type TxnRequest,
} from '../../proto/index.js';
import type { MvccStore, MvccWriteTxn } from '../../storage/index.js';
import type {
  DeferredRange,
  DeleteRangeResult,
  OpResult,
  PutResult,
  TxnResult,
} from './results.js';
import { chooseBranches, type TxnPath } from './txn-path.js';

/** What KV changes need of the lessor. */
export interface LeaseBook {
  has(lease: LeaseId): boolean;
}

/** Who may attach keys to a lease, and who is told of it. */
export interface LeaseRights {
  writeRefusal(caller: Caller, id: LeaseId, slice: Slice): Steps<ErrorReason | undefined>;
  attached(id: LeaseId, key: KeyString): void;
}

/** Where the changes of one entry go. */
export interface KvTarget {
  readonly store: MvccStore;
  readonly leases: LeaseBook;
  readonly leaseRights: LeaseRights;
  readonly counts: KvCounts;
}

/** Changes made since the start, nested ones too, for the metrics. */
export interface KvCounts {
  putTotal: number;
  /** Of keys and values. */
  putBytesTotal: number;
  deleteTotal: number;
  rangeTotal: number;
}

/** Throws EtcdError if the put can't be done. */
export function checkPutState(target: KvTarget, request: PutRequest): void {
  if (request.lease !== 0n && !target.leases.has(request.lease)) {
    throw new EtcdError('LEASE_NOT_FOUND');
  }
  if (request.ignoreValue || request.ignoreLease) {
    if (target.store.present.state(request.key) === undefined) throw new EtcdError('KEY_NOT_FOUND');
  }
}

/** Throws EtcdError if a client that this comes from may not attach keys to one of the leases. */
export function* checkLeases(
  target: KvTarget,
  caller: Caller | undefined,
  leases: Iterable<LeaseId>,
  slice: Slice,
): Steps<void> {
  if (caller === undefined || caller.isMember) return;
  for (const id of leases) {
    const refusal = yield* target.leaseRights.writeRefusal(caller, id, slice);
    if (refusal !== undefined) throw new EtcdError(refusal);
  }
}

/**
 * The values that the puts of an entry keep (ignore_value): they have to be in memory when it is
 * done, and together they must not be more than an entry may copy.
 */
class KeptValues {
  readonly #store: MvccStore;
  readonly #cold: KeyString[] = [];
  #bytes = 0;

  constructor(store: MvccStore) {
    this.#store = store;
  }

  /** Throws REQUEST_TOO_LARGE, on every member alike. */
  add(key: KeyString): void {
    const store = this.#store;
    if (this.#bytes === 0) store.holdRecords();
    this.#bytes += store.present.storedBytes(key);
    if (this.#bytes > entryCopiedBytesMax) throw new EtcdError('REQUEST_TOO_LARGE');
    if (!store.isWarm([key])) this.#cold.push(key);
  }

  *load(): Steps<void> {
    if (this.#cold.length > 0) yield this.#store.warm(this.#cold);
  }
}

/** Throws EtcdError if the put can't be done, else brings what it needs into memory. */
export function* preparePut(target: KvTarget, request: PutRequest): Steps<void> {
  checkPutState(target, request);
  if (!request.ignoreValue) return;
  const kept = new KeptValues(target.store);
  kept.add(request.key);
  yield* kept.load();
}

/** A put that passed {@link checkPutState}. */
export function applyPut(
  target: KvTarget,
  txn: MvccWriteTxn,
  request: PutRequest,
  wantAnswer: boolean,
): PutResult {
  const { key } = request;
  const revision = target.store.revision + 1;
  let previous: DeferredRange | undefined;
  if (request.prevKv && wantAnswer && txn.state(key) !== undefined) {
    previous = { query: rangeOf(key), at: txn.readPoint(), result: undefined };
  }
  const lease = request.ignoreLease ? txn.lease(key) : request.lease;
  assert(request.lease === 0n || target.leases.has(request.lease), 'the lease was checked');
  let value: Uint8Array = request.value;
  if (request.ignoreValue) value = txn.value(key) ?? value;
  const { counts } = target;
  counts.putTotal++;
  counts.putBytesTotal += key.length + value.length;
  txn.put(key, value, lease);
  if (lease !== 0n) target.leaseRights.attached(lease, key);
  return { type: 'put', revision, previous };
}

/** Any number of keys, in steps. */
export function* applyDeleteRange(
  target: KvTarget,
  txn: MvccWriteTxn,
  request: DeleteRangeRequest,
  wantAnswer: boolean,
  slice: Slice,
): Steps<DeleteRangeResult> {
  const previous = previousOf(txn, request, wantAnswer);
  target.counts.deleteTotal++;
  const deleted = yield* txn.deleteRangeSteps(request.key, request.rangeEnd, slice);
  return { type: 'deleteRange', revision: revisionNow(target, txn), deleted, previous };
}

/** A delete of one key. */
export function applyDeleteKey(
  target: KvTarget,
  txn: MvccWriteTxn,
  request: DeleteRangeRequest,
  wantAnswer: boolean,
): DeleteRangeResult {
  const previous = previousOf(txn, request, wantAnswer);
  target.counts.deleteTotal++;
  const deleted = txn.deleteRange(request.key, '');
  return { type: 'deleteRange', revision: revisionNow(target, txn), deleted, previous };
}

function previousOf(
  txn: MvccWriteTxn,
  { key, rangeEnd, prevKv }: DeleteRangeRequest,
  wantAnswer: boolean,
): DeferredRange | undefined {
  if (!prevKv || !wantAnswer) return undefined;
  return { query: rangeOf(key, rangeEnd), at: txn.readPoint(), result: undefined };
}

/** The revision that a read at this place of the entry belongs to. */
function revisionNow(target: KvTarget, txn: MvccWriteTxn): number {
  return target.store.revision + (txn.changed ? 1 : 0);
}

/**
 * The compares of the whole tree are decided first, then everything that could fail on the chosen
 * path is checked; {@link runPath} is what is left to do. Throws EtcdError: the transaction has no
 * effect.
 */
export function* planTxn(target: KvTarget, request: TxnRequest, slice: Slice): Steps<TxnPath> {
  const { store } = target;
  const path = yield* chooseBranches(store.reader(undefined), request, slice);
  const kept = new KeptValues(store);
  yield* checkPath(target, path, kept, slice);
  yield* kept.load();
  return path;
}

function* checkPath(target: KvTarget, path: TxnPath, kept: KeptValues, slice: Slice): Steps<void> {
  let nested = 0;
  for (const op of path.ops) {
    if (!slice.next()) yield slice.rest();
    switch (op.type) {
      case 'range':
        checkRangeState(target.store, op.request);
        break;
      case 'put':
        checkPutState(target, op.request);
        if (op.request.ignoreValue) kept.add(op.request.key);
        break;
      case 'txn':
        yield* checkPath(target, path.nested[nested++] as TxnPath, kept, slice);
        break;
      default:
        break;
    }
  }
}

/**
 * A range of a transaction is checked against the revision before the transaction. A negative
 * revision is compared with the compacted one, and reads the present if that lets it pass (etcd).
 */
export function checkRangeState(
  store: Pick<MvccStore, 'revision' | 'compactRevision'>,
  request: RangeRequest,
): void {
  if (request.revision === 0) return;
  if (request.revision > store.revision) throw new EtcdError('FUTURE_REVISION');
  if (request.revision < store.compactRevision) throw new EtcdError('COMPACTED');
}

/**
 * A short transaction (txn-path.ts) whose compares were decided. Throws EtcdError before it changes
 * anything.
 */
export function applyShortTxn(
  target: KvTarget,
  txn: MvccWriteTxn,
  request: TxnRequest,
  succeeded: boolean,
  wantAnswer: boolean,
): TxnResult {
  const ops = succeeded ? request.success : request.failure;
  for (const op of ops) {
    if (op.type === 'put') checkPutState(target, op.request);
    else if (op.type === 'range') checkRangeState(target.store, op.request);
  }
  const responses: OpResult[] = [];
  for (const op of ops) {
    if (op.type === 'put') responses.push(applyPut(target, txn, op.request, wantAnswer));
    else if (op.type === 'deleteRange') {
      responses.push(applyDeleteKey(target, txn, op.request, wantAnswer));
    } else if (op.type === 'range') {
      target.counts.rangeTotal++;
      if (wantAnswer) responses.push(rangeInTxn(target, txn, op.request));
    }
  }
  return { type: 'txn', revision: revisionNow(target, txn), succeeded, responses };
}

/** Does what was planned. */
export function* runPath(
  target: KvTarget,
  txn: MvccWriteTxn,
  path: TxnPath,
  wantAnswer: boolean,
  slice: Slice,
): Steps<TxnResult> {
  const responses: OpResult[] = [];
  let nested = 0;
  for (const op of path.ops) {
    if (!slice.next()) yield slice.rest();
    switch (op.type) {
      case 'put':
        responses.push(applyPut(target, txn, op.request, wantAnswer));
        break;
      case 'deleteRange':
        responses.push(yield* applyDeleteRange(target, txn, op.request, wantAnswer, slice));
        break;
      case 'txn':
        responses.push(
          yield* runPath(target, txn, path.nested[nested++] as TxnPath, wantAnswer, slice),
        );
        break;
      case 'range':
        target.counts.rangeTotal++;
        if (wantAnswer) responses.push(rangeInTxn(target, txn, op.request));
        break;
      case 'none':
        break;
    }
  }
  const revision = revisionNow(target, txn);
  return { type: 'txn', revision, succeeded: path.succeeded, responses };
}

function rangeInTxn(target: KvTarget, txn: MvccWriteTxn, request: RangeRequest): OpResult {
  const at =
    request.revision > 0
      ? { main: request.revision, sub: Number.POSITIVE_INFINITY }
      : txn.readPoint();
  return {
    type: 'range',
    revision: revisionNow(target, txn),
    range: { query: request, at, result: undefined },
  };
}
