/**
 * Many readers or one writer, in the order of asking: a reader waits for older writers, a writer
 * for everybody older. Keys as the RWMutex of etcd's recipes for Go has them: `name/read/...` and
 * `name/write/...`.
 */

import { bytes } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { acquire, type Claim, checkPlace, prefixOf, tryAcquire, uniqueKey } from './owned-key.js';
import type { AcquireOptions, LockHeld, Session } from './types.js';

export interface ReadWriteLock {
  readonly name: string;
  read(session: Session, options?: AcquireOptions): Promise<LockHeld>;
  write(session: Session, options?: AcquireOptions): Promise<LockHeld>;
  /** Undefined if there is a writer, or one waits. */
  tryRead(session: Session, options?: AcquireOptions): Promise<LockHeld | undefined>;
  tryWrite(session: Session, options?: AcquireOptions): Promise<LockHeld | undefined>;
}

/** The read-write lock of this name in a view. A reader can't become a writer: release first. */
export function readWriteLock<V, In>(view: Kv<V, In>, name: string): ReadWriteLock {
  checkPlace('readWriteLock', view, name);
  const kv = view.as(bytes);
  const prefix = prefixOf(name);
  const claimOf = (session: Session, kind: 'read' | 'write'): Claim => ({
    kv,
    // A session may hold several: each has a key of its own.
    key: uniqueKey(`${prefix}${kind}/`, session),
    value: '',
    contenders: { prefix: kind === 'read' ? `${prefix}write/` : prefix },
    permits: 1,
    oneASession: false,
  });
  return {
    name,
    read: async (session, options) => acquire(session, claimOf(session, 'read'), options),
    write: async (session, options) => acquire(session, claimOf(session, 'write'), options),
    tryRead: async (session, options) => tryAcquire(session, claimOf(session, 'read'), options),
    tryWrite: async (session, options) => tryAcquire(session, claimOf(session, 'write'), options),
  };
}
