/**
 * Some keys put in one transaction, in which each key has its own condition: what is there already
 * with the same value stays as it is. So nothing is done twice by an import that is done again.
 */

import type { KeyString } from '../../common/index.js';
import type { Compare, RequestOp, TxnResponse } from '../../proto/index.js';
import { CommandError } from '../command/index.js';
import { attemptsMax, comparedBytesMax } from './limits.js';
import type { Store } from './store.js';
import { choiceOp, hasValue, isAtRevision, putOp } from './txn-ops.js';

/** What an import does with a key that is there with another value. */
export type Mode =
  /** Tells of it, and ends. */
  | 'new'
  /** Leaves it. */
  | 'ifAbsent'
  | 'overwrite';

/** A key to put. */
export interface NewKey {
  readonly key: KeyString;
  readonly value: Buffer;
  readonly lease: bigint;
}

/** `same`: it was there with this value. `other`: with another one, and was left. */
export type Result = 'put' | 'same' | 'other';

/** True for a value that is better compared here: in a transaction it would be twice. */
export function goesAlone({ value }: NewKey): boolean {
  return value.length > comparedBytesMax;
}

/** Puts the keys, no two of them the same; resolves with what became of each. */
export async function putBatch(
  store: Store,
  mode: Mode,
  keys: readonly NewKey[],
  dryRun: boolean,
): Promise<readonly Result[]> {
  const [first] = keys;
  if (keys.length === 1 && first !== undefined && goesAlone(first)) {
    return [await putAlone(store, mode, first, dryRun)];
  }
  const success = keys.map((one) => choiceOf(one, mode, dryRun));
  const request = { compare: [] as Compare[], success, failure: [] as RequestOp[] };
  const { responses } = await store.txn(request, dryRun ? 'read' : 'write');
  return responses.map((response) => {
    if (response.type !== 'txn') throw new CommandError('the server answered with something else');
    return resultOf(response.response, mode);
  });
}

/** The same value: nothing. Else, if it may be put: the put. */
function choiceOf({ key, value, lease }: NewKey, mode: Mode, dryRun: boolean): RequestOp {
  const put = dryRun ? [] : [putOp(key, value, lease)];
  const otherwise = mode === 'overwrite' ? put : [choiceOp([isAtRevision(key, 0)], put, [])];
  return choiceOp([hasValue(key, value)], [], otherwise);
}

function resultOf({ succeeded, responses }: TxnResponse, mode: Mode): Result {
  if (succeeded) return 'same';
  if (mode === 'overwrite') return 'put';
  const [inner] = responses;
  return inner?.type === 'txn' && inner.response.succeeded ? 'put' : 'other';
}

async function putAlone(
  store: Store,
  mode: Mode,
  { key, value, lease }: NewKey,
  dryRun: boolean,
): Promise<Result> {
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const found = await store.get(key);
    if (found?.value.equals(value)) return 'same';
    if (found !== undefined && mode !== 'overwrite') return 'other';
    if (dryRun) return 'put';
    const compare = [isAtRevision(key, found?.modRevision ?? 0)];
    const success = [putOp(key, value, lease)];
    const { succeeded } = await store.txn({ compare, success, failure: [] });
    if (succeeded) return 'put';
  }
  throw new CommandError('others change the same key all the time');
}
