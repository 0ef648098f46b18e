/**
 * Which key has which lease, in both directions. This is the one place that knows: a transaction
 * tells it with each put and delete, restoring fills it from the records, and the lessor asks it
 * for the keys of a lease. Used like a map from key to lease.
 */

import { assert, type KeyString, type LeaseId } from '../../common/index.js';

/**
 * The keys of one lease. Both directions share it, so that a key takes no id of its own. A set and
 * not an object with one: most leases have one key, for which that would be a tenth more.
 */
class LeaseKeys extends Set<KeyString> {
  readonly id: LeaseId;

  constructor(id: LeaseId) {
    super();
    this.id = id;
  }
}

const noKeys: ReadonlySet<KeyString> = new Set();

/** The leases of all living keys that have one. */
export class KeyLeases {
  readonly #ofKey = new Map<KeyString, LeaseKeys>();
  /** None of them is empty. */
  readonly #byId = new Map<LeaseId, LeaseKeys>();

  /** Number of keys that have a lease. */
  get size(): number {
    return this.#ofKey.size;
  }

  /** Undefined: the key has none. */
  get(key: KeyString): LeaseId | undefined {
    return this.#ofKey.get(key)?.id;
  }

  /** In no order. Lives: later changes show, also while it is iterated. */
  keysOf(id: LeaseId): ReadonlySet<KeyString> {
    return this.#byId.get(id) ?? noKeys;
  }

  /** Gives the key a lease, instead of the one it has. */
  set(key: KeyString, id: LeaseId): void {
    assert(id !== 0n, 'a key without a lease is not listed');
    const old = this.#ofKey.get(key);
    if (old !== undefined) {
      if (old.id === id) return;
      this.#takeFrom(old, key);
    }
    let lease = this.#byId.get(id);
    if (lease === undefined) {
      lease = new LeaseKeys(id);
      this.#byId.set(id, lease);
    }
    lease.add(key);
    this.#ofKey.set(key, lease);
  }

  /** False: it had none. */
  delete(key: KeyString): boolean {
    const lease = this.#ofKey.get(key);
    if (lease === undefined) return false;
    this.#ofKey.delete(key);
    this.#takeFrom(lease, key);
    return true;
  }

  clear(): void {
    this.#ofKey.clear();
    this.#byId.clear();
  }

  *[Symbol.iterator](): Iterator<readonly [KeyString, LeaseId]> {
    for (const [key, { id }] of this.#ofKey) yield [key, id];
  }

  #takeFrom(lease: LeaseKeys, key: KeyString): void {
    const wasListed = lease.delete(key);
    assert(wasListed, 'a lease lists every key that has it');
    if (lease.size > 0) return;
    assert(this.#byId.get(lease.id) === lease, 'a lease that has keys is listed once');
    this.#byId.delete(lease.id);
  }
}
