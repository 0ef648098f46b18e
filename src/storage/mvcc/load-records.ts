/**
 * Gets records by revision: from memory if they are there, else with `getMany`, checked. Everything
 * in memory that may leave has been flushed before, so what is not in memory is in the KvStore.
 */

import {
  coldPageBytes,
  coldPageRecords,
  EtcdError,
  type KeyString,
  mvccSliceKeysMax,
  type Revision,
  Slice,
  warmRecordsMax,
} from '../../common/index.js';
import { type FoundRevision, type KeyItem, noLocation } from '../index/index.js';
import { revisionKey, unsealOrThrow } from '../schema/index.js';
import type { MvccState } from './state.js';
import type { AnswerRoom } from './types.js';

/** Cold records sorted in one go: a few milliseconds. */
const coldSortRecords = 8192;

/** A revision of a key that a read has chosen. */
export interface Candidate {
  readonly key: KeyString;
  readonly main: Revision;
  readonly sub: number;
  readonly createRevision: Revision;
  readonly version: number;
  /** Stored size of its record. */
  readonly bytes: number;
  /** Where the record was when it was chosen; `noLocation` if not in memory. */
  readonly location: number;
}

/** What a look-up in the index has found of a key. */
export function candidateOf(key: KeyString, found: FoundRevision): Candidate {
  return {
    key,
    main: found.main,
    sub: found.sub,
    createRevision: found.created,
    version: found.version,
    bytes: found.bytes,
    location: found.location,
  };
}

/** A view of the record if it is in memory. */
export function warmRecord(state: MvccState, candidate: Candidate): Buffer | undefined {
  const { log } = state;
  if (candidate.location !== noLocation) {
    if (log.has(candidate.location)) return log.record(candidate.location);
    // It may have moved since it was chosen.
    const item = state.index.get(candidate.key);
    const isIt = item?.main === candidate.main && item.sub === candidate.sub;
    return isIt && log.has(item.location) ? log.record(item.location) : undefined;
  }
  const location = log.find(candidate.main, candidate.sub);
  return location !== noLocation && log.has(location) ? log.record(location) : undefined;
}

/** All records from memory, or undefined if one is not there or there are too many for a slice. */
export function warmRecords(
  state: MvccState,
  candidates: readonly Candidate[],
): Uint8Array[] | undefined {
  if (candidates.length > mvccSliceKeysMax) return undefined;
  const records: Uint8Array[] = [];
  for (const candidate of candidates) {
    const record = warmRecord(state, candidate);
    if (record === undefined) return undefined;
    records.push(record);
  }
  return records;
}

/**
 * The records of all candidates, in slices and pages. A few cold ones are kept in memory; many are
 * a scan, which must not push out what is in use, unless `keepAll`. The caller holds a pin.
 *
 * Cold ones are fetched in the order in which they are stored, which is that of their revisions:
 * for 10,000 of a million records that is 5 us each instead of 12 (CPU of all threads).
 *
 * `room` has been asked for them; once nobody waits for them the rest is not read.
 */
export async function loadRecords(
  state: MvccState,
  candidates: readonly Candidate[],
  keepAll = false,
  room?: AnswerRoom,
): Promise<Uint8Array[]> {
  const records: Uint8Array[] = new Array(candidates.length);
  const slice = new Slice(state.clock);
  let cold: number[] = [];
  let coldTotal = 0;
  for (const [i, candidate] of candidates.entries()) {
    if (!slice.next()) await slice.rest();
    const record = warmRecord(state, candidate);
    if (record !== undefined) {
      records[i] = record;
      continue;
    }
    cold.push(i);
    coldTotal += 1;
    if (cold.length < coldSortRecords) continue;
    const lane = keepAll ? 'apply' : 'page';
    await loadCold({ state, candidates, records, lane, room }, cold);
    cold = [];
  }
  const few = coldTotal <= warmRecordsMax ? 'record' : 'page';
  await loadCold({ state, candidates, records, lane: keepAll ? 'apply' : few, room }, cold);
  state.evict();
  return records;
}

/**
 * The record of one candidate, which is not in memory. The caller holds a pin. As
 * {@link loadRecords}, without what is only for many: most reads are for one key.
 */
export async function loadRecord(state: MvccState, candidate: Candidate): Promise<Buffer> {
  const { main, sub, bytes } = candidate;
  const key = revisionKey(main, sub, false);
  const [sealed] = await state.cold.records([key], bytes);
  const record = unsealOrThrow(key, sealed, state.path);
  if (state.log.wantsKept(main, sub)) keepWarm(state, candidate, record);
  state.evict();
  return record;
}

/** What records are loaded for. */
interface Loading {
  readonly state: MvccState;
  readonly candidates: readonly Candidate[];
  readonly records: Uint8Array[];
  /** An entry that is being applied, which keeps all of them; a few, which may be kept; a scan. */
  readonly lane: 'apply' | 'record' | 'page';
  readonly room: AnswerRoom | undefined;
}

/** Sorts `wanted` and fetches it page by page. */
async function loadCold(
  { state, candidates, records, lane, room }: Loading,
  wanted: number[],
): Promise<void> {
  const of = (i: number): Candidate => candidates[i] as Candidate;
  wanted.sort((a, b) => of(a).main - of(b).main || of(a).sub - of(b).sub);
  for (let from = 0, next = 0; from < wanted.length; from = next) {
    if (room?.cancelled) throw new EtcdError('REQUEST_CANCELED');
    let pageBytes = 0;
    do pageBytes += of(wanted[next++] as number).bytes;
    while (
      next < wanted.length &&
      next - from < coldPageRecords &&
      pageBytes + of(wanted[next] as number).bytes <= coldPageBytes
    );
    const page = wanted.slice(from, next);
    const keys = page.map((i) => revisionKey(of(i).main, of(i).sub, false));
    const found = await getMany(state, keys, pageBytes, lane);
    for (const [n, i] of page.entries()) {
      const record = unsealOrThrow(keys[n] as Buffer, found[n], state.path);
      records[i] = record;
      const { main, sub } = of(i);
      const keeps = lane === 'apply' || (lane === 'record' && state.log.wantsKept(main, sub));
      if (keeps) keepWarm(state, of(i), record);
    }
  }
}

function getMany(
  { kv, cold }: MvccState,
  keys: readonly Buffer[],
  bytes: number,
  lane: Loading['lane'],
): Promise<ReadonlyArray<Buffer | undefined>> {
  if (lane === 'apply') return kv.getMany(keys);
  return lane === 'record' ? cold.records(keys, bytes) : cold.page(keys);
}

/** Keeps a copy of a record in memory if it is still the newest of its key. */
function keepWarm(state: MvccState, candidate: Candidate, record: Uint8Array): void {
  const item = state.index.get(candidate.key);
  if (item === undefined || item.dead) return;
  if (item.main !== candidate.main || item.sub !== candidate.sub) return;
  if (state.log.has(item.location)) return;
  item.location = state.log.keep(item.main, item.sub, record);
}

/** True if the current records of all keys are in memory, or there are none. */
export function areWarm({ index, log }: MvccState, keys: readonly KeyString[]): boolean {
  for (const key of keys) {
    const item = index.get(key);
    if (item !== undefined && !item.dead && !log.has(item.location)) return false;
  }
  return true;
}

/** True if all current records of the keys are in memory, else reads those that were missing. */
export async function bringIn(state: MvccState, keys: readonly KeyString[]): Promise<boolean> {
  const { index, log } = state;
  const cold: Candidate[] = [];
  const slice = new Slice(state.clock, 'apply');
  for (const key of keys) {
    if (!slice.next()) await slice.rest();
    const item = index.get(key);
    if (item === undefined || item.dead || log.has(item.location)) continue;
    cold.push(newestOf(key, item));
  }
  if (cold.length === 0) return true;
  const pin = state.pins.pin(state.revision);
  try {
    // Keeps them warm, unlike what a range reads.
    await loadRecords(state, cold, true);
  } finally {
    state.pins.release(pin);
  }
  return false;
}

function newestOf(key: KeyString, { main, sub, bytes }: KeyItem): Candidate {
  return { key, main, sub, createRevision: 0, version: 0, bytes, location: noLocation };
}
