/** What is known of leases: asked for once, and forgotten if there are very many. */

import { leasesMax } from './limits.js';
import type { Store } from './store.js';

/** Remembers the granted TTL of leases, in seconds; 0: it has ended. */
export class Leases {
  readonly #store: Store;
  readonly #ttls = new Map<bigint, number>();

  constructor(store: Store) {
    this.#store = store;
  }

  async ttlSeconds(id: bigint): Promise<number> {
    const known = this.#ttls.get(id);
    if (known !== undefined) return known;
    const { ttlSeconds, grantedTtlSeconds } = await this.#store.lease(id);
    const ttl = ttlSeconds < 0 ? 0 : grantedTtlSeconds;
    if (this.#ttls.size >= leasesMax) this.#ttls.clear();
    this.#ttls.set(id, ttl);
    return ttl;
  }

  /** A lease may have ended since it was asked for. */
  forget(): void {
    this.#ttls.clear();
  }
}
