/** Reads the previous values that watchers of the past want and that are not in memory. */

import { EtcdError, type Slice } from '../../common/index.js';
import type { MvccStore } from '../../storage/index.js';
import type { EventSlot } from './event-slot.js';
import type { Watcher } from './watcher.js';

/** Previous values read at once. */
const readsMax = 64;

/** Sets them in the events that somebody wants them of. */
export async function readPreviousValues(
  store: Pick<MvccStore, 'range'>,
  touched: ReadonlyMap<Watcher, readonly EventSlot[]>,
  slice: Slice,
): Promise<void> {
  const missing = await missingIn(touched, slice);
  for (let i = 0; i < missing.length; i += readsMax) {
    const some = missing.slice(i, i + readsMax);
    await Promise.all(some.map((slot) => readPrevious(store, slot)));
    if (some.some(() => !slice.next())) await slice.rest();
  }
}

async function missingIn(
  touched: ReadonlyMap<Watcher, readonly EventSlot[]>,
  slice: Slice,
): Promise<EventSlot[]> {
  const missing = new Set<EventSlot>();
  for (const [watcher, slots] of touched) {
    if (!watcher.wantsPrev) continue;
    for (const slot of slots) {
      if (!slice.next()) await slice.rest();
      if (slot.prevKv === undefined && watcher.wants(slot.event.type, slot.revision)) {
        missing.add(slot);
      }
    }
  }
  return [...missing];
}

/** Absent without a word if the revision before has been compacted, as in etcd. */
async function readPrevious(store: Pick<MvccStore, 'range'>, slot: EventSlot): Promise<void> {
  const query = {
    key: slot.event.key,
    rangeEnd: '',
    limit: 0,
    keysOnly: false,
    countOnly: false,
    sortOrder: 0,
    sortTarget: 0,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
  try {
    const at = { main: slot.revision - 1, sub: Number.POSITIVE_INFINITY };
    const found = await store.range(query, at);
    slot.setPrevious(found.kvs[0] ?? null);
  } catch (error) {
    if (!(error instanceof EtcdError)) throw error;
    slot.setPrevious(null);
  }
}
