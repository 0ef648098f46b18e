/**
 * What applying an entry yields to the call that waits for it. Only the member with a waiting call
 * computes the parts that are mere answers (prev_kv, ranges of a txn); the state changes are the
 * same on every member.
 */

import type { Revision } from '../../common/index.js';
import type { RangeQuery, RangeResult, ReadPoint } from '../../storage/index.js';

/** A read that belongs to an answer: it may have to wait for the disk, so it runs after commit. */
export interface DeferredRange {
  readonly query: RangeQuery;
  readonly at: ReadPoint;
  result: RangeResult | undefined;
}

/** Put: `previous` only if prev_kv was asked for. */
export interface PutResult {
  readonly type: 'put';
  readonly revision: Revision;
  readonly previous: DeferredRange | undefined;
}

export interface DeleteRangeResult {
  readonly type: 'deleteRange';
  readonly revision: Revision;
  readonly deleted: number;
  readonly previous: DeferredRange | undefined;
}

export interface RangeOpResult {
  readonly type: 'range';
  readonly revision: Revision;
  readonly range: DeferredRange;
}

/** A transaction or a nested one; `revision` counts for the outermost only. */
export interface TxnResult {
  readonly type: 'txn';
  readonly revision: Revision;
  readonly succeeded: boolean;
  readonly responses: readonly OpResult[];
}

export type OpResult = PutResult | DeleteRangeResult | RangeOpResult | TxnResult;
