/**
 * Gets records by revision: from memory if they are there, else with `getMany`, checked. Everything
 * in memory that may leave has been flushed before, so what is not in memory is in the KvStore.
 */

import {
  coldPageRecords,
  type KeyString,
  mvccSliceKeysMax,
  type Revision,
  warmRecordsMax,
} from '../common/index.js';
import { noLocation } from './key-index-item.js';
import type { Flusher } from './mvcc-flush.js';
import { type MvccState, turn } from './mvcc-state.js';
import { revisionKey, unsealOrThrow } from './schema.js';

/** A revision of a key that a read has chosen. */
export interface Candidate {
  readonly key: KeyString;
  readonly main: Revision;
  readonly sub: number;
  readonly createRevision: Revision;
  readonly version: number;
  /** Where the record was when it was chosen; `noLocation` if not in memory. */
  readonly location: number;
}

/** A view of the record if it is in memory. */
export function warmRecord(state: MvccState, candidate: Candidate): Buffer | undefined {
  const { log } = state;
  if (candidate.location !== noLocation) {
    if (log.has(candidate.location)) return log.record(candidate.location);
    return undefined;
  }
  const location = state.ring.find(candidate.main, candidate.sub);
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
 */
export async function loadRecords(
  state: MvccState,
  flusher: Flusher,
  candidates: readonly Candidate[],
  keepAll = false,
): Promise<Uint8Array[]> {
  const records: Uint8Array[] = new Array(candidates.length);
  let cold: number[] = [];
  let coldTotal = 0;
  for (const [i, candidate] of candidates.entries()) {
    if (i > 0 && i % mvccSliceKeysMax === 0) await turn(state.clock);
    const record = warmRecord(state, candidate);
    if (record !== undefined) {
      records[i] = record;
      continue;
    }
    cold.push(i);
    coldTotal += 1;
    if (cold.length < coldPageRecords) continue;
    await loadCold(state, candidates, cold, records, keepAll);
    cold = [];
  }
  await loadCold(state, candidates, cold, records, keepAll || coldTotal <= warmRecordsMax);
  flusher.evict();
  return records;
}

async function loadCold(
  state: MvccState,
  candidates: readonly Candidate[],
  wanted: readonly number[],
  records: Uint8Array[],
  keep: boolean,
): Promise<void> {
  if (wanted.length === 0) return;
  const keys = wanted.map((i) => {
    const candidate = candidates[i] as Candidate;
    return revisionKey(candidate.main, candidate.sub, false);
  });
  const found = await state.kv.getMany(keys);
  for (const [n, i] of wanted.entries()) {
    const record = unsealOrThrow(keys[n] as Buffer, found[n], state.path);
    records[i] = record;
    if (keep) keepWarm(state, candidates[i] as Candidate, record);
  }
}

/** Copies a record to the front of the value log if it is still the newest of its key. */
function keepWarm(state: MvccState, candidate: Candidate, record: Uint8Array): void {
  const item = state.index.get(candidate.key);
  if (item === undefined || item.dead) return;
  if (item.main !== candidate.main || item.sub !== candidate.sub) return;
  if (state.log.has(item.location)) return;
  item.location = state.log.append(item.main, item.sub, record);
}
