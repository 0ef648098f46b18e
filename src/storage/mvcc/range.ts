/**
 * Range, with etcd's exact meaning of limit, more, count, sort and filters (C-1.5). One key is read
 * here; of many, those in the order of keys are walked by range-plain.ts, all others by
 * range-general.ts. Small warm ranges are answered in the same turn; everything else gives way
 * after each slice and is pinned against compaction.
 */

import { EtcdError, type KeyString, listedRecordBytes } from '../../common/index.js';
import { FoundRevision, findAt } from '../index/index.js';
import { candidateOf, loadRecord } from './load-records.js';
import { GeneralRange } from './range-general.js';
import { isPlain, PlainRange } from './range-plain.js';
import { pinOf } from './read-point.js';
import { RoomMeter } from './room-meter.js';
import type { MvccState } from './state.js';
import type { AnswerRoom, RangeQuery, RangeResult, ReadPoint } from './types.js';

const found = new FoundRevision();

/** See {@link MvccStore.range}. */
export function rangeAt(
  state: MvccState,
  query: RangeQuery,
  point: ReadPoint | undefined,
  /** The caller holds the history that it needs. */
  isHeld = false,
  room?: AnswerRoom,
): RangeResult | Promise<RangeResult> {
  const single = query.rangeEnd === '' && isPlain(query) && !query.keysOnly;
  if (single && point === undefined) {
    const result = readPresent(state, query.key);
    if (result !== undefined) return result;
  }
  const at = point ?? { main: state.revision, sub: Number.POSITIVE_INFINITY };
  if (!isHeld && pinOf(at) < state.compactRevision) {
    return Promise.reject(new EtcdError('COMPACTED'));
  }
  if (single) return readOne(state, query.key, at) ?? readCold(state, query.key, at, room);
  const walk = isPlain(query)
    ? new PlainRange(state, query, at)
    : new GeneralRange(state, query, at);
  if (walk.step()) {
    const result = walk.finishNow();
    if (result !== undefined) return result;
  }
  return finishLater(state, walk, at, room);
}

/** One key as it is now, in memory: nearly every read. Undefined: take the general way. */
function readPresent(state: MvccState, key: KeyString): RangeResult | undefined {
  const item = state.index.get(key);
  if (item === undefined) return emptyResult;
  // Changes of a transaction that is still open are not to be seen.
  if (item.main > state.revision) return undefined;
  if (item.dead) return emptyResult;
  if (!state.log.has(item.location)) return undefined;
  return { kvs: [state.log.use(item.location)], more: false, count: 1 };
}

/** The same at a read point; undefined: what is in `found` is not in memory. */
function readOne(state: MvccState, key: KeyString, at: ReadPoint): RangeResult | undefined {
  const item = state.index.get(key);
  if (item === undefined || !findAt(item, at.main, at.sub, found)) return emptyResult;
  const location = found.location >= 0 ? found.location : state.log.find(found.main, found.sub);
  if (!state.log.has(location)) return undefined;
  return { kvs: [state.log.use(location)], more: false, count: 1 };
}

/** What `readOne` has just found. */
async function readCold(
  state: MvccState,
  key: KeyString,
  at: ReadPoint,
  room: AnswerRoom | undefined,
): Promise<RangeResult> {
  const candidate = candidateOf(key, found);
  const pin = state.pins.pin(pinOf(at));
  try {
    if (room !== undefined) await room.takeRoom(candidate.bytes + listedRecordBytes);
    return { kvs: [await loadRecord(state, candidate)], more: false, count: 1 };
  } finally {
    state.pins.release(pin);
  }
}

const emptyResult: RangeResult = { kvs: [], more: false, count: 0 };

async function finishLater(
  state: MvccState,
  walk: PlainRange | GeneralRange,
  at: ReadPoint,
  room: AnswerRoom | undefined,
): Promise<RangeResult> {
  const pin = state.pins.pin(pinOf(at));
  try {
    return await walk.finish(new RoomMeter(room));
  } finally {
    state.pins.release(pin);
  }
}
