/** Revokes a lease as an entry does, without a store: for tests of the lessor. */

import { type LeaseId, runSteps, Slice } from '../../src/common/index.js';
import { SimClock } from '../../src/common/sim/index.js';
import type { LeaseTxn, Lessor } from '../../src/server/lessor.js';

/** Returns the keys that were deleted, in order; throws LEASE_NOT_FOUND. */
export function revokeLease(lessor: Lessor, txn: LeaseTxn, id: LeaseId): string[] {
  lessor.checkRevoke(id);
  const deleted: string[] = [];
  const deleting = {
    setMeta: (name: string, value: Uint8Array | undefined) => txn.setMeta(name, value),
    deleteRange(key: string): number {
      deleted.push(key);
      return 1;
    },
  };
  const done = runSteps(lessor.applyRevoke(deleting, id, new Slice(new SimClock(), 'apply')));
  if (done instanceof Promise) throw new Error('a small lease is revoked at once');
  return deleted;
}
