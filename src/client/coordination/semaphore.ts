/**
 * A lock that up to `permits` may hold at a time, in the order of asking. With one permit it is a
 * mutex, and excludes those who use the name as one. A key's value is the number of permits that
 * its owner believes in; who believes in another one is refused.
 */

import type { CallOptions } from '../call/index.js';
import { EtcdClientError } from '../errors.js';
import { bytes } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { type LockHolder, oldest } from './mutex.js';
import {
  acquire,
  type Claim,
  checkPlace,
  needed,
  prefixOf,
  tryAcquire,
  uniqueKey,
} from './owned-key.js';
import type { AcquireOptions, LockHeld, Session } from './types.js';

export interface Semaphore {
  readonly name: string;
  readonly permits: number;
  /** One permit. A session may hold several. CONFLICT if others use another number of permits. */
  acquire(session: Session, options?: AcquireOptions): Promise<LockHeld>;
  tryAcquire(session: Session, options?: AcquireOptions): Promise<LockHeld | undefined>;
  /** Who holds permits now, oldest first. */
  holders(options?: CallOptions): Promise<readonly LockHolder[]>;
}

export interface SemaphoreOptions {
  /** How many may hold it at a time. */
  readonly permits: number;
}

/** The semaphore of this name in a view. */
export function semaphore<V, In>(
  view: Kv<V, In>,
  name: string,
  options: SemaphoreOptions,
): Semaphore {
  checkPlace('semaphore', view, name);
  const { permits } = needed('semaphore', options, 'permits');
  const kv = view.as(bytes);
  const prefix = prefixOf(name);
  const value = String(permits);
  const claimOf = (session: Session): Claim => ({
    kv,
    key: uniqueKey(prefix, session),
    value,
    contenders: { prefix },
    permits,
    oneASession: false,
    check: (contenders) => {
      for (const { value: other } of contenders) {
        // Without a value it is a key of a mutex: one permit.
        const theirs = other.length === 0 ? '1' : other.toString();
        if (theirs !== value) throw permitsError(name, permits, theirs);
      }
    },
  });
  return {
    name,
    permits,
    acquire: async (session, options) => acquire(session, claimOf(session), options),
    tryAcquire: async (session, options) => tryAcquire(session, claimOf(session), options),
    holders: (options) => oldest(view, prefix, permits, options),
  };
}

function permitsError(name: string, permits: number, theirs: string): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'CONFLICT',
    outcome: 'failed',
    message: `semaphore ${JSON.stringify(name)} is used with ${theirs} permits, not ${permits}`,
  });
}
