/**
 * The checks that a KV request must pass before it is proposed or read: on the shape of the request
 * only, never on the state of the store (C-1.5, C-1.6, C-1.7). Each returns the reason of
 * the first thing wrong, in etcd's order, or undefined.
 */

import type { ErrorReason, KeyString } from '../../common/index.js';
import type {
  DeleteRangeRequest,
  PutRequest,
  RangeRequest,
  RequestOp,
  TxnRequest,
} from '../../proto/index.js';
import { KeyIntervalSet } from './key-interval-set.js';

type Verdict = ErrorReason | undefined;

const sortOrderMax = 2;
const sortTargetMax = 4;

export function checkRange(request: RangeRequest): Verdict {
  if (request.key === '') return 'EMPTY_KEY';
  const { sortOrder, sortTarget } = request;
  if (sortOrder < 0 || sortOrder > sortOrderMax) return 'INVALID_SORT_OPTION';
  if (sortTarget < 0 || sortTarget > sortTargetMax) return 'INVALID_SORT_OPTION';
  return undefined;
}

/** RangeStream does not filter, and sorts only where etcd does: see {@link isStreamSorted}. */
export function checkRangeStream(request: RangeRequest): Verdict {
  const verdict = checkRange(request);
  if (verdict !== undefined) return verdict;
  const { sortOrder, sortTarget } = request;
  const isByKey = sortOrder === 1 && sortTarget === 0;
  if (sortOrder !== 0 && !isByKey) return 'STREAM_SORT_UNSUPPORTED';
  const filters =
    request.minModRevision !== 0 ||
    request.maxModRevision !== 0 ||
    request.minCreateRevision !== 0 ||
    request.maxCreateRevision !== 0;
  return filters ? 'STREAM_FILTER_UNSUPPORTED' : undefined;
}

/**
 * A target without an order is not refused, and means ascending, as in Range. etcd sorts each chunk
 * alone, which leaves keys out and sends others twice as soon as there is a second one.
 */
export function isStreamSorted({ sortOrder, sortTarget, countOnly }: RangeRequest): boolean {
  return sortOrder === 0 && sortTarget !== 0 && !countOnly;
}

export function checkPut(request: PutRequest): Verdict {
  if (request.key === '') return 'EMPTY_KEY';
  if (request.ignoreValue && request.value.length !== 0) return 'VALUE_PROVIDED';
  if (request.ignoreLease && request.lease !== 0n) return 'LEASE_PROVIDED';
  return undefined;
}

export function checkDeleteRange(request: DeleteRangeRequest): Verdict {
  return request.key === '' ? 'EMPTY_KEY' : undefined;
}

/** A whole transaction: shape, size, then forbidden overlaps of its writes. */
export function checkTxn(request: TxnRequest, txnOpsMax: number): Verdict {
  return (
    checkTxnShape(request, txnOpsMax) ??
    overlaps(request.success).verdict ??
    overlaps(request.failure).verdict
  );
}

function checkTxnShape(request: TxnRequest, opsMax: number): Verdict {
  const ops = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (ops > opsMax) return 'TOO_MANY_OPS';
  for (const compare of request.compare) {
    if (compare.key === '') return 'EMPTY_KEY';
  }
  for (const branch of [request.success, request.failure]) {
    for (const op of branch) {
      const verdict = checkOp(op, opsMax - ops);
      if (verdict !== undefined) return verdict;
    }
  }
  return undefined;
}

function checkOp(op: RequestOp, opsLeft: number): Verdict {
  switch (op.type) {
    case 'range':
      return checkRange(op.request);
    case 'put':
      return checkPut(op.request);
    case 'deleteRange':
      return checkDeleteRange(op.request);
    case 'txn':
      return checkTxnShape(op.request, opsLeft);
    case 'none':
      return 'KEY_NOT_FOUND';
  }
}

interface Writes {
  readonly puts: Set<KeyString>;
  readonly deletes: KeyIntervalSet;
  readonly verdict: Verdict;
}

/**
 * A key may be put once, and not put where it is deleted, along any path through the transaction.
 * The two branches of one nested transaction exclude each other, so they may put the same key. A
 * delete "from key on" (range_end of one zero byte) is not looked at, as in etcd.
 */
function overlaps(ops: readonly RequestOp[]): Writes {
  const puts = new Set<KeyString>();
  const deletes = new KeyIntervalSet();
  const duplicate: Writes = { puts, deletes, verdict: 'DUPLICATE_KEY' };
  for (const op of ops) {
    if (op.type !== 'deleteRange') continue;
    const { key, rangeEnd } = op.request;
    deletes.add(key, rangeEnd === '' ? `${key}\0` : rangeEnd);
  }
  const taken = (key: KeyString): boolean => puts.has(key) || deletes.has(key);
  for (const op of ops) {
    if (op.type !== 'txn') continue;
    const then = overlaps(op.request.success);
    if (then.verdict !== undefined) return then;
    const otherwise = overlaps(op.request.failure);
    if (otherwise.verdict !== undefined) return otherwise;
    for (const key of then.puts) {
      if (taken(key)) return duplicate;
      puts.add(key);
    }
    for (const key of otherwise.puts) {
      if (then.puts.has(key)) continue;
      if (taken(key)) return duplicate;
      puts.add(key);
    }
    deletes.addAll(then.deletes);
    deletes.addAll(otherwise.deletes);
  }
  for (const op of ops) {
    if (op.type !== 'put') continue;
    if (taken(op.request.key)) return duplicate;
    puts.add(op.request.key);
  }
  return { puts, deletes, verdict: undefined };
}

/** Every top-level operation is a range: answered without a log entry. */
export function isTxnReadonly(request: TxnRequest): boolean {
  return [request.success, request.failure].every((branch) =>
    branch.every((op) => op.type === 'range'),
  );
}

/** All ranges of a read-only transaction are serializable; true as well if it has none. */
export function isTxnSerializable(request: TxnRequest): boolean {
  return [request.success, request.failure].every((branch) =>
    branch.every((op) => op.type === 'range' && op.request.serializable),
  );
}
