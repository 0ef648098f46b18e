/** Leases that stand for those of another store: one for each, granted when it is first needed. */

import { isEtcdError } from '../../client/index.js';
import { CommandError } from '../command/index.js';
import { leasesMax } from './limits.js';
import type { Store } from './store.js';

export class NewLeases {
  readonly #store: Store;
  /** By the id in the other store. */
  readonly #granted = new Map<string, bigint>();
  readonly #used = new Set<bigint>();

  constructor(store: Store) {
    this.#store = store;
  }

  /** How many have keys. */
  get used(): number {
    return this.#used.size;
  }

  /** The lease for that of the other store, with the TTL of its first key. */
  async leaseFor(id: string, ttlSeconds: number): Promise<bigint> {
    const known = this.#granted.get(id);
    if (known !== undefined) return known;
    if (this.#granted.size >= leasesMax) {
      throw new CommandError(`more than ${leasesMax} leases; --without-leases imports without any`);
    }
    const lease = await this.#store.grantLease(ttlSeconds);
    this.#granted.set(id, lease);
    return lease;
  }

  /** A key has it now. */
  use(lease: bigint): void {
    if (lease !== 0n) this.#used.add(lease);
  }

  /**
   * Ends those that no key has: they were granted before it was known that nothing is put. One that
   * can't be ended now ends by itself.
   */
  async tidy(): Promise<void> {
    for (const lease of this.#granted.values()) {
      if (this.#used.has(lease)) continue;
      try {
        await this.#store.revokeLease(lease);
      } catch (error) {
        if (!isEtcdError(error)) throw error;
        return;
      }
    }
  }
}
