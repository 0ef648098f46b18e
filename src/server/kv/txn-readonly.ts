/**
 * A transaction that only reads is answered without a log entry (C-1.7.8). All its
 * ranges read the same point, so that it is as atomic as one that writes.
 */

import type { Slice, Steps } from '../../common/index.js';
import type { RangeRequest, TxnRequest } from '../../proto/index.js';
import type { MvccStore, PointReader } from '../../storage/index.js';
import { checkRangeState } from './apply.js';
import type { OpResult, TxnResult } from './results.js';
import { chooseBranches } from './txn-path.js';

/**
 * `reader` holds the revision that it shows. Throws EtcdError if a range of the chosen branch asks
 * for a revision that can't be read.
 */
export function* evaluateReadonlyTxn(
  store: MvccStore,
  reader: PointReader,
  request: TxnRequest,
  slice: Slice,
): Steps<TxnResult> {
  const { succeeded, ops } = yield* chooseBranches(reader, request, slice);
  const { revision } = reader;
  const { compactRevision } = store;
  const responses: OpResult[] = [];
  for (const op of ops) {
    if (op.type !== 'range') continue;
    checkRangeState({ revision, compactRevision }, op.request);
    responses.push(rangeAt(op.request, revision));
  }
  return { type: 'txn', revision, succeeded, responses };
}

function rangeAt(query: RangeRequest, revision: number): OpResult {
  const main = query.revision > 0 ? query.revision : revision;
  const range = { query, at: { main, sub: Number.POSITIVE_INFINITY }, result: undefined };
  return { type: 'range', revision, range };
}
