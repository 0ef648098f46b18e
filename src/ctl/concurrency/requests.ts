/** Requests within a txn, of the fields that are not zero. */

import type { RequestOp } from '../../proto/index.js';

type OpType = Exclude<RequestOp['type'], 'none' | 'txn'>;
type RequestOf<Type extends OpType> = Extract<RequestOp, { type: Type }>['request'];

/** An operation; its encoder takes what is left out for zero. */
export function opOf<Type extends OpType>(
  type: Type,
  request: Partial<RequestOf<Type>>,
): RequestOp {
  return { type, request } as unknown as RequestOp;
}
