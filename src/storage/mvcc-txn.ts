/**
 * The changes of one entry. They go straight into index and value log: apply is one synchronous
 * call, so nobody can look in between, and every check that can fail comes before the first change
 * (contract 1.7), so there is nothing to roll back.
 */

import {
  assert,
  type KeyString,
  type LeaseId,
  type LogIndex,
  type Revision,
  type Term,
} from '../common/index.js';
import { itemDelete, itemPut, KeyItem } from './key-index-item.js';
import { LogEvent } from './mvcc-event.js';
import type { Flusher } from './mvcc-flush.js';
import type { Present } from './mvcc-present.js';
import { type MvccState, walkEnd } from './mvcc-state.js';
import { recordSize, writeRecord } from './record.js';
import { recordOverheadBytes } from './schema.js';
import type { KeyState, MvccCommit, MvccEvent, MvccWriteTxn, ReadPoint } from './types.js';
import type { RecordPlace } from './value-log.js';

const noValue = new Uint8Array(0);

/** One entry's transaction; the store makes one at a time. */
export class WriteTxn implements MvccWriteTxn {
  private readonly store: MvccState;
  private readonly present: Present;
  private readonly flusher: Flusher;
  private readonly index: LogIndex;
  private readonly term: Term;
  private readonly main: Revision;
  private readonly onCommit: () => void;
  private readonly events: MvccEvent[] = [];
  private open = true;

  constructor(
    store: MvccState,
    present: Present,
    flusher: Flusher,
    index: LogIndex,
    term: Term,
    onCommit: () => void,
  ) {
    this.store = store;
    this.present = present;
    this.flusher = flusher;
    this.index = index;
    this.term = term;
    this.main = store.revision + 1;
    this.onCommit = onCommit;
  }

  readPoint(): ReadPoint {
    return { main: this.main, sub: this.events.length };
  }

  get changed(): boolean {
    return this.events.length > 0;
  }

  state(key: KeyString): KeyState | undefined {
    return this.present.state(key);
  }

  lease(key: KeyString): LeaseId {
    return this.present.lease(key);
  }

  countRange(key: KeyString, rangeEnd: KeyString): number {
    return this.present.countRange(key, rangeEnd);
  }

  keysInRange(key: KeyString, rangeEnd: KeyString): KeyString[] {
    return this.present.keysInRange(key, rangeEnd);
  }

  record(key: KeyString): Uint8Array | undefined {
    return this.present.record(key);
  }

  value(key: KeyString): Uint8Array | undefined {
    return this.present.value(key);
  }

  put(key: KeyString, value: Uint8Array, lease: LeaseId): void {
    assert(this.open, 'a transaction is not changed after its commit');
    const { index, log, ring, leases } = this.store;
    const main = this.main;
    const sub = this.events.length;
    const item = index.locate(key);
    const alive = item !== undefined && !item.dead;
    const created = alive ? item.created : main;
    const version = alive ? item.version + 1 : 1;
    const previous = alive ? this.placeOf(item) : null;

    const size = recordSize(key.length, created, main, version, value.length, lease);
    const location = log.reserve(main, sub, false, size);
    const at = log.offset;
    const end = writeRecord(log.buffer, at, key, created, main, version, value, lease);
    assert(end === at + size, 'a record is as long as was computed');
    const place: RecordPlace = { chunk: log.buffer, start: at, end };

    const bytes = size + recordOverheadBytes;
    if (item === undefined) {
      index.insertHere(key, new KeyItem(main, sub, bytes, location));
    } else {
      itemPut(item, main, sub, bytes, location);
      index.touchHere(main);
      if (!alive) index.adjustHere(1);
    }
    if (lease !== 0n) leases.set(key, lease);
    else if (leases.size > 0) leases.delete(key);
    ring.push(main, sub, location);
    this.events.push(new LogEvent(key, main, sub, !alive, place, previous));
    this.account(sub, bytes);
  }

  deleteRange(key: KeyString, rangeEnd: KeyString): number {
    assert(this.open, 'a transaction is not changed after its commit');
    if (rangeEnd === '') return this.deleteKey(key) ? 1 : 0;
    const end = walkEnd(key, rangeEnd);
    return this.store.index.killRange(key, end, this.main, (k, item) => this.deleteItem(k, item));
  }

  setMeta(name: string, value: Uint8Array | undefined): void {
    assert(this.open, 'a transaction is not changed after its commit');
    const { meta } = this.store;
    const copy = value === undefined ? undefined : Buffer.from(value);
    this.flusher.addMeta(name, copy, meta.get(name));
    if (copy === undefined) meta.delete(name);
    else meta.set(name, copy);
  }

  commit(): MvccCommit {
    assert(this.open, 'a transaction is committed once');
    this.open = false;
    const { store } = this;
    if (this.events.length > 0) store.revision = this.main;
    const { configuration } = store.applied;
    store.applied = { index: this.index, term: this.term, configuration };
    this.onCommit();
    return { revision: store.revision, events: this.events };
  }

  private deleteKey(key: KeyString): boolean {
    const { index } = this.store;
    const item = index.locate(key);
    if (item === undefined || item.dead) return false;
    this.deleteItem(key, item);
    index.touchHere(this.main);
    index.adjustHere(-1);
    return true;
  }

  /** The caller tells the index. */
  private deleteItem(key: KeyString, item: KeyItem): void {
    const { log, ring, leases } = this.store;
    const main = this.main;
    const sub = this.events.length;
    const previous = this.placeOf(item);
    const size = recordSize(key.length, 0, 0, 0, 0, 0n);
    const location = log.reserve(main, sub, true, size);
    writeRecord(log.buffer, log.offset, key, 0, 0, 0, noValue, 0n);
    const bytes = size + recordOverheadBytes;
    itemDelete(item, main, sub, bytes);
    if (leases.size > 0) leases.delete(key);
    ring.push(main, sub, location);
    this.events.push(new LogEvent(key, main, sub, false, undefined, previous));
    this.account(sub, bytes);
  }

  private placeOf(item: KeyItem): RecordPlace | undefined {
    const { log } = this.store;
    return log.has(item.location) ? log.place(item.location) : undefined;
  }

  private account(sub: number, bytes: number): void {
    this.store.lastMain = this.main;
    this.store.lastSub = sub;
    this.store.sizeBytes += bytes;
    this.store.records += 1;
    this.flusher.addRecord(bytes);
  }
}
