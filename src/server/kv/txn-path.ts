/**
 * Decides which branches of a transaction run, before any of them does (C-1.7.4): the
 * compares of nested transactions see the state before the outermost one, too. In steps: a compare
 * may look at every key there is, and at values that are only on disk.
 */

import type { LeaseId, Slice, Steps } from '../../common/index.js';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type RequestOp,
  type TxnRequest,
} from '../../proto/index.js';
import type { KeyState, PointReader, VisitedKey } from '../../storage/index.js';

/** The branch that runs, and the same for each 'txn' operation in it, in order. */
export interface TxnPath {
  readonly succeeded: boolean;
  readonly ops: readonly RequestOp[];
  readonly nested: readonly TxnPath[];
}

/** Recurses as deep as the request does, which its decoder bounds. */
export function* chooseBranches(
  reader: PointReader,
  request: TxnRequest,
  slice: Slice,
): Steps<TxnPath> {
  let succeeded = true;
  for (const compare of request.compare) {
    if (!slice.next()) yield slice.rest();
    succeeded = yield* holds(reader, compare, slice);
    if (!succeeded) break;
  }
  const ops = succeeded ? request.success : request.failure;
  const nested: TxnPath[] = [];
  for (const op of ops) {
    if (op.type === 'txn') nested.push(yield* chooseBranches(reader, op.request, slice));
  }
  return { succeeded, ops, nested };
}

/** Operations of a branch up to which a transaction is short. */
const shortOpsMax = 64;

/**
 * Whether a transaction is like nearly all: flat, of single keys, with few operations. It is
 * decided and done within one call, without the steps that others need.
 */
export function isShort(request: TxnRequest): boolean {
  return (
    request.compare.length <= shortOpsMax &&
    request.compare.every((compare) => compare.rangeEnd === '') &&
    isShortBranch(request.success) &&
    isShortBranch(request.failure)
  );
}

function isShortBranch(ops: readonly RequestOp[]): boolean {
  if (ops.length > shortOpsMax) return false;
  for (const op of ops) {
    if (op.type === 'txn' || op.type === 'none') return false;
    if (op.type === 'put' && op.request.ignoreValue) return false;
    if (op.type === 'deleteRange' && op.request.rangeEnd !== '') return false;
  }
  return true;
}

/** Whether the compares of a short transaction hold; undefined: something has to be read first. */
export function shortVerdict(reader: PointReader, request: TxnRequest): boolean | undefined {
  for (const compare of request.compare) {
    const held = keyHolds(reader, compare);
    if (held instanceof Promise) {
      held.catch(() => {}); // it is asked again
      return undefined;
    }
    if (!held) return false;
  }
  return true;
}

function* holds(reader: PointReader, compare: Compare, slice: Slice): Steps<boolean> {
  if (compare.rangeEnd !== '') return yield* rangeHolds(reader, compare, slice);
  const verdict = keyHolds(reader, compare);
  if (!(verdict instanceof Promise)) return verdict;
  let held = false;
  yield verdict.then((known) => {
    held = known;
  });
  return held;
}

function keyHolds(reader: PointReader, compare: Compare): boolean | Promise<boolean> {
  const { key, target } = compare;
  if (target === CompareTarget.VALUE) {
    const value = reader.value(key);
    if (!(value instanceof Promise)) return valueHolds(compare, value);
    return value.then((read) => valueHolds(compare, read));
  }
  if (target === CompareTarget.LEASE) {
    const lease = reader.lease(key);
    if (!(lease instanceof Promise)) return leaseHolds(compare, lease);
    return lease.then((read) => leaseHolds(compare, read));
  }
  return stateHolds(compare, reader.state(key));
}

/** It must hold for every key there is in the range; if there is none, for one that is missing. */
function* rangeHolds(reader: PointReader, compare: Compare, slice: Slice): Steps<boolean> {
  const { key, rangeEnd, target } = compare;
  let isEmpty = true;
  let visit: (visited: VisitedKey) => boolean;
  let wants: 'state' | 'lease' | 'value' = 'state';
  if (target === CompareTarget.VALUE) {
    wants = 'value';
    visit = (visited) => {
      isEmpty = false;
      return valueHolds(compare, visited.value);
    };
  } else if (target === CompareTarget.LEASE) {
    wants = 'lease';
    visit = (visited) => {
      isEmpty = false;
      return leaseHolds(compare, visited.lease);
    };
  } else {
    visit = (visited) => {
      isEmpty = false;
      return stateHolds(compare, visited);
    };
  }
  const all = yield* reader.every(key, rangeEnd, wants, visit, slice);
  return isEmpty ? missingHolds(compare) : all;
}

function missingHolds(compare: Compare): boolean {
  if (compare.target === CompareTarget.VALUE) return valueHolds(compare, undefined);
  if (compare.target === CompareTarget.LEASE) return leaseHolds(compare, 0n);
  return stateHolds(compare, undefined);
}

/** A missing key has no value to compare with, not even as "not equal". */
function valueHolds(compare: Compare, value: Uint8Array | undefined): boolean {
  if (value === undefined) return false;
  const wanted = compare.targetUnion === 'value' ? compare.value : noValue;
  return resultHolds(compare.result, Buffer.compare(value, wanted));
}

const noValue = Buffer.alloc(0);

function leaseHolds(compare: Compare, lease: LeaseId): boolean {
  return resultHolds(
    compare.result,
    order(lease, compare.targetUnion === 'lease' ? compare.lease : 0n),
  );
}

function stateHolds(compare: Compare, state: KeyState | undefined): boolean {
  switch (compare.target) {
    case CompareTarget.VERSION: {
      const wanted = compare.targetUnion === 'version' ? compare.version : 0;
      return resultHolds(compare.result, order(state?.version ?? 0, wanted));
    }
    case CompareTarget.CREATE: {
      const wanted = compare.targetUnion === 'createRevision' ? compare.createRevision : 0;
      return resultHolds(compare.result, order(state?.createRevision ?? 0, wanted));
    }
    case CompareTarget.MOD: {
      const wanted = compare.targetUnion === 'modRevision' ? compare.modRevision : 0;
      return resultHolds(compare.result, order(state?.modRevision ?? 0, wanted));
    }
    default:
      // etcd compares nothing for a target it does not know, and takes that for "equal".
      return resultHolds(compare.result, 0);
  }
}

function order<T extends number | bigint>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function resultHolds(result: number, compared: number): boolean {
  switch (result) {
    case CompareResult.EQUAL:
      return compared === 0;
    case CompareResult.GREATER:
      return compared > 0;
    case CompareResult.LESS:
      return compared < 0;
    case CompareResult.NOT_EQUAL:
      return compared !== 0;
    default:
      return true;
  }
}
