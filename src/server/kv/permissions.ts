/**
 * What requests of the KV service need permission for (C-4): the same answer at the door, before a
 * read, and when an entry is applied. A transaction needs all that any of its branches might do,
 * compares included: what it does shows in its answer.
 */

import type { Caller, ErrorReason, LeaseId } from '../../common/index.js';
import type { DeleteRangeRequest, PutRequest, RequestOp, TxnRequest } from '../../proto/index.js';
import type { Permissions } from '../access/index.js';

/** Without the keys of the lease that it names: those may be many (see lease/key-rights.ts). */
export function putRefusal(
  permissions: Permissions,
  caller: Caller,
  { key, prevKv }: PutRequest,
): ErrorReason | undefined {
  const refusal = permissions.writeRefusal(caller, key, '');
  if (refusal !== undefined || !prevKv) return refusal;
  return permissions.readRefusal(caller, key, '');
}

export function deleteRangeRefusal(
  permissions: Permissions,
  caller: Caller,
  { key, prevKv, rangeEnd }: DeleteRangeRequest,
): ErrorReason | undefined {
  const refusal = permissions.writeRefusal(caller, key, rangeEnd);
  if (refusal !== undefined || !prevKv) return refusal;
  return permissions.readRefusal(caller, key, rangeEnd);
}

/** As deep as it is nested, which the decoder bounds. */
export function txnRefusal(
  permissions: Permissions,
  caller: Caller,
  { compare, failure, success }: TxnRequest,
): ErrorReason | undefined {
  // Also one that asks for nothing: nobody unknown gets an answer.
  let refusal = permissions.userRefusal(caller);
  for (const { key, rangeEnd } of compare) {
    refusal ??= permissions.readRefusal(caller, key, rangeEnd);
    if (refusal !== undefined) return refusal;
  }
  for (const branch of [success, failure]) {
    for (const op of branch) {
      refusal ??= opRefusal(permissions, caller, op);
      if (refusal !== undefined) return refusal;
    }
  }
  return refusal;
}

/** The leases that the puts of any branch name. */
export function leasesOf(
  { failure, success }: TxnRequest,
  found = new Set<LeaseId>(),
): Set<LeaseId> {
  for (const branch of [success, failure]) {
    for (const op of branch) {
      if (op.type === 'put' && op.request.lease !== 0n) found.add(op.request.lease);
      else if (op.type === 'txn') leasesOf(op.request, found);
    }
  }
  return found;
}

function opRefusal(
  permissions: Permissions,
  caller: Caller,
  op: RequestOp,
): ErrorReason | undefined {
  switch (op.type) {
    case 'range':
      return permissions.readRefusal(caller, op.request.key, op.request.rangeEnd);
    case 'put':
      return putRefusal(permissions, caller, op.request);
    case 'deleteRange':
      return deleteRangeRefusal(permissions, caller, op.request);
    case 'txn':
      return txnRefusal(permissions, caller, op.request);
    case 'none':
      return undefined;
  }
}
