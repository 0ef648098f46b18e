/** What tests of the lessor share: keys with leases, and what it does in steps, at once. */

import {
  type KeyString,
  type LeaseId,
  runSteps,
  Slice,
  type Steps,
} from '../../src/common/index.js';
import type { LeaseTxn, Lessor } from '../../src/server/lease/lessor.js';
import { SimClock } from '../../src/sim/index.js';
import { KeyLeases } from '../../src/storage/mvcc/key-leases.js';

/** The part of a store that knows the keys of each lease. */
export class LeasedKeys {
  readonly #leases = new KeyLeases();

  /** 0n: to none. */
  attach(key: KeyString, id: LeaseId): void {
    if (id === 0n) this.#leases.delete(key);
    else this.#leases.set(key, id);
  }

  keysOf(id: LeaseId): Iterable<KeyString> {
    return this.#leases.keysOf(id);
  }

  leasedKeys(): Iterable<readonly [KeyString, LeaseId]> {
    return this.#leases;
  }
}

/** The outcome of steps that need no pause: there is little to do. */
export function atOnce<T>(steps: Steps<T>): T {
  const done = runSteps(steps);
  if (done instanceof Promise) throw new Error('little work is done at once');
  return done;
}

/**
 * As an entry does, on what knows keys or on nothing that does. Returns the keys that were deleted,
 * in order; throws LEASE_NOT_FOUND.
 */
export function revokeLease(lessor: Lessor, txn: LeaseTxn, id: LeaseId): string[] {
  lessor.checkRevoke(id);
  const keys = txn instanceof LeasedKeys ? txn : new LeasedKeys();
  const deleted: string[] = [];
  const deleting = {
    setMeta: (name: string, value: Uint8Array | undefined) => txn.setMeta(name, value),
    deleteRange(key: string): number {
      deleted.push(key);
      keys.attach(key, 0n);
      return 1;
    },
    keysOf: (lease: LeaseId) => keys.keysOf(lease),
  };
  atOnce(lessor.applyRevoke(deleting, id, new Slice(new SimClock(), 'apply')));
  return deleted;
}
