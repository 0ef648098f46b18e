/**
 * What takes a range back to an older revision, one key after the other. A key is changed only if
 * it is still as it was seen; what was interrupted is finished by doing it again, for then only
 * what is left differs.
 */

import { isEtcdError } from '../../client/index.js';
import type { KeyString } from '../../common/index.js';
import type { KeyValue } from '../../proto/index.js';
import { type Change, changesBetween } from './changes.js';
import type { Leases } from './leases.js';
import { attemptsMax, txnBytesMax, txnKeysMax } from './limits.js';
import type { Span } from './span.js';
import type { Store } from './store.js';
import { deleteOp, isAtRevision, lookOp, putOp } from './txn-ops.js';

/** What becomes of a key. */
export interface Step {
  readonly kind: 'deleted' | 'restored' | 'changed' | 'leaseEnded';
  readonly key: KeyString;
  /** 0: it is not there. */
  readonly seenRevision: number;
  /** Undefined: it is deleted, or stays as it is. */
  readonly put: { readonly value: Buffer; readonly lease: bigint } | undefined;
}

export interface Route {
  readonly span: Span;
  readonly toRevision: number;
  /** What is there now, as the plan sees it. */
  readonly atRevision: number;
  /** Keys of leases that have ended come back without one; else they stay as they are. */
  readonly withoutLeases: boolean;
}

/** The steps, in the order of keys. */
export async function* stepsOf(
  store: Store,
  leases: Leases,
  route: Route,
  seen?: (keys: number) => void,
): AsyncGenerator<Step, undefined, void> {
  const { span, toRevision, atRevision } = route;
  for await (const change of changesBetween(store, span, [atRevision, toRevision], seen)) {
    const step = await stepOf(change, leases, route.withoutLeases);
    if (step !== undefined) yield step;
  }
}

/** `before` is now, `after` is what is to be. */
async function stepOf(
  { key, before, after }: Change,
  leases: Leases,
  withoutLeases: boolean,
): Promise<Step | undefined> {
  const seenRevision = before?.modRevision ?? 0;
  if (after === undefined) return { kind: 'deleted', key, seenRevision, put: undefined };
  const { value } = after;
  const kind = before === undefined ? 'restored' : 'changed';
  const lives = after.lease === 0n || (await leases.ttlSeconds(after.lease)) > 0;
  if (lives) return { kind, key, seenRevision, put: { value, lease: after.lease } };
  if (!withoutLeases) return { kind: 'leaseEnded', key, seenRevision, put: undefined };
  if (isAsWanted(before, value)) return undefined;
  return { kind, key, seenRevision, put: { value, lease: 0n } };
}

function isAsWanted(before: KeyValue | undefined, value: Buffer): boolean {
  return before !== undefined && before.lease === 0n && before.value.equals(value);
}

/** Steps that go into one transaction. */
export async function* batchesOf(
  steps: AsyncIterable<Step>,
): AsyncGenerator<readonly Step[], undefined, void> {
  let batch: Step[] = [];
  let bytes = 0;
  for await (const step of steps) {
    if (step.kind === 'leaseEnded') continue;
    const size = 2 * step.key.length + (step.put?.value.length ?? 0);
    if (batch.length >= txnKeysMax || (batch.length > 0 && bytes + size > txnBytesMax)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(step);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** What became of a batch. */
export interface Taken {
  readonly done: readonly Step[];
  /** Changed by others since they were seen: left as they are. */
  readonly conflicts: readonly Step[];
  /** Of leases that have ended since they were looked at. */
  readonly ended: readonly Step[];
}

/** Takes all steps that can be taken, each at most once. */
export async function take(store: Store, leases: Leases, batch: readonly Step[]): Promise<Taken> {
  let left = batch;
  const conflicts: Step[] = [];
  const ended: Step[] = [];
  for (let attempt = 1; left.length > 0; attempt += 1) {
    try {
      const { succeeded, responses } = await store.txn({
        compare: left.map(({ key, seenRevision }) => isAtRevision(key, seenRevision)),
        success: left.map(({ key, put }) => {
          return put === undefined ? deleteOp(key) : putOp(key, put.value, put.lease);
        }),
        failure: left.map(({ key }) => lookOp(key)),
      });
      if (succeeded) break;
      const found = responses.map((one) => {
        return one.type === 'range' ? (one.response.kvs[0]?.modRevision ?? 0) : 0;
      });
      conflicts.push(...left.filter(({ seenRevision }, i) => found[i] !== seenRevision));
      left = left.filter(({ seenRevision }, i) => found[i] === seenRevision);
    } catch (error) {
      if (!isEtcdError(error) || error.reason !== 'LEASE_NOT_FOUND') throw error;
      leases.forget();
      const alive = await Promise.all(
        left.map(async ({ put }) => {
          return put === undefined || put.lease === 0n || (await leases.ttlSeconds(put.lease)) > 0;
        }),
      );
      ended.push(...left.filter((_, i) => !alive[i]));
      left = left.filter((_, i) => alive[i]);
      if (attempt >= attemptsMax) throw error;
    }
  }
  return { done: left, conflicts, ended };
}
