/** Pieces of transactions that change keys only if they are as they were seen. */

import type { KeyString } from '../../common/index.js';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  compareOf,
  type RequestOp,
  rangeOf,
  type TxnRequest,
} from '../../proto/index.js';

/** True if the key was changed last in that revision; 0: if it is not there. */
export function isAtRevision(key: KeyString, modRevision: number): Compare {
  return compareOf({
    ...{ key, target: CompareTarget.MOD, targetUnion: 'modRevision', modRevision },
    result: CompareResult.EQUAL,
  });
}

/** True if the key is there with this value. */
export function hasValue(key: KeyString, value: Buffer): Compare {
  return compareOf({
    ...{ key, target: CompareTarget.VALUE, targetUnion: 'value', value },
    result: CompareResult.EQUAL,
  });
}

export function putOp(key: KeyString, value: Buffer, lease: bigint): RequestOp {
  const request = { key, value, lease, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { type: 'put', request };
}

export function deleteOp(key: KeyString): RequestOp {
  return { type: 'deleteRange', request: { key, rangeEnd: '', prevKv: false } };
}

/** Asks for the key without its value. */
export function lookOp(key: KeyString): RequestOp {
  return { type: 'range', request: { ...rangeOf(key), keysOnly: true } };
}

/** `if compare then success else failure`, as a part of a transaction. */
export function choiceOp(
  compare: readonly Compare[],
  success: readonly RequestOp[],
  failure: readonly RequestOp[],
): RequestOp {
  const request: TxnRequest = { compare, success, failure };
  return { type: 'txn', request };
}
