/**
 * HashKV as etcd computes it, so that hashes can be compared with a real etcd's: CRC-32C of the
 * bucket name, then of every revision key and record up to the revision, in order, leaving out what
 * a compaction has removed or is still going to remove. The result is the same before, during and
 * after the physical removal. Facts from etcd's server/storage/mvcc/hash.go and key_index.go:
 *  - at or below the compact revision a record counts only if it is the newest of its key at the
 *    hashed revision and no tombstone;
 *  - if no key lives at the hashed revision, that rule is off there; what then remains of such
 *    revisions is what the compaction keeps;
 *  - a tombstone exactly at the compact revision never counts.
 *
 * A compaction is hashed, before it removes anything, as HashKV at its revision was until then; but
 * there a tombstone at the revision is enough for the first rule (kvstore_compaction.go keeps it).
 */

import {
  crc32c,
  EtcdError,
  type KeyString,
  type KvView,
  laneTurn,
  mvccSliceKeysMax,
  type Revision,
  Slice,
  scanPageBytes,
} from '../../common/index.js';
import { FoundRevision, findAt } from '../index/index.js';
import {
  isTombstone,
  mainOf,
  metaEnd,
  metaStart,
  RecordReader,
  recordsEnd,
  recordsStart,
  revisionKey,
  subOf,
  unsealOrThrow,
} from '../schema/index.js';
import type { RevisionHash } from './compaction-hashes.js';
import type { Flusher } from './flusher.js';
import type { MvccState } from './state.js';

/** The name of etcd's bucket of revisions. */
const bucket = Buffer.from('key');
const everything = Number.POSITIVE_INFINITY;

/**
 * See {@link MvccStore.hashKv}, of what is there now; `revision` 0 is the present one, and below 0
 * there is nothing to hash, as in etcd.
 */
export async function hashKv(
  state: MvccState,
  flusher: Flusher,
  revision: Revision,
): Promise<RevisionHash> {
  const compacted = state.compactRevision;
  if (revision > 0 && revision < compacted) throw new EtcdError('COMPACTED');
  if (revision > state.revision) throw new EtcdError('FUTURE_REVISION');
  const upTo = revision === 0 ? state.revision : revision;
  const pin = state.pins.pin(compacted);
  try {
    await flusher.flush(false);
    const view = state.kv.view();
    try {
      const anyAlive = compacted < 0 || (await isAnyAlive(state, upTo));
      const rule = { upTo, compacted, keepAt: anyAlive ? upTo : compacted };
      const hash = await hashRecords(state, view, rule, () => laneTurn(state.clock));
      return { hash, compactRevision: compacted, hashRevision: upTo };
    } finally {
      await view.close();
    }
  } finally {
    state.pins.release(pin);
  }
}

/**
 * What a compaction at `revision` hashes, which stands on the one at `previous`. All that those
 * behind `previous` remove must be there still. `pause` is between two pages; rejects with what it
 * rejects with.
 */
export async function hashCompaction(
  state: MvccState,
  flusher: Flusher,
  revision: Revision,
  previous: Revision,
  pause: () => Promise<void>,
): Promise<RevisionHash> {
  await flusher.flush(false);
  const view = state.kv.view();
  try {
    const gte = revisionKey(revision, 0, false);
    const lt = revisionKey(revision + 1, 0, false);
    const changed = await view.scan({ gte, lt, countMax: 1, bytesMax: scanPageBytes });
    // What was put there lives, and a tombstone there is kept.
    const keeps = previous < 0 || changed.length > 0 || (await isAnyAlive(state, revision));
    const rule = { upTo: revision, compacted: previous, keepAt: keeps ? revision : previous };
    const hash = await hashRecords(state, view, rule, pause);
    return { hash, compactRevision: previous, hashRevision: revision };
  } finally {
    await view.close();
  }
}

/** CRC-32C of all records and meta records, the marks aside. */
export async function hashAll(state: MvccState, flusher: Flusher): Promise<number> {
  await flusher.flush(false);
  const view = state.kv.view();
  const pause = (): Promise<void> => laneTurn(state.clock);
  try {
    let hash = 0;
    const add = (key: Buffer, sealed: Buffer): void => {
      hash = crc32c(unsealOrThrow(key, sealed, state.path), crc32c(key, hash));
    };
    await eachStored(view, recordsStart, recordsEnd, add, pause);
    await eachStored(view, metaStart, metaEnd, add, pause);
    return hash;
  } finally {
    await view.close();
  }
}

/** Which records count. */
interface HashRule {
  readonly upTo: Revision;
  /** At or below it only what lives at `keepAt`. */
  readonly compacted: Revision;
  readonly keepAt: Revision;
}

async function hashRecords(
  state: MvccState,
  view: KvView,
  { upTo, compacted, keepAt }: HashRule,
  pause: () => Promise<void>,
): Promise<number> {
  if (upTo < 0) return crc32c(bucket);
  const reader = new RecordReader();
  const found = new FoundRevision();
  let hash = crc32c(bucket);
  const add = (key: Buffer, sealed: Buffer): void => {
    const record = unsealOrThrow(key, sealed, state.path);
    const main = mainOf(key);
    if (main <= compacted) {
      if (isTombstone(key)) return;
      reader.read(record, 0, record.length);
      const item = state.index.get(reader.key);
      if (item === undefined || !findAt(item, keepAt, everything, found)) return;
      if (found.main !== main || found.sub !== subOf(key)) return;
    }
    hash = crc32c(record, crc32c(key, hash, 1));
  };
  await eachStored(view, recordsStart, revisionKey(upTo + 1, 0, false), add, pause);
  return hash;
}

async function isAnyAlive(state: MvccState, at: Revision): Promise<boolean> {
  if (at >= state.lastMain) return state.index.live > 0;
  const found = new FoundRevision();
  const slice = new Slice(state.clock);
  let alive = false;
  let next: KeyString | undefined = '';
  while (next !== undefined && !alive) {
    next = state.index.walk(next, undefined, Number.POSITIVE_INFINITY, (_, item) => {
      alive = findAt(item, at, everything, found);
      return slice.next() && !alive;
    });
    if (next !== undefined && !alive) await slice.rest();
  }
  return alive;
}

async function eachStored(
  view: KvView,
  from: Buffer,
  lt: Buffer,
  visit: (key: Buffer, sealed: Buffer) => void,
  pause: () => Promise<void>,
): Promise<void> {
  let gte = from;
  for (;;) {
    const range = { gte, lt, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
    const page = await view.scan(range);
    let bytes = 0;
    for (const [key, sealed] of page) {
      visit(key, sealed);
      bytes += key.length + sealed.length;
    }
    const last = page[page.length - 1];
    // It was cut short by the end, not by a limit.
    if (last === undefined || (page.length < range.countMax && bytes < range.bytesMax)) return;
    gte = Buffer.concat([last[0], Buffer.from([0])]);
    await pause();
  }
}
