/**
 * The range that counts, filters or sorts. It chooses its revisions from the index, which may take
 * several slices, then filters, sorts and cuts by what the index knows, and only then touches
 * values.
 */

import {
  type KeyString,
  laneTurn,
  listedRecordBytes,
  mvccSliceKeysMax,
  Slice,
} from '../../common/index.js';
import {
  FoundRevision,
  findAt,
  isVisible,
  type KeyItem,
  type QuietLeaves,
} from '../index/index.js';
import {
  decodeRecord,
  encodeRecord,
  recordSize,
  recordValue,
  writeRecord,
} from '../schema/index.js';
import { type Candidate, candidateOf, loadRecords, warmRecords } from './load-records.js';
import { walkEnd } from './read-point.js';
import type { RoomMeter } from './room-meter.js';
import { sortInSlices } from './sort-in-slices.js';
import type { MvccState } from './state.js';
import type { RangeQuery, RangeResult, ReadPoint } from './types.js';

const sortNone = 0;
const sortDescend = 2;
const targetKey = 0;
const targetVersion = 1;
const targetCreate = 2;
const targetMod = 3;
const targetValue = 4;

const noValue = new Uint8Array(0);
const found = new FoundRevision();

/** The progress of a range that counts, filters or sorts through the index. */
export class GeneralRange {
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

  /** The caller holds a pin. Rejects also if the answer is to be given up. */
  async finish(meter: RoomMeter): Promise<RangeResult> {
    while (!this.done) {
      await this.#slice.rest();
      this.step();
      await meter.upTo(this.#candidates.length * listedRecordBytes);
    }
    if (this.#query.countOnly) return { kvs: [], more: false, count: this.#count };
    const byValue = this.#query.sortTarget === targetValue && this.#sorts();
    // By value all are read, however few are asked for.
    const chosen = byValue ? this.#prune() : await this.#chooseLater();
    await meter.upTo(this.#candidates.length * listedRecordBytes + this.#bytesOf(chosen));
    if (byValue) {
      const records = await loadRecords(this.#state, chosen, false, meter.room);
      return this.#sortByValueLater(records);
    }
    if (!this.#query.keysOnly) {
      return this.#result(await loadRecords(this.#state, chosen, false, meter.room));
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

  /** Of the records that are read, or made, for these. */
  #bytesOf(chosen: readonly Candidate[]): number {
    const { keysOnly, sortTarget } = this.#query;
    const withValues = !keysOnly || (sortTarget === targetValue && this.#sorts());
    let bytes = chosen.length * listedRecordBytes;
    for (const { bytes: stored, key } of chosen) bytes += withValues ? stored : key.length;
    return bytes;
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
