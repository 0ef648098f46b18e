/**
 * The value log: the records in memory, in the order of their arrival, and which of them may leave.
 * It has every record that is not in the KvStore yet, those that were held for an entry that is
 * about to be applied, the recent history, and as many of the other current ones as there is room
 * for. What it has written down it never changes; what it let go is in the KvStore.
 *
 * Its parts: the arena with the bytes (record-arena.ts), the ring that says which revision is where
 * (revision-ring.ts), and the records that stay beside the log (kept-records.ts). A record is asked
 * for by its location, a number that the index keeps; the flush and readers of history go by
 * positions in the ring.
 */

import {
  assert,
  type Revision,
  valueLogMovesPerTurnMax,
  valueLogRecentBytesMax,
} from '../../common/index.js';
import type { KeyItem } from '../index/index.js';
import { recordOverheadBytes } from '../schema/index.js';
import { AskedBefore } from './asked-before.js';
import { KeptRecords } from './kept-records.js';
import { type Chunk, RecordArena, type RecordPlace } from './record-arena.js';
import { RevisionRing } from './revision-ring.js';

/** The records in memory; one for each state of the store. */
export class ValueLog {
  readonly #arena = new RecordArena();
  readonly #ring = new RevisionRing();
  readonly #kept: KeptRecords;
  readonly #askedBefore = new AskedBefore();
  /** Chunks of the log, the oldest first; the last one is written to. */
  readonly #recent: Chunk[] = [];
  #recentBytes = 0;
  readonly #recentBytesMax: number;
  /** Position up to which everything is in the KvStore. */
  #storedEnd = 0;
  /** Nothing leaves. */
  #isHeld = false;

  /**
   * More than `bytesMax` only as far as something may not leave. `find` is the index, which is told
   * when a record moves.
   */
  constructor(bytesMax: number, find: (key: string) => KeyItem | undefined) {
    this.#kept = new KeptRecords(this.#arena, bytesMax, find);
    this.#recentBytesMax = Math.min(valueLogRecentBytesMax, bytesMax / 2);
  }

  /** Bytes of memory that it takes. */
  get allocatedBytes(): number {
    return this.#arena.allocatedBytes;
  }

  /**
   * Adds the record of the next revision; returns its location. The caller encodes exactly
   * `recordBytes` at `offset` of `buffer`, before it does anything else here.
   */
  add(main: Revision, sub: number, tombstone: boolean, recordBytes: number): number {
    const recent = this.#recent;
    const last = recent[recent.length - 1];
    const chunk = this.#arena.roomIn(last, tombstone, recordBytes);
    if (chunk !== last) {
      recent.push(chunk);
      this.#recentBytes += chunk.bytes.length;
    }
    const location = this.#arena.reserve(chunk, main, sub, tombstone, recordBytes);
    this.#ring.push(main, sub, location);
    return location;
  }

  /** Where `add` wants the record. */
  get buffer(): Buffer {
    return this.#arena.buffer;
  }

  get offset(): number {
    return this.#arena.offset;
  }

  /**
   * The record at `location`, if one is there, is about to be replaced or deleted. `storedBytes` is
   * what the index says that it takes.
   */
  superseded(location: number, storedBytes: number): void {
    const arena = this.#arena;
    if (!arena.has(location)) return;
    const chunk = arena.past(location, storedBytes - recordOverheadBytes);
    if (chunk.isKept) this.#kept.becamePast(chunk);
  }

  /** Keeps the newest record of a key, which was read from the KvStore; returns its location. */
  keep(main: Revision, sub: number, record: Uint8Array): number {
    const chunk = this.#kept.room(record.length);
    const location = this.#arena.reserve(chunk, main, sub, false, record.length);
    this.#arena.buffer.set(record, this.#arena.offset);
    return location;
  }

  /**
   * Whether it is worth it to keep this record. Without free room only what is asked for again soon
   * is: else reads that go everywhere would push out what is in use, and keep the collector busy.
   */
  wantsKept(main: Revision, sub: number): boolean {
    return this.#kept.hasRoom || this.#askedBefore.ask(main, sub);
  }

  /** False also for `noLocation`. */
  has(location: number): boolean {
    return this.#arena.has(location);
  }

  /** A view of the encoded KeyValue at a location that `has` said yes to. */
  record(location: number): Buffer {
    return this.#arena.record(location);
  }

  /** The same for somebody who asks for this record: it will rather stay than others. */
  use(location: number): Buffer {
    this.#arena.used(location);
    return this.#arena.record(location);
  }

  /** The same in terms that outlive its eviction. */
  place(location: number): RecordPlace {
    return this.#arena.place(location);
  }

  /** Location of exactly this revision, `noLocation` if it is not among the recent ones. */
  find(main: Revision, sub: number): number {
    return this.#ring.find(main, sub);
  }

  // ------------------------------------------------- the recent revisions in order, by position

  /** Position of the oldest revision, and after the newest. */
  get start(): number {
    return this.#ring.start;
  }

  get end(): number {
    return this.#ring.end;
  }

  /** Everything in front of this position is in the KvStore. */
  get storedEnd(): number {
    return this.#storedEnd;
  }

  /** Position of the first revision at or after (main, sub). */
  lowerBound(main: Revision, sub: number): number {
    return this.#ring.lowerBound(main, sub);
  }

  /** The oldest revision that is here with all its changes; undefined: there is none. */
  firstComplete(): Revision | undefined {
    return this.#ring.firstComplete();
  }

  mainAt(position: number): Revision {
    return this.#ring.main(position);
  }

  subAt(position: number): number {
    return this.#ring.sub(position);
  }

  placeAt(position: number): RecordPlace {
    return this.#arena.place(this.#ring.location(position));
  }

  /** Key and value for the KvStore: views, with the checksum written now. */
  sealedAt(position: number): { key: Buffer; value: Buffer } {
    return this.#arena.sealed(this.#ring.location(position));
  }

  // ------------------------------------------------------------------------ what may leave

  /** Everything in front of `position` is in the KvStore now. */
  stored(position: number): void {
    assert(position >= this.#storedEnd, 'what is stored stays stored');
    assert(position <= this.#ring.end, 'only what was added can be stored');
    this.#storedEnd = position;
  }

  /** Whatever is here now stays, and what comes, until `letGo`. */
  hold(): void {
    this.#isHeld = true;
  }

  letGo(): void {
    this.#isHeld = false;
  }

  /**
   * Has records leave that may, as long as there are too many, as much as is well done in one turn;
   * true if more is to be done in another.
   */
  evict(): boolean {
    if (this.#isHeld) return false;
    let left = valueLogMovesPerTurnMax;
    for (;;) {
      left = this.#kept.clean(left);
      if (left <= 0) return true;
      if (!this.#shortenLog()) break;
      left -= 1;
    }
    assert(this.#ring.start <= this.#storedEnd, 'what is not stored does not leave memory');
    return false;
  }

  /** The oldest chunk of the log goes over to what is kept; false if there is none that may. */
  #shortenLog(): boolean {
    const ring = this.#ring;
    const first = this.#recent[0];
    if (first === undefined || this.#recentBytes <= this.#recentBytesMax) return false;
    const isStored = this.#storedEnd === ring.end || ring.location(this.#storedEnd) >= first.end;
    if (!isStored) return false;
    this.#recent.shift();
    this.#recentBytes -= first.bytes.length;
    ring.dropBefore(first.end);
    this.#kept.takeOver(first);
    return true;
  }
}
