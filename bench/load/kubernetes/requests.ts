/** The requests that the API server of Kubernetes makes of etcd. */

import {
  CompareTarget,
  compareOf,
  encodeRangeRequest,
  encodeTxnRequest,
  encodeWatchCreateRequest,
  type RequestOp,
  rangeOf,
} from '../../../src/proto/index.js';

export type Write = 'create' | 'update' | 'delete';

/** Objects in a page of a list. */
export const pageLimit = 500;

/** If the object is still as it was at `modRevision` (0: is not there): writes it. */
export function writeRequest(
  write: Write,
  key: string,
  modRevision: number,
  value: Buffer,
): Buffer {
  const expected = { targetUnion: 'modRevision', target: CompareTarget.MOD, modRevision } as const;
  return encodeTxnRequest({
    compare: [compareOf({ key, ...expected })],
    success: [write === 'delete' ? deleteOp(key) : putOp(key, value)],
    failure: write === 'create' ? [] : [{ type: 'range', request: rangeOf(key) }],
  });
}

export function getRequest(key: string): Buffer {
  return encodeRangeRequest({ key });
}

/** A page of all objects whose keys begin with `prefix`; `revision` 0: of those of now. */
export function pageRequest(prefix: string, key: string, revision: number): Buffer {
  return encodeRangeRequest({ key, rangeEnd: endOf(prefix), limit: pageLimit, revision });
}

export function watchRequest(prefix: string): Buffer {
  const options = { prevKv: true, progressNotify: true };
  return encodeWatchCreateRequest({ key: prefix, rangeEnd: endOf(prefix), ...options });
}

/** The end of the range of all keys with a prefix that ends with a slash. */
export function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

export function putOp(key: string, value: Buffer): RequestOp {
  const flags = { lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false };
  return { type: 'put', request: { key, value, ...flags } };
}

function deleteOp(key: string): RequestOp {
  return { type: 'deleteRange', request: { key, rangeEnd: '', prevKv: false } };
}
