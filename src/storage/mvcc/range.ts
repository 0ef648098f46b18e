/**
 * Range, with etcd's exact meaning of limit, more, count, sort and filters (C-1.5). A read
 * chooses its revisions from the index, which may take several slices, then filters, sorts and cuts
 * by what the index knows, and only then touches values. Small warm ranges are answered in the same
 * turn; everything else gives way after each slice and is pinned against compaction.
 */

import {
  EtcdError,
  type KeyString,
  laneTurn,
  mvccSliceKeysMax,
  Slice,
} from '../../common/index.js';
import { FoundRevision, findAt, isVisible, type KeyItem } from '../index/item.js';
import type { QuietLeaves } from '../index/key-index.js';
import type { RangeQuery, RangeResult, ReadPoint } from '../types.js';
import type { Flusher } from './flush.js';
import { decodeRecord, encodeRecord, recordSize, recordValue, writeRecord } from './record.js';
import { type Candidate, candidateOf, loadRecords, warmRecords } from './records.js';
import { isPlain, PlainScan } from './scan.js';
import { sortInSlices } from './sort.js';
import { checkPoint, type MvccState, pinOf, walkEnd } from './state.js';

const sortNone = 0;
const sortDescend = 2;
const targetKey = 0;
const targetVersion = 1;
const targetCreate = 2;
const targetMod = 3;
const targetValue = 4;

const noValue = new Uint8Array(0);
const found = new FoundRevision();

/** See {@link MvccStore.range}. */
export function rangeAt(
  state: MvccState,
  flusher: Flusher,
  query: RangeQuery,
  point: ReadPoint | undefined,
  /** The caller holds the history that it needs. */
  isHeld = false,
): RangeResult | Promise<RangeResult> {
  const single = query.rangeEnd === '' && isPlain(query) && !query.keysOnly;
  if (single && point === undefined) {
    const result = readPresent(state, query.key);
    if (result !== undefined) return result;
  }
  const at = point ?? { main: state.revision, sub: Number.POSITIVE_INFINITY };
  if (!isHeld && checkPoint(state, at) !== undefined)
    return Promise.reject(new EtcdError('COMPACTED'));
  if (single) {
    const result = readOne(state, query.key, at);
    if (result !== undefined) return result;
  }
  const walk = isPlain(query) ? new PlainScan(state, query, at) : new RangeWalk(state, query, at);
  if (walk.step()) {
    const result = walk.finishNow();
    if (result !== undefined) return result;
  }
  return finishLater(state, flusher, walk, at);
}

/** One key as it is now, in memory: nearly every read. Undefined: take the general way. */
function readPresent(state: MvccState, key: KeyString): RangeResult | undefined {
  const item = state.index.get(key);
  if (item === undefined) return emptyResult;
  // Changes of a transaction that is still open are not to be seen.
  if (item.main > state.revision) return undefined;
  if (item.dead) return emptyResult;
  if (!state.log.has(item.location)) return undefined;
  return { kvs: [state.log.record(item.location)], more: false, count: 1 };
}

/** The same at a read point. */
function readOne(state: MvccState, key: KeyString, at: ReadPoint): RangeResult | undefined {
  const item = state.index.get(key);
  if (item === undefined || !findAt(item, at.main, at.sub, found)) return emptyResult;
  const location = found.location >= 0 ? found.location : state.ring.find(found.main, found.sub);
  if (!state.log.has(location)) return undefined;
  return { kvs: [state.log.record(location)], more: false, count: 1 };
}

const emptyResult: RangeResult = { kvs: [], more: false, count: 0 };

async function finishLater(
  state: MvccState,
  flusher: Flusher,
  walk: PlainScan | RangeWalk,
  at: ReadPoint,
): Promise<RangeResult> {
  const pin = state.pins.pin(pinOf(at));
  try {
    return await walk.finish(flusher);
  } finally {
    state.pins.release(pin);
  }
}

/** The progress of a range that counts, filters or sorts through the index. */
class RangeWalk {
  done = false;
  readonly #state: MvccState;
  readonly #query: RangeQuery;
  readonly #atMain: number;
  readonly #atSub: number;
  readonly #end: KeyString | undefined;
  /** How many candidates are wanted; all must be counted if the index can't tell the number. */
  readonly #fetchMax: number;
  readonly #counted: boolean;
  readonly #slice: Slice;
  readonly #quiet: QuietLeaves | undefined;
  #count = 0;
  #more = false;
  #next: KeyString | undefined;
  #candidates: Candidate[] = [];
  /** The last keys were picked by rank, so they only have to be turned round. */
  #reversed = false;

  constructor(state: MvccState, query: RangeQuery, at: ReadPoint) {
    this.#state = state;
    this.#query = query;
    this.#atMain = at.main;
    this.#atSub = at.sub;
    this.#next = query.key;
    this.#end = walkEnd(query.key, query.rangeEnd);
    this.#counted = isVisible(state.lastMain, state.lastSub, at.main, at.sub);
    if (this.#counted) this.#count = state.index.count(query.key, this.#end);
    this.#fetchMax = this.#planFetch();
    this.done = this.#counted && (this.#fetchMax === 0 || this.#count === 0);
    this.#slice = new Slice(state.clock);
    this.#quiet = query.countOnly ? this.#countQuiet(at) : undefined;
  }

  /** Takes one slice of the index; true when all of it is done. */
  step(): boolean {
    if (this.done || this.#next === undefined) {
      this.done = true;
      return true;
    }
    const visit = (key: KeyString, item: KeyItem): boolean => this.#visit(key, item);
    const { index } = this.#state;
    this.#next = index.walk(this.#next, this.#end, Number.POSITIVE_INFINITY, visit, this.#quiet);
    if (this.#next === undefined) this.done = true;
    else if (this.#counted && this.#candidates.length >= this.#fetchMax) this.done = true;
    return this.done;
  }

  /** The result, if all values needed are in memory and few. */
  finishNow(): RangeResult | undefined {
    if (this.#query.countOnly) return { kvs: [], more: false, count: this.#count };
    if (this.#candidates.length > mvccSliceKeysMax) return undefined;
    if (this.#query.sortTarget === targetValue && this.#sorts()) {
      const values = warmRecords(this.#state, this.#prune());
      return values === undefined ? undefined : this.#sortByValue(values);
    }
    const chosen = this.#choose();
    if (this.#query.keysOnly) return this.#result(chosen.map(keyOnlyRecord));
    const records = warmRecords(this.#state, chosen);
    return records === undefined ? undefined : this.#result(records);
  }

  async finish(flusher: Flusher): Promise<RangeResult> {
    while (!this.done) {
      await this.#slice.rest();
      this.step();
    }
    if (this.#query.countOnly) return { kvs: [], more: false, count: this.#count };
    if (this.#query.sortTarget === targetValue && this.#sorts()) {
      return this.#sortByValueLater(await loadRecords(this.#state, flusher, this.#prune()));
    }
    const chosen = await this.#chooseLater();
    if (!this.#query.keysOnly) {
      return this.#result(await loadRecords(this.#state, flusher, chosen));
    }
    const records: Uint8Array[] = [];
    for (const candidate of chosen) {
      if (records.length > 0 && records.length % mvccSliceKeysMax === 0) {
        await laneTurn(this.#state.clock);
      }
      records.push(keyOnlyRecord(candidate));
    }
    return this.#result(records);
  }

  #planFetch(): number {
    const query = this.#query;
    if (query.countOnly) return 0;
    if (query.limit <= 0) return Number.POSITIVE_INFINITY;
    if (query.sortOrder === sortNone && !hasFilter(query)) return query.limit + 1;
    // The last keys of a range are found by rank, without walking the rest.
    const byRank =
      this.#counted &&
      query.sortOrder === sortDescend &&
      query.sortTarget === targetKey &&
      !hasFilter(query) &&
      this.#count > query.limit;
    if (!byRank) return Number.POSITIVE_INFINITY;
    const { index } = this.#state;
    this.#next = index.select(index.rank(query.key) + this.#count - query.limit);
    this.#more = true;
    this.#reversed = true;
    return query.limit;
  }

  #visit(key: KeyString, item: KeyItem): boolean {
    if (!findAt(item, this.#atMain, this.#atSub, found)) return this.#slice.next();
    if (!this.#counted) this.#count += 1;
    if (this.#candidates.length >= this.#fetchMax) return !this.#counted && this.#slice.next();
    this.#candidates.push(candidateOf(key, found));
    if (this.#counted && this.#candidates.length >= this.#fetchMax) return false;
    return this.#slice.next();
  }

  /** Of leaves without a change after the read point only the number of keys is wanted. */
  #countQuiet(at: ReadPoint): QuietLeaves {
    return {
      newest: at.sub === Number.POSITIVE_INFINITY ? at.main : at.main - 1,
      add: (live) => {
        this.#count += live;
        return this.#slice.next();
      },
    };
  }

  /** Whether anything has to be put in another order than that of the keys. */
  #sorts(): boolean {
    return this.#query.sortTarget !== targetKey || this.#query.sortOrder === sortDescend;
  }

  #prune(): Candidate[] {
    const q = this.#query;
    if (!hasFilter(q)) return this.#candidates;
    return this.#candidates.filter(
      (c) =>
        (q.maxModRevision === 0 || c.main <= q.maxModRevision) &&
        (q.minModRevision === 0 || c.main >= q.minModRevision) &&
        (q.maxCreateRevision === 0 || c.createRevision <= q.maxCreateRevision) &&
        (q.minCreateRevision === 0 || c.createRevision >= q.minCreateRevision),
    );
  }

  /** Filters, sorts by what the index knows, and cuts to the limit. */
  #choose(): Candidate[] {
    const chosen = this.#prune();
    if (this.#reversed) return chosen.reverse();
    if (!this.#sorts()) return this.#cut(chosen);
    if (this.#query.sortTarget === targetKey) return this.#cut(chosen.slice().reverse());
    return this.#cut(chosen.slice().sort(this.#byRank()));
  }

  /** The same for any number of keys. */
  async #chooseLater(): Promise<Candidate[]> {
    const few = this.#candidates.length <= mvccSliceKeysMax;
    if (few || !this.#sorts() || this.#query.sortTarget === targetKey) return this.#choose();
    return this.#cut(await sortInSlices(this.#prune(), this.#byRank(), this.#state.clock));
  }

  #byRank(): (a: Candidate, b: Candidate) => number {
    const sign = this.#sign();
    return (a, b) => sign * (this.#rankOf(a) - this.#rankOf(b));
  }

  #sign(): 1 | -1 {
    return this.#query.sortOrder === sortDescend ? -1 : 1;
  }

  #rankOf(candidate: Candidate): number {
    switch (this.#query.sortTarget) {
      case targetVersion:
        return candidate.version;
      case targetCreate:
        return candidate.createRevision;
      case targetMod:
        return candidate.main;
      default:
        return 0;
    }
  }

  #sortByValue(records: readonly Uint8Array[]): RangeResult {
    return this.#valueResult(records.map(withValue).sort(this.#byValue()));
  }

  async #sortByValueLater(records: readonly Uint8Array[]): Promise<RangeResult> {
    const { clock } = this.#state;
    const list: ValuedRecord[] = [];
    for (const record of records) {
      if (list.length > 0 && list.length % mvccSliceKeysMax === 0) await laneTurn(clock);
      list.push(withValue(record));
    }
    return this.#valueResult(await sortInSlices(list, this.#byValue(), clock));
  }

  #byValue(): (a: ValuedRecord, b: ValuedRecord) => number {
    const sign = this.#sign();
    return (a, b) => sign * Buffer.compare(a.value, b.value);
  }

  #valueResult(sorted: ValuedRecord[]): RangeResult {
    const records = this.#cut(sorted).map(({ record }) => record);
    return this.#result(this.#query.keysOnly ? records.map(withoutValue) : records);
  }

  #cut<T>(list: T[]): T[] {
    const { limit } = this.#query;
    if (limit <= 0 || list.length <= limit) return list;
    this.#more = true;
    return list.slice(0, limit);
  }

  #result(kvs: readonly Uint8Array[]): RangeResult {
    return { kvs, more: this.#more, count: this.#count };
  }
}

/** A record and the value inside it. */
interface ValuedRecord {
  readonly record: Uint8Array;
  readonly value: Uint8Array;
}

function withValue(record: Uint8Array): ValuedRecord {
  return { record, value: recordValue(record) };
}

function hasFilter(query: RangeQuery): boolean {
  return (
    query.minModRevision !== 0 ||
    query.maxModRevision !== 0 ||
    query.minCreateRevision !== 0 ||
    query.maxCreateRevision !== 0
  );
}

/** etcd 3.7 answers keys_only from the index: no lease (C-1.5.10). */
function keyOnlyRecord(c: Candidate): Uint8Array {
  const size = recordSize(c.key.length, c.createRevision, c.main, c.version, 0, 0n);
  const target = Buffer.allocUnsafe(size);
  writeRecord(target, 0, c.key, c.createRevision, c.main, c.version, noValue, 0n);
  return target;
}

/** keys_only sorted by value reads the record, so its lease stays. */
function withoutValue(record: Uint8Array): Uint8Array {
  return encodeRecord({ ...decodeRecord(record), value: noValue });
}
