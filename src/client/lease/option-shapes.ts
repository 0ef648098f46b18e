/** What ids, times and options of leases must be. */

import { callShape } from '../call/index.js';
import { invalidOption } from '../errors.js';
import {
  aBigint,
  aFunction,
  aSignal,
  atLeast,
  described,
  flag,
  positive,
  type Shape,
} from '../strict/index.js';
import type { KeepAliveOptions } from './types.js';

export const keepAliveShape: Shape<KeepAliveOptions> = {
  signal: aSignal,
  intervalMs: positive,
  warnAfter: positive,
  marginMs: atLeast(0),
  onWarning: aFunction,
  onRecovered: aFunction,
  onLost: aFunction,
};
export const grantShape = { ...callShape, id: aBigint } as const;
export const createShape = { ...callShape, ...keepAliveShape } as const;
export const timeToLiveShape = { ...callShape, keys: flag } as const;

/** Throws INVALID_OPTION. */
export function checkTtl(ttlSeconds: unknown): void {
  if (typeof ttlSeconds === 'number' && ttlSeconds > 0 && Number.isFinite(ttlSeconds)) return;
  throw invalidOption(`a TTL is a number of seconds above 0, not ${described(ttlSeconds)}`);
}

/** Throws INVALID_OPTION: a lease handle is what people give instead. */
export function checkLeaseId(id: unknown): void {
  if (typeof id === 'bigint') return;
  const handle = typeof id === 'object' && id !== null && 'id' in id;
  const hint = handle ? '; give its `id`' : '';
  throw invalidOption(`the id of a lease is a bigint, like 7n, not ${described(id)}${hint}`);
}
