/**
 * Which key has which lease, in both directions. This is the one place that knows: a transaction
 * tells it with each put and delete, restoring fills it from the records, and the lessor asks it
 * for the keys of a lease. Used like a map from key to lease.
 */

import { assert, type KeyString, type LeaseId, ShardedMap } from '../../common/index.js';

/** A lease may have very many keys: used as a set of them. */
type KeysOfLease = ShardedMap<KeyString, true>;

/** The leases of all living keys that have one. */
export class KeyLeases {
  readonly #leaseOf = new ShardedMap<KeyString, LeaseId>();
  /** Most leases have one key: then it stands here by itself, for a map of one takes 300 bytes. */
  readonly #keysOf = new ShardedMap<LeaseId, KeyString | KeysOfLease>();

  /** Number of keys that have a lease. */
  get size(): number {
    return this.#leaseOf.size;
  }

  /** Undefined: the key has none. */
  get(key: KeyString): LeaseId | undefined {
    return this.#leaseOf.get(key);
  }

  /** In no order. Whoever goes through them while they change may miss those that are added. */
  keysOf(id: LeaseId): Iterable<KeyString> {
    const keys = this.#keysOf.get(id);
    return keys === undefined ? [] : typeof keys === 'string' ? [keys] : keys.keys();
  }

  /** Gives the key a lease, instead of the one it has. */
  set(key: KeyString, id: LeaseId): void {
    assert(id !== 0n, 'a key without a lease is not listed');
    const old = this.#leaseOf.get(key);
    if (old === id) return;
    if (old !== undefined) this.#takeFrom(old, key);
    this.#leaseOf.set(key, id);
    const keys = this.#keysOf.get(id);
    if (keys === undefined) this.#keysOf.set(id, key);
    else if (typeof keys === 'string') {
      this.#keysOf.set(id, new ShardedMap<KeyString, true>().set(keys, true).set(key, true));
    } else keys.set(key, true);
  }

  /** False: it had none. */
  delete(key: KeyString): boolean {
    const id = this.#leaseOf.get(key);
    if (id === undefined) return false;
    this.#leaseOf.delete(key);
    this.#takeFrom(id, key);
    return true;
  }

  clear(): void {
    this.#leaseOf.clear();
    this.#keysOf.clear();
  }

  /** Keys and their leases. */
  [Symbol.iterator](): Iterator<readonly [KeyString, LeaseId]> {
    return this.#leaseOf[Symbol.iterator]();
  }

  #takeFrom(id: LeaseId, key: KeyString): void {
    const keys = this.#keysOf.get(id);
    const isListed = typeof keys === 'object' ? keys.delete(key) : keys === key;
    assert(isListed, 'a lease lists every key that has it, and no other');
    if (typeof keys !== 'object' || keys.size === 0) this.#keysOf.delete(id);
  }
}
