/**
 * Events of the past, for watchers that are behind: from the ring of recent revisions, else by a
 * scan of the KvStore, in revision order and only whole revisions.
 */

import {
  EtcdError,
  mvccSliceKeysMax,
  type Revision,
  Slice,
  scanPageBytes,
} from '../../common/index.js';
import {
  isTombstone,
  mainOf,
  RecordReader,
  recordsEnd,
  revisionKey,
  subOf,
  unsealOrThrow,
} from '../schema/index.js';
import { deletedKeyValue, LogEvent } from './event.js';
import type { MvccState } from './state.js';
import type { EventPage, MvccEvent } from './types.js';

/** See {@link MvccStore.history}. */
export async function readHistory(
  state: MvccState,
  from: Revision,
  revisionsMax: number,
  bytesMax: number,
): Promise<EventPage> {
  if (from < state.compactRevision) throw new EtcdError('COMPACTED');
  if (from > state.revision) return { events: [], throughRevision: state.revision };
  const collector = new Collector(revisionsMax, bytesMax);
  const pin = state.pins.pin(from);
  try {
    const inMemory = state.log.firstComplete() ?? state.revision + 1;
    if (from >= inMemory) return await fromRing(state, from, collector);
    return await fromStore(state, revisionKey(from, 0, false), collector);
  } finally {
    state.pins.release(pin);
  }
}

/** Gathers events and decides, between two revisions, when the page is full. */
class Collector {
  readonly events: MvccEvent[] = [];
  readonly #revisionsMax: number;
  readonly #bytesMax: number;
  #revisions = 0;
  #bytes = 0;
  #current: Revision = 0;

  constructor(revisionsMax: number, bytesMax: number) {
    this.#revisionsMax = revisionsMax;
    this.#bytesMax = bytesMax;
  }

  /** False if the page was full before revision `main`. */
  admits(main: Revision): boolean {
    if (main === this.#current) return true;
    if (this.#revisions > 0) {
      if (this.#revisions >= this.#revisionsMax || this.#bytes >= this.#bytesMax) return false;
      if (this.events.length >= mvccSliceKeysMax) return false;
    }
    this.#revisions += 1;
    this.#current = main;
    return true;
  }

  add(event: MvccEvent, bytes: number): void {
    this.events.push(event);
    this.#bytes += bytes;
  }
}

/** One revision may have a million events: this gives way as often as it takes. */
async function fromRing(
  state: MvccState,
  from: Revision,
  collector: Collector,
): Promise<EventPage> {
  const { log, revision } = state;
  const reader = new RecordReader();
  const slice = new Slice(state.clock);
  for (let p = log.lowerBound(from, 0); p < log.end; p += 1) {
    const main = log.mainAt(p);
    if (main > revision) break;
    if (!collector.admits(main)) return { events: collector.events, throughRevision: main - 1 };
    const place = log.placeAt(p);
    reader.read(place.chunk, place.start, place.end);
    // A tombstone's record holds the key alone (etcd stores it so).
    const tombstone = reader.modRevision === 0;
    const isCreate = !tombstone && reader.createRevision === main;
    const previous = isCreate ? null : undefined;
    const shown = tombstone ? undefined : place;
    const sub = log.subAt(p);
    collector.add(
      new LogEvent(reader.key, main, sub, isCreate, shown, previous),
      place.end - place.start,
    );
    if (slice.next()) continue;
    await slice.rest();
    // What left memory meanwhile is on disk.
    if (p + 1 < log.start) return fromStore(state, revisionKey(main, sub + 1, false), collector);
  }
  return { events: collector.events, throughRevision: revision };
}

/** From the place `start` of the record key space to where the ring begins. */
async function fromStore(
  state: MvccState,
  start: Buffer,
  collector: Collector,
): Promise<EventPage> {
  const before = state.log.firstComplete() ?? state.revision + 1;
  const reader = new RecordReader();
  const lt = before > state.revision ? recordsEnd : revisionKey(before, 0, false);
  const through = Math.min(before - 1, state.revision);
  let gte = start;
  for (;;) {
    const range = { gte, lt, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
    const page = await state.cold.scan(range);
    for (const [key, sealed] of page) {
      const main = mainOf(key);
      if (main > through || !collector.admits(main)) {
        return { events: collector.events, throughRevision: Math.min(main - 1, through) };
      }
      const record = unsealOrThrow(key, sealed, state.path);
      reader.read(record, 0, record.length);
      collector.add(toEvent(reader, main, subOf(key), isTombstone(key), record), record.length);
    }
    const last = page[page.length - 1];
    if (last === undefined) return { events: collector.events, throughRevision: through };
    gte = Buffer.concat([last[0], Buffer.from([0])]);
  }
}

function toEvent(
  reader: RecordReader,
  main: Revision,
  sub: number,
  tombstone: boolean,
  record: Uint8Array,
): MvccEvent {
  const isCreate = !tombstone && reader.createRevision === main;
  return {
    type: tombstone ? 'delete' : 'put',
    key: reader.key,
    modRevision: main,
    sub,
    isCreate,
    kv: tombstone ? deletedKeyValue(reader.key, main) : record,
    prevKv: isCreate ? null : undefined,
  };
}
