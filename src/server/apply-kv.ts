/**
 * Step 9 of the data path for KV requests: synchronous, deterministic, memory only. Whatever
 * decides the outcome is read from replicated state, so that every member decides alike.
 */

import { EtcdError, type KeyString, type LeaseId } from '../common/index.js';
import type { DeleteRangeRequest, PutRequest, RangeRequest, TxnRequest } from '../proto/index.js';
import type { MvccStore, MvccWriteTxn, RangeQuery } from '../storage/index.js';
import type { DeferredRange, DeleteRangeResult, OpResult, PutResult } from './apply-types.js';
import { chooseBranches, type TxnPath } from './txn-path.js';

/** What KV changes need of the lessor. */
export interface LeaseBook {
  has(lease: LeaseId): boolean;
  /** Moves the key to `lease` (0n: to none). */
  attach(key: KeyString, lease: LeaseId): void;
}

/** Where the changes of one entry go. */
export interface KvTarget {
  readonly store: MvccStore;
  readonly leases: LeaseBook;
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

/** The query for one key, all of it: what prev_kv and the get of a lock need. */
export function pointQuery(key: KeyString): RangeQuery {
  return {
    key,
    rangeEnd: '',
    limit: 0,
    keysOnly: false,
    countOnly: false,
    sortOrder: 0,
    sortTarget: 0,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

/** Throws EtcdError if the put can't be done; changes nothing then. */
export function checkPutState(target: KvTarget, txn: MvccWriteTxn, request: PutRequest): void {
  if (request.lease !== 0n && !target.leases.has(request.lease)) {
    throw new EtcdError('LEASE_NOT_FOUND');
  }
  if (request.ignoreValue || request.ignoreLease) {
    if (txn.state(request.key) === undefined) throw new EtcdError('KEY_NOT_FOUND');
  }
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
    previous = { query: pointQuery(key), at: txn.readPoint(), result: undefined };
  }
  const oldLease = txn.lease(key);
  const lease = request.ignoreLease ? oldLease : request.lease;
  let value: Uint8Array = request.value;
  if (request.ignoreValue) value = txn.value(key) ?? value;
  const { counts } = target;
  counts.putTotal++;
  counts.putBytesTotal += key.length + value.length;
  if (lease !== oldLease) target.leases.attach(key, lease);
  txn.put(key, value, lease);
  return { type: 'put', revision, previous };
}

/** `changed`: the entry has already changed something, so it has a revision of its own. */
export function applyDeleteRange(
  target: KvTarget,
  txn: MvccWriteTxn,
  request: DeleteRangeRequest,
  wantAnswer: boolean,
): DeleteRangeResult {
  const { key, rangeEnd } = request;
  let previous: DeferredRange | undefined;
  if (request.prevKv && wantAnswer) {
    previous = { query: { ...pointQuery(key), rangeEnd }, at: txn.readPoint(), result: undefined };
  }
  target.counts.deleteTotal++;
  const deleted = txn.deleteRange(key, rangeEnd);
  return { type: 'deleteRange', revision: revisionNow(target, txn), deleted, previous };
}

/** The revision that a read at this place of the entry belongs to. */
function revisionNow(target: KvTarget, txn: MvccWriteTxn): number {
  return target.store.revision + (txn.changed ? 1 : 0);
}

/**
 * The compares of the whole tree are decided first, then everything that could fail on the chosen
 * path is checked, and only then is anything written: a failing transaction has no effect.
 */
export function applyTxn(
  target: KvTarget,
  txn: MvccWriteTxn,
  request: TxnRequest,
  wantAnswer: boolean,
): OpResult {
  const path = chooseBranches(txn, request);
  checkPath(target, txn, path);
  return runPath(target, txn, path, wantAnswer);
}

function checkPath(target: KvTarget, txn: MvccWriteTxn, path: TxnPath): void {
  let nested = 0;
  for (const op of path.ops) {
    switch (op.type) {
      case 'range':
        checkRangeState(target.store, op.request);
        break;
      case 'put':
        checkPutState(target, txn, op.request);
        break;
      case 'txn':
        checkPath(target, txn, path.nested[nested++] as TxnPath);
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

function runPath(
  target: KvTarget,
  txn: MvccWriteTxn,
  path: TxnPath,
  wantAnswer: boolean,
): OpResult {
  const responses: OpResult[] = [];
  let nested = 0;
  for (const op of path.ops) {
    switch (op.type) {
      case 'put':
        responses.push(applyPut(target, txn, op.request, wantAnswer));
        break;
      case 'deleteRange':
        responses.push(applyDeleteRange(target, txn, op.request, wantAnswer));
        break;
      case 'txn':
        responses.push(runPath(target, txn, path.nested[nested++] as TxnPath, wantAnswer));
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
