/**
 * What a request may add to the store (C-1.7.9, C-6.3, C-6.5). The size that counts is the
 * logical one, equal on all members, so that they agree on what the quota allows.
 */

import { putOverheadBytes } from '../../common/index.js';
import type { PutRequest, TxnRequest } from '../../proto/index.js';

export function putCostBytes(request: PutRequest): number {
  return putOverheadBytes + request.key.length + request.value.length;
}

/** The dearer branch counts, nested transactions included. */
export function txnCostBytes(request: TxnRequest): number {
  return Math.max(
    ...[request.success, request.failure].map((branch) => {
      let bytes = 0;
      for (const op of branch) {
        if (op.type === 'put') bytes += putCostBytes(op.request);
        else if (op.type === 'txn') bytes += txnCostBytes(op.request);
      }
      return bytes;
    }),
  );
}
