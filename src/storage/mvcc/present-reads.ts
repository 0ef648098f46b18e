/**
 * Synchronous reads of what is there now. A transaction uses it too: its changes are in the index
 * as soon as it makes them.
 */

import { assert, type KeyString, type LeaseId } from '../../common/index.js';
import type { KeyItem } from '../index/index.js';
import { recordValue } from '../schema/index.js';
import { walkEnd } from './read-point.js';
import type { MvccState } from './state.js';
import type { KeyState, MvccPresent } from './types.js';

/** The present of one state. */
export class PresentReads implements MvccPresent {
  readonly #state: MvccState;

  constructor(state: MvccState) {
    this.#state = state;
  }

  state(key: KeyString): KeyState | undefined {
    const item = this.#alive(key);
    if (item === undefined) return undefined;
    return { modRevision: item.main, createRevision: item.created, version: item.version };
  }

  lease(key: KeyString): LeaseId {
    const { leases } = this.#state;
    // Mostly there are none, and even an empty map wants the hash of the key.
    return leases.size === 0 ? 0n : (leases.get(key) ?? 0n);
  }

  keysOf(lease: LeaseId): Iterable<KeyString> {
    return this.#state.leases.keysOf(lease);
  }

  storedBytes(key: KeyString): number {
    return this.#alive(key)?.bytes ?? 0;
  }

  countRange(key: KeyString, rangeEnd: KeyString): number {
    return this.#state.index.count(key, walkEnd(key, rangeEnd));
  }

  record(key: KeyString): Uint8Array | undefined {
    const item = this.#alive(key);
    if (item === undefined) return undefined;
    assert(this.#state.log.has(item.location), 'a record read in place was made warm before');
    return this.#state.log.use(item.location);
  }

  value(key: KeyString): Uint8Array | undefined {
    const record = this.record(key);
    return record === undefined ? undefined : recordValue(record);
  }

  #alive(key: KeyString): KeyItem | undefined {
    // A transaction that asks for a key mostly changes it next: then the place is known.
    const item = this.#state.index.locate(key);
    return item === undefined || item.dead ? undefined : item;
  }
}
