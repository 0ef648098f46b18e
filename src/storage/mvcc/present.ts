/**
 * Synchronous reads of what is there now. A transaction uses it too: its changes are in the index
 * as soon as it makes them.
 */

import { assert, type KeyString, type LeaseId } from '../../common/index.js';
import type { KeyItem } from '../index/item.js';
import type { KeyState, MvccPresent } from '../types.js';
import { recordValue } from './record.js';
import { type MvccState, walkEnd } from './state.js';

/** The present of one store. */
export class Present implements MvccPresent {
  #store: MvccState;

  constructor(store: MvccState) {
    this.#store = store;
  }

  /** From now on reads are of `store`. */
  switchTo(store: MvccState): void {
    this.#store = store;
  }

  state(key: KeyString): KeyState | undefined {
    const item = this.#alive(key);
    if (item === undefined) return undefined;
    return { modRevision: item.main, createRevision: item.created, version: item.version };
  }

  lease(key: KeyString): LeaseId {
    const { leases } = this.#store;
    // Mostly there are none, and even an empty map wants the hash of the key.
    return leases.size === 0 ? 0n : (leases.get(key) ?? 0n);
  }

  storedBytes(key: KeyString): number {
    return this.#alive(key)?.bytes ?? 0;
  }

  countRange(key: KeyString, rangeEnd: KeyString): number {
    return this.#store.index.count(key, walkEnd(key, rangeEnd));
  }

  record(key: KeyString): Uint8Array | undefined {
    const item = this.#alive(key);
    if (item === undefined) return undefined;
    assert(this.#store.log.has(item.location), 'a record read in place was made warm before');
    return this.#store.log.record(item.location);
  }

  value(key: KeyString): Uint8Array | undefined {
    const record = this.record(key);
    return record === undefined ? undefined : recordValue(record);
  }

  #alive(key: KeyString): KeyItem | undefined {
    // A transaction that asks for a key mostly changes it next: then the place is known.
    const item = this.#store.index.locate(key);
    return item === undefined || item.dead ? undefined : item;
  }
}
