/** What tests of the lessor share: what it does in steps, at once. */

import { type LeaseId, runSteps, Slice, type Steps } from '../../src/common/index.js';
import type { LeaseTxn, Lessor } from '../../src/server/lease/lessor.js';
import { SimClock } from '../../src/sim/index.js';

/** The outcome of steps that need no pause: there is little to do. */
export function atOnce<T>(steps: Steps<T>): T {
  const done = runSteps(steps);
  if (done instanceof Promise) throw new Error('little work is done at once');
  return done;
}

/** As an entry does, without a store. Returns the keys that were deleted, in order; throws LEASE_NOT_FOUND. */
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
  atOnce(lessor.applyRevoke(deleting, id, new Slice(new SimClock(), 'apply')));
  return deleted;
}
