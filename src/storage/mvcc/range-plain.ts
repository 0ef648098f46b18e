/**
 * The plain range: in key order, nothing filtered. Nearly all ranges are, so they take one step a
 * key: what the index finds is turned into its record at once, without a list in between. Records
 * that are not in memory leave a gap, filled with `getMany` at the end. Records without values come
 * from the index; for a caller that can send them so, they are written into pages of the reply.
 */

import { type KeyString, listedRecordBytes, Slice, warmRecordsMax } from '../../common/index.js';
import { FoundRevision, findAt, isVisible, type KeyItem } from '../index/index.js';
import { recordSize, writeRecord } from '../schema/index.js';
import { type Candidate, candidateOf, loadRecords } from './load-records.js';
import { aroundKeyBytes, KeyPages } from './range-pages.js';
import { walkEnd } from './read-point.js';
import type { RoomMeter } from './room-meter.js';
import type { MvccState } from './state.js';
import type { RangeQuery, RangeResult, ReadPoint } from './types.js';

const sortDescend = 2;
const noValue = new Uint8Array(0);
/** Records without values are written one behind the other into pages of this size. */
const pageBytes = 64 * 1024;
const found = new FoundRevision();

/** True if the query wants keys in order and all of them: see above. */
export function isPlain(query: RangeQuery): boolean {
  return (
    query.sortTarget === 0 &&
    query.sortOrder !== sortDescend &&
    query.minModRevision === 0 &&
    query.maxModRevision === 0 &&
    query.minCreateRevision === 0 &&
    query.maxCreateRevision === 0 &&
    !query.countOnly
  );
}

/** The progress of one plain range. */
export class PlainRange {
  done = false;
  readonly #state: MvccState;
  readonly #keysOnly: boolean;
  readonly #atMain: number;
  readonly #atSub: number;
  readonly #end: KeyString | undefined;
  readonly #limit: number;
  /** The index knows the number of keys, so the walk may end at the limit. */
  readonly #counted: boolean;
  /** It may go through more than is in use. */
  readonly #isScan: boolean;
  readonly #slice: Slice;
  #count = 0;
  #more = false;
  #next: KeyString | undefined;
  readonly #records: Uint8Array[] = [];
  /** Where in `records` something is missing, and what. */
  readonly #gaps: number[] = [];
  readonly #cold: Candidate[] = [];
  readonly #pages: KeyPages | undefined;
  #found = 0;
  /** What the records take, those that are still to be read as well. */
  #bytes = 0;
  #page: Buffer = Buffer.alloc(0);
  #pageUsed = 0;

  constructor(state: MvccState, query: RangeQuery, at: ReadPoint) {
    this.#state = state;
    this.#keysOnly = query.keysOnly;
    this.#pages = query.keysOnly && query.paged === true ? new KeyPages() : undefined;
    this.#atMain = at.main;
    this.#atSub = at.sub;
    this.#next = query.key;
    this.#end = walkEnd(query.key, query.rangeEnd);
    this.#limit = query.limit > 0 ? query.limit : Number.POSITIVE_INFINITY;
    this.#counted = isVisible(state.lastMain, state.lastSub, at.main, at.sub);
    if (this.#counted) this.#count = state.index.count(query.key, this.#end);
    this.done = this.#counted && this.#count === 0;
    const most = this.#counted ? Math.min(this.#count, this.#limit) : this.#limit;
    this.#isScan = most > warmRecordsMax;
    this.#slice = new Slice(state.clock);
  }

  /** Takes one slice of the index; true when all of it is done. */
  step(): boolean {
    if (this.done || this.#next === undefined) {
      this.done = true;
      return true;
    }
    const visit = (key: KeyString, item: KeyItem): boolean => this.#visit(key, item);
    this.#next = this.#state.index.walk(this.#next, this.#end, Number.POSITIVE_INFINITY, visit);
    if (this.#next === undefined) this.done = true;
    return this.done;
  }

  /** The result if every record was in memory. */
  finishNow(): RangeResult | undefined {
    return this.#gaps.length === 0 ? this.#result() : undefined;
  }

  /** The caller holds a pin. Rejects also if the answer is to be given up. */
  async finish(meter: RoomMeter): Promise<RangeResult> {
    await meter.upTo(this.#bytes);
    while (!this.done) {
      await this.#slice.rest();
      this.step();
      await meter.upTo(this.#bytes);
    }
    if (this.#gaps.length > 0) {
      const loaded = await loadRecords(this.#state, this.#cold, false, meter.room);
      for (const [n, gap] of this.#gaps.entries()) this.#records[gap] = loaded[n] as Uint8Array;
    }
    return this.#result();
  }

  #visit(key: KeyString, item: KeyItem): boolean {
    if (!findAt(item, this.#atMain, this.#atSub, found)) return this.#slice.next();
    if (!this.#counted) this.#count += 1;
    if (this.#found >= this.#limit) {
      this.#more = true;
      if (!this.#counted) return this.#slice.next();
      this.done = true;
      return false;
    }
    this.#found += 1;
    const pages = this.#pages;
    if (pages !== undefined) {
      this.#bytes += key.length + aroundKeyBytes;
      pages.add(key, found.created, found.main, found.version);
    } else if (this.#keysOnly) {
      this.#bytes += key.length + aroundKeyBytes + listedRecordBytes;
      this.#records.push(this.#keyOnly(key));
    } else {
      this.#bytes += found.bytes + listedRecordBytes;
      this.#records.push(this.#record(key));
    }
    return this.#slice.next();
  }

  #record(key: KeyString): Uint8Array {
    const { log } = this.#state;
    let { location } = found;
    if (location < 0) location = log.find(found.main, found.sub);
    if (location >= 0 && log.has(location)) {
      return this.#isScan ? log.record(location) : log.use(location);
    }
    this.#gaps.push(this.#records.length);
    this.#cold.push(candidateOf(key, found));
    return noValue;
  }

  /** etcd 3.7 answers keys_only from the index: no lease (C-1.5.10). */
  #keyOnly(key: KeyString): Uint8Array {
    const { created, main, version } = found;
    const size = recordSize(key.length, created, main, version, 0, 0n);
    if (this.#pageUsed + size > this.#page.length) {
      // Few keys, or the first ones of many: no page for them.
      const bytes = this.#records.length < 100 ? size : Math.max(size, pageBytes);
      this.#page = Buffer.allocUnsafe(bytes);
      this.#pageUsed = 0;
    }
    const start = this.#pageUsed;
    this.#pageUsed = writeRecord(this.#page, start, key, created, main, version, noValue, 0n);
    return this.#page.subarray(start, this.#pageUsed);
  }

  #result(): RangeResult {
    const records = this.#records;
    const more = this.#more;
    const count = this.#count;
    const pages = this.#pages;
    if (pages === undefined) return { kvs: records, more, count };
    return { kvs: records, pages: pages.take(), more, count };
  }
}
