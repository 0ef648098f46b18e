/**
 * Decides which branches of a transaction run, before any of them does (contract section 1.7): the
 * compares of nested transactions see the state before the outermost one, too.
 */

import type { KeyString } from '../common/index.js';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  type RequestOp,
  type TxnRequest,
} from '../proto/index.js';
import type { MvccPresent } from '../storage/index.js';

/** The branch that runs, and the same for each 'txn' operation in it, in order. */
export interface TxnPath {
  readonly succeeded: boolean;
  readonly ops: readonly RequestOp[];
  readonly nested: readonly TxnPath[];
}

/** What a compare reads. */
export type TxnView = Pick<MvccPresent, 'state' | 'lease' | 'value' | 'keysInRange'>;

export function chooseBranches(view: TxnView, request: TxnRequest): TxnPath {
  const succeeded = request.compare.every((compare) => holds(view, compare));
  const ops = succeeded ? request.success : request.failure;
  const nested: TxnPath[] = [];
  for (const op of ops) {
    if (op.type === 'txn') nested.push(chooseBranches(view, op.request));
  }
  return { succeeded, ops, nested };
}

function holds(view: TxnView, compare: Compare): boolean {
  if (compare.rangeEnd === '') return keyHolds(view, compare, compare.key);
  const keys = view.keysInRange(compare.key, compare.rangeEnd);
  if (keys.length === 0) return keyHolds(view, compare, compare.key, true);
  return keys.every((key) => keyHolds(view, compare, key));
}

function keyHolds(view: TxnView, compare: Compare, key: KeyString, absent = false): boolean {
  const state = absent ? undefined : view.state(key);
  switch (compare.target) {
    case CompareTarget.VALUE: {
      // A missing key has no value to compare with, not even as "not equal".
      if (state === undefined) return false;
      const wanted = compare.targetUnion === 'value' ? compare.value : Buffer.alloc(0);
      return resultHolds(compare.result, Buffer.compare(view.value(key) ?? wanted, wanted));
    }
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
    case CompareTarget.LEASE: {
      const wanted = compare.targetUnion === 'lease' ? compare.lease : 0n;
      return resultHolds(compare.result, order(state === undefined ? 0n : view.lease(key), wanted));
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

/** Every key whose value may decide something in `request`: it must be in memory before apply. */
export function valuesNeeded(view: TxnView, request: TxnRequest, into: KeyString[]): void {
  for (const compare of request.compare) {
    if (compare.target !== CompareTarget.VALUE) continue;
    if (compare.rangeEnd === '') into.push(compare.key);
    else into.push(...view.keysInRange(compare.key, compare.rangeEnd));
  }
  for (const branch of [request.success, request.failure]) {
    for (const op of branch) {
      if (op.type === 'put' && op.request.ignoreValue) into.push(op.request.key);
      else if (op.type === 'txn') valuesNeeded(view, op.request, into);
    }
  }
}
