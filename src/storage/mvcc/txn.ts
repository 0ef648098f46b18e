/**
 * The changes of one entry. They go straight into index and value log: every check that can fail
 * comes before the first change (C-1.7.6), so there is nothing to roll back. A delete of many
 * keys takes several turns; whoever reads meanwhile reads at the revision before, which hides what
 * is newer, and the flush writes whole entries only.
 *
 * A change is noted as three numbers and its key; events are made of them only if somebody asks.
 * Without a watcher nobody does, and events, their list and what it holds were a sixth of all that
 * a put allocates and most of what a large delete does (docs/adr/0004).
 */

import {
  assert,
  type KeyString,
  type LeaseId,
  type LogIndex,
  type Revision,
  type Slice,
  type Steps,
  type Term,
} from '../../common/index.js';
import { itemDelete, type KeyItem, noLocation } from '../index/index.js';
import { recordOverheadBytes, recordSize, writeRecord } from '../schema/index.js';
import { LogEvent } from './event.js';
import type { Flusher } from './flusher.js';
import type { PresentReads } from './present-reads.js';
import { walkEnd } from './read-point.js';
import type { MvccState } from './state.js';
import type { KeyState, MvccCommit, MvccEvent, MvccWriteTxn, ReadPoint } from './types.js';

const noValue = new Uint8Array(0);
/** Stands for the location of the record before a creation. */
const noPrevious = -2;

/** One entry's transaction, and its commit; the store makes one at a time. */
export class WriteTxn implements MvccWriteTxn, MvccCommit {
  readonly #state: MvccState;
  readonly #present: PresentReads;
  readonly #flusher: Flusher;
  readonly index: LogIndex;
  readonly #term: Term;
  readonly #main: Revision;
  #open = true;
  /** Changes so far. The first is in `firstKey` and so on, the others are in `more`. */
  #count = 0;
  #firstKey: KeyString = '';
  /** Location of the new record; `noLocation`: a delete. */
  #firstLocation = noLocation;
  /** Location of the record before the revision; `noLocation`: not known, or not in memory. */
  #firstPrevious = noPrevious;
  #moreKeys: KeyString[] | undefined = undefined;
  #moreLocations: number[] | undefined = undefined;
  #morePrevious: number[] | undefined = undefined;
  #made: MvccEvent[] | undefined = undefined;

  constructor(
    state: MvccState,
    present: PresentReads,
    flusher: Flusher,
    index: LogIndex,
    term: Term,
  ) {
    this.#state = state;
    this.#present = present;
    this.#flusher = flusher;
    this.index = index;
    this.#term = term;
    this.#main = state.revision + 1;
  }

  readPoint(): ReadPoint {
    return { main: this.#main, sub: this.#count };
  }

  get changed(): boolean {
    return this.#count > 0;
  }

  /** Of the commit. */
  get revision(): Revision {
    return this.#count > 0 ? this.#main : this.#main - 1;
  }

  get changes(): number {
    return this.#count;
  }

  keyAt(sub: number): KeyString {
    const key = sub === 0 ? this.#firstKey : this.#moreKeys?.[sub - 1];
    assert(key !== undefined, 'every change is noted');
    return key;
  }

  isDeleteAt(sub: number): boolean {
    return (sub === 0 ? this.#firstLocation : this.#moreLocations?.[sub - 1]) === noLocation;
  }

  get events(): readonly MvccEvent[] {
    if (this.#made === undefined) {
      this.#made = [];
      for (let sub = 0; sub < this.#count; sub += 1) this.#made.push(this.#eventOf(sub));
    }
    return this.#made;
  }

  state(key: KeyString): KeyState | undefined {
    return this.#present.state(key);
  }

  lease(key: KeyString): LeaseId {
    return this.#present.lease(key);
  }

  keysOf(lease: LeaseId): Iterable<KeyString> {
    return this.#present.keysOf(lease);
  }

  storedBytes(key: KeyString): number {
    return this.#present.storedBytes(key);
  }

  countRange(key: KeyString, rangeEnd: KeyString): number {
    return this.#present.countRange(key, rangeEnd);
  }

  record(key: KeyString): Uint8Array | undefined {
    return this.#present.record(key);
  }

  value(key: KeyString): Uint8Array | undefined {
    return this.#present.value(key);
  }

  put(key: KeyString, value: Uint8Array, lease: LeaseId): void {
    assert(this.#open, 'a transaction is not changed after its commit');
    const { index, log, leases } = this.#state;
    const main = this.#main;
    const sub = this.#count;
    const item = index.locate(key);
    const alive = item !== undefined && !item.dead;
    const created = alive ? item.created : main;
    const version = alive ? item.version + 1 : 1;
    const previous = created === main || item === undefined ? noPrevious : this.#previousOf(item);

    if (alive) log.superseded(item.location, item.bytes);
    const size = recordSize(key.length, created, main, version, value.length, lease);
    const location = log.add(main, sub, false, size);
    const at = log.offset;
    const end = writeRecord(log.buffer, at, key, created, main, version, value, lease);
    assert(end === at + size, 'a record is as long as was computed');

    const bytes = size + recordOverheadBytes;
    index.putHere(key, main, sub, bytes, location);
    if (lease !== 0n) leases.set(key, lease);
    else if (leases.size > 0) leases.delete(key);
    this.#note(key, location, previous);
    this.#account(sub, bytes);
  }

  deleteRange(key: KeyString, rangeEnd: KeyString): number {
    assert(this.#open, 'a transaction is not changed after its commit');
    if (rangeEnd === '') return this.#deleteKey(key) ? 1 : 0;
    const before = this.#count;
    this.#state.index.killRange(key, walkEnd(key, rangeEnd), this.#main, (k, item) => {
      this.#deleteItem(k, item);
      return true;
    });
    return this.#count - before;
  }

  *deleteRangeSteps(key: KeyString, rangeEnd: KeyString, slice: Slice): Steps<number> {
    if (rangeEnd === '') return this.#deleteKey(key) ? 1 : 0;
    const before = this.#count;
    const end = walkEnd(key, rangeEnd);
    let next: KeyString | undefined = key;
    while (next !== undefined) {
      assert(this.#open, 'a transaction is not changed after its commit');
      next = this.#state.index.killRange(next, end, this.#main, (k, item) => {
        this.#deleteItem(k, item);
        return slice.next();
      });
      if (next !== undefined) yield slice.rest();
    }
    return this.#count - before;
  }

  setMeta(name: string, value: Uint8Array | undefined): void {
    assert(this.#open, 'a transaction is not changed after its commit');
    const copy = value === undefined ? undefined : Buffer.from(value);
    this.#flusher.addMeta(name, copy, this.#state.meta(name));
    this.#state.setMeta(name, copy);
  }

  commit(): MvccCommit {
    assert(this.#open, 'a transaction is committed once');
    this.#open = false;
    const state = this.#state;
    state.commit(this.index, this.#term);
    assert(state.revision === this.revision, 'a transaction takes one revision, or none');
    state.log.letGo();
    this.#flusher.entryDone();
    return this;
  }

  #deleteKey(key: KeyString): boolean {
    const { index } = this.#state;
    const item = index.locate(key);
    if (item === undefined || item.dead) return false;
    this.#deleteItem(key, item);
    index.diedHere(key, this.#main);
    return true;
  }

  /** The caller tells the index. */
  #deleteItem(key: KeyString, item: KeyItem): void {
    const { log, leases } = this.#state;
    const main = this.#main;
    const sub = this.#count;
    const previous = this.#previousOf(item);
    log.superseded(item.location, item.bytes);
    const size = recordSize(key.length, 0, 0, 0, 0, 0n);
    log.add(main, sub, true, size);
    writeRecord(log.buffer, log.offset, key, 0, 0, 0, noValue, 0n);
    const bytes = size + recordOverheadBytes;
    itemDelete(item, main, sub, bytes);
    if (leases.size > 0) leases.delete(key);
    this.#note(key, noLocation, previous);
    this.#account(sub, bytes);
  }

  /**
   * Watchers are told the value before the revision (etcd), not one that this transaction wrote:
   * where that is, and whether there was any, is for the reader of the event to find out.
   */
  #previousOf(item: KeyItem): number {
    return item.main === this.#main ? noLocation : item.location;
  }

  #note(key: KeyString, location: number, previous: number): void {
    this.#count += 1;
    if (this.#count === 1) {
      this.#firstKey = key;
      this.#firstLocation = location;
      this.#firstPrevious = previous;
      return;
    }
    this.#moreKeys ??= [];
    this.#moreLocations ??= [];
    this.#morePrevious ??= [];
    this.#moreKeys.push(key);
    this.#moreLocations.push(location);
    this.#morePrevious.push(previous);
  }

  #eventOf(sub: number): LogEvent {
    const { log } = this.#state;
    const isFirst = sub === 0;
    const key = this.keyAt(sub);
    const location = isFirst ? this.#firstLocation : this.#moreLocations?.[sub - 1];
    const previous = isFirst ? this.#firstPrevious : this.#morePrevious?.[sub - 1];
    assert(location !== undefined, 'every change is noted');
    const place = location === noLocation ? undefined : log.place(location);
    if (previous === noPrevious) return new LogEvent(key, this.#main, sub, true, place, null);
    const isThere = previous !== undefined && log.has(previous);
    const before = isThere ? log.place(previous) : undefined;
    return new LogEvent(key, this.#main, sub, false, place, before);
  }

  #account(sub: number, bytes: number): void {
    this.#state.addChange(this.#main, sub, bytes);
    this.#flusher.addRecord(bytes);
  }
}
