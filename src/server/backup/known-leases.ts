/**
 * The leases of a restored state: those of the last moment that is known, and for each key that has
 * another one, that one, as far as anything is known of it.
 */

import { type LeaseId, restoredLeaseTtlSeconds } from '../../common/index.js';
import type { StoreImport } from '../../storage/index.js';
import { encodeLeaseRecord, type LeaseRecord, leaseMetaName } from '../lease/index.js';

export class KnownLeases {
  /** Of the last moment. */
  #present = new Map<LeaseId, LeaseRecord>();
  /** Met at any time. */
  readonly #met = new Map<LeaseId, LeaseRecord>();

  /** It was there at that moment. */
  add(lease: LeaseRecord): void {
    this.#present.set(lease.id, lease);
  }

  /** It was there at some time. */
  meet(lease: LeaseRecord): void {
    this.#met.set(lease.id, lease);
  }

  /** Another moment: those of before may be gone, but keys may have them. */
  clear(): void {
    for (const lease of this.#present.values()) this.#met.set(lease.id, lease);
    this.#present = new Map();
  }

  /** Adds them all to a state whose keys are complete; resolves with how many there are. */
  async addTo(into: StoreImport): Promise<number> {
    for (const id of into.leasedKeys.values()) {
      if (!this.#present.has(id)) this.#present.set(id, this.#met.get(id) ?? unknownLease(id));
    }
    for (const lease of this.#present.values()) {
      into.meta(leaseMetaName(lease.id), encodeLeaseRecord(lease));
      if (into.isFull) await into.flush();
    }
    return this.#present.size;
  }
}

/** It had come and gone before anybody looked. */
function unknownLease(id: LeaseId): LeaseRecord {
  return { id, ttlSeconds: restoredLeaseTtlSeconds, remainingTtlSeconds: 0 };
}
