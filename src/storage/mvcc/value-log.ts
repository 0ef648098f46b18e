/**
 * The value log: the records in memory, in the order of their arrival, and which of them may leave.
 * It has every record that is not in the KvStore yet, those that were held for an entry that is
 * about to be applied, and as many of the others as there is room for. What it has written down it
 * never changes; what it let go is in the KvStore.
 *
 * Two structures make it up: the arena with the bytes (record-arena.ts), and the ring that says
 * which revision is where (revision-ring.ts). A record is asked for by its location, a number that
 * the index keeps; the flush and readers of history go by positions in the ring.
 */

import { assert, type Revision } from '../../common/index.js';
import { noLocation } from '../index/index.js';
import { RecordArena, type RecordPlace } from './record-arena.js';
import { RevisionRing } from './revision-ring.js';

/** The records in memory; one for each state of the store. */
export class ValueLog {
  readonly #arena = new RecordArena();
  readonly #ring = new RevisionRing();
  readonly #bytesMax: number;
  /** Position up to which everything is in the KvStore. */
  #storedEnd = 0;
  /** Records from this location on may not leave; `noLocation`: none is held. */
  #heldFrom = noLocation;

  /** More than `bytesMax` only as far as something may not leave. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /**
   * Adds the record of the next revision; returns its location. The caller encodes exactly
   * `recordBytes` at `offset` of `buffer`, before it does anything else here.
   */
  add(main: Revision, sub: number, tombstone: boolean, recordBytes: number): number {
    const location = this.#arena.reserve(main, sub, tombstone, recordBytes);
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

  /** Keeps a record that was read from the KvStore; returns its location. */
  keep(main: Revision, sub: number, record: Uint8Array): number {
    return this.#arena.append(main, sub, record);
  }

  /** False also for `noLocation`. */
  has(location: number): boolean {
    return this.#arena.has(location);
  }

  /** A view of the encoded KeyValue at a location that `has` said yes to. */
  record(location: number): Buffer {
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
    this.#heldFrom = this.#arena.start;
  }

  letGo(): void {
    this.#heldFrom = noLocation;
  }

  /** Drops the oldest records that may leave, as long as there are too many. */
  evict(): void {
    const arena = this.#arena;
    if (arena.allocatedBytes <= this.#bytesMax) return;
    const ring = this.#ring;
    let keepFrom = this.#storedEnd < ring.end ? ring.location(this.#storedEnd) : arena.end;
    if (this.#heldFrom >= 0 && this.#heldFrom < keepFrom) keepFrom = this.#heldFrom;
    if (arena.evict(this.#bytesMax, keepFrom)) ring.dropBefore(arena.start);
    assert(ring.start <= this.#storedEnd, 'what is not stored does not leave memory');
  }
}
