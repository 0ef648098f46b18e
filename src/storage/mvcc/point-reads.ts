/**
 * Reads at one read point for whoever decides something by what is there: the compares of
 * transactions. Single keys mostly answer from memory at once; a range of keys is visited in
 * steps, values that are only on disk page by page, so that neither the loop nor memory feels how
 * many keys there are.
 */

import {
  coldPageRecords,
  flushBatchBytesMax,
  type KeyString,
  type LeaseId,
  type Revision,
  type Slice,
  type Steps,
} from '../../common/index.js';
import { FoundRevision, findAt, type KeyItem } from '../index/index.js';
import { decodeRecord, recordValue } from '../schema/index.js';
import {
  type Candidate,
  candidateOf,
  loadRecord,
  loadRecords,
  warmRecord,
  warmRecords,
} from './load-records.js';
import type { Pin } from './pins.js';
import { rangeAt } from './range.js';
import { pinOf, walkEnd } from './read-point.js';
import type { MvccState } from './state.js';
import type {
  AnswerRoom,
  KeyState,
  PointReader,
  RangeQuery,
  RangeResult,
  ReadPoint,
  VisitedKey,
} from './types.js';

const everySub = Number.POSITIVE_INFINITY;
const noValue = new Uint8Array(0);
const found = new FoundRevision();

/** What a visit shows; one object for all keys of a visit. */
class Visited implements VisitedKey {
  modRevision = 0;
  createRevision = 0;
  version = 0;
  lease: LeaseId = 0n;
  value: Uint8Array = noValue;
}

/** See {@link MvccStore.reader}. */
export class PointReads implements PointReader {
  readonly #state: MvccState;
  readonly revision: Revision;
  #pin: Pin | undefined;

  constructor(state: MvccState, holdFrom: Revision | undefined) {
    this.#state = state;
    this.revision = state.revision;
    this.#pin = holdFrom === undefined ? undefined : state.pins.pin(holdFrom);
  }

  reader(holdFrom: Revision | undefined): PointReader {
    return new PointReads(this.#state, holdFrom);
  }

  range(query: RangeQuery, at: ReadPoint, room?: AnswerRoom): RangeResult | Promise<RangeResult> {
    const isHeld = this.#pin !== undefined && pinOf(at) >= this.#pin.revision;
    return rangeAt(this.#state, query, at, isHeld, room);
  }

  close(): void {
    if (this.#pin !== undefined) this.#state.pins.release(this.#pin);
    this.#pin = undefined;
  }

  state(key: KeyString): KeyState | undefined {
    if (this.#find(key) === undefined) return undefined;
    return { modRevision: found.main, createRevision: found.created, version: found.version };
  }

  lease(key: KeyString): LeaseId | Promise<LeaseId> {
    const item = this.#find(key);
    if (item === undefined) return 0n;
    if (this.#isNewest(item)) return this.#state.leases.get(key) ?? 0n;
    const record = this.#record(key);
    return record instanceof Promise ? record.then(leaseOf) : leaseOf(record);
  }

  value(key: KeyString): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    if (this.#find(key) === undefined) return undefined;
    const record = this.#record(key);
    return record instanceof Promise ? record.then(recordValue) : recordValue(record);
  }

  *every(
    key: KeyString,
    rangeEnd: KeyString,
    wants: 'state' | 'lease' | 'value',
    visit: (key: VisitedKey) => boolean,
    slice: Slice,
  ): Steps<boolean> {
    const { index, leases, log } = this.#state;
    const end = walkEnd(key, rangeEnd);
    const visited = new Visited();
    let next: KeyString | undefined = key;
    while (next !== undefined) {
      const page: Candidate[] = [];
      let pageBytes = 0;
      let going = true;
      next = index.walk(next, end, Number.POSITIVE_INFINITY, (k, item) => {
        if (!findAt(item, this.revision, everySub, found)) return slice.next();
        if (wants === 'state' || (wants === 'lease' && this.#isNewest(item) && page.length === 0)) {
          show(visited);
          if (wants === 'lease') visited.lease = leases.get(k) ?? 0n;
          going = visit(visited);
          return going && slice.next();
        }
        if (
          wants === 'value' &&
          page.length === 0 &&
          this.#isNewest(item) &&
          log.has(item.location)
        ) {
          show(visited);
          visited.value = recordValue(log.record(item.location));
          going = visit(visited);
          return going && slice.next();
        }
        page.push(candidateOf(k, found));
        pageBytes += item.bytes;
        const isFull = page.length >= coldPageRecords || pageBytes >= flushBatchBytesMax;
        return slice.next() && !isFull;
      });
      if (page.length > 0) going = yield* this.#visitPage(page, wants, visit, visited);
      if (!going) return false;
      if (next !== undefined && slice.isSpent) yield slice.rest();
    }
    return true;
  }

  /** Keys whose records have to be looked at. */
  *#visitPage(
    page: readonly Candidate[],
    wants: 'state' | 'lease' | 'value',
    visit: (key: VisitedKey) => boolean,
    visited: Visited,
  ): Steps<boolean> {
    let records = warmRecords(this.#state, page);
    if (records === undefined) {
      yield loadRecords(this.#state, page).then((loaded) => {
        records = loaded;
      });
    }
    for (const [i, record] of (records ?? []).entries()) {
      const { main, createRevision, version } = page[i] as Candidate;
      visited.modRevision = main;
      visited.createRevision = createRevision;
      visited.version = version;
      if (wants === 'value') visited.value = recordValue(record);
      else visited.lease = leaseOf(record);
      if (!visit(visited)) return false;
    }
    return true;
  }

  /** Leaves what it found in `found`. */
  #find(key: KeyString): KeyItem | undefined {
    // A transaction that asks for a key mostly changes it next: then the place is known.
    const item = this.#state.index.locate(key);
    if (item === undefined || !findAt(item, this.revision, everySub, found)) return undefined;
    return item;
  }

  /** What was found last has not changed since. */
  #isNewest(item: KeyItem): boolean {
    return item.main === found.main && item.sub === found.sub;
  }

  /** Of what was found last. */
  #record(key: KeyString): Uint8Array | Promise<Uint8Array> {
    const wanted = candidateOf(key, found);
    const record = warmRecord(this.#state, wanted);
    if (record !== undefined) return record;
    return loadRecord(this.#state, wanted);
  }
}

function show(visited: Visited): void {
  visited.modRevision = found.main;
  visited.createRevision = found.created;
  visited.version = found.version;
}

function leaseOf(record: Uint8Array): LeaseId {
  return decodeRecord(record).lease;
}
