/**
 * A lock that one session at a time holds. Its keys are those of `concurrency.NewMutex` in Go, of
 * `etcdctl lock` and of the server's Lock service: they exclude each other.
 */

import type { Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import { bytes, type Key } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { acquire, type Claim, checkPlace, prefixOf, sessionKey, tryAcquire } from './owned-key.js';
import type { AcquireOptions, LockHeld, Session } from './types.js';

/** Who holds a lock: its key and its fencing revision. */
export interface LockHolder {
  readonly key: string;
  readonly fencingRevision: Revision;
  readonly lease: bigint;
}

export interface Mutex {
  readonly name: string;
  /** Waits for its turn, in the order of asking. */
  acquire(session: Session, options?: AcquireOptions): Promise<LockHeld>;
  /** Undefined if it is held, by this session or by another one. */
  tryAcquire(session: Session, options?: AcquireOptions): Promise<LockHeld | undefined>;
  /** Who holds it now. */
  holder(options?: CallOptions): Promise<LockHolder | undefined>;
}

/** The lock of this name in a view. */
export function mutex<V, In>(view: Kv<V, In>, name: string): Mutex {
  checkPlace('mutex', view, name);
  const kv = view.as(bytes);
  const prefix = prefixOf(name);
  const claimOf = (session: Session): Claim => ({
    kv,
    key: sessionKey(prefix, session),
    value: '',
    contenders: { prefix },
    permits: 1,
    oneASession: true,
  });
  return {
    name,
    acquire: async (session, options) => acquire(session, claimOf(session), options),
    tryAcquire: async (session, options) => tryAcquire(session, claimOf(session), options),
    holder: async (options) => (await oldest(view, prefix, 1, options))[0],
  };
}

/** The oldest keys with a prefix. */
export async function oldest<V, In>(
  view: Kv<V, In>,
  prefix: Key,
  limit: number,
  options?: CallOptions,
): Promise<readonly LockHolder[]> {
  const { kvs } = await view.range(
    { prefix },
    { ...options, keysOnly: true, limit, sort: { by: 'createRevision', order: 'ascending' } },
  );
  return kvs.map(({ key, createRevision, lease }) => ({
    key,
    fencingRevision: createRevision,
    lease,
  }));
}
