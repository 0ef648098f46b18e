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
} from '../common/index.js';
import { FoundRevision, findAt } from './key-index-item.js';
import type { Flusher } from './mvcc-flush.js';
import type { MvccState } from './mvcc-state.js';
import { RecordReader } from './record.js';
import {
  isTombstone,
  mainOf,
  metaEnd,
  metaStart,
  recordsEnd,
  recordsStart,
  revisionKey,
  subOf,
  unsealOrThrow,
} from './schema.js';

/** The name of etcd's bucket of revisions. */
const bucket = Buffer.from('key');
const everything = Number.POSITIVE_INFINITY;

/** See {@link MvccStore.hashKv}; `revision` 0 is the present one. */
export async function hashKv(
  state: MvccState,
  flusher: Flusher,
  revision: Revision,
): Promise<{ hash: number; compactRevision: Revision }> {
  const compacted = state.compactRevision;
  if (revision > 0 && revision < compacted) throw new EtcdError('COMPACTED');
  if (revision > state.revision) throw new EtcdError('FUTURE_REVISION');
  const upTo = revision > 0 ? revision : state.revision;
  const pin = state.pins.pin(compacted);
  try {
    await flusher.flush(false);
    const view = state.kv.view();
    try {
      const hash = await hashRecords(state, view, upTo, compacted);
      return { hash, compactRevision: compacted };
    } finally {
      await view.close();
    }
  } finally {
    state.pins.release(pin);
  }
}

/** CRC-32C of all records and meta records, the marks aside. */
export async function hashAll(state: MvccState, flusher: Flusher): Promise<number> {
  await flusher.flush(false);
  const view = state.kv.view();
  try {
    let hash = 0;
    const add = (key: Buffer, sealed: Buffer): void => {
      hash = crc32c(unsealOrThrow(key, sealed, state.path), crc32c(key, hash));
    };
    await eachStored(state, view, recordsStart, recordsEnd, add);
    await eachStored(state, view, metaStart, metaEnd, add);
    return hash;
  } finally {
    await view.close();
  }
}

async function hashRecords(
  state: MvccState,
  view: KvView,
  upTo: Revision,
  compacted: Revision,
): Promise<number> {
  const reader = new RecordReader();
  const found = new FoundRevision();
  const anyAlive = compacted < 0 || (await isAnyAlive(state, upTo));
  const keepAt = anyAlive ? upTo : compacted;
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
  await eachStored(state, view, recordsStart, revisionKey(upTo + 1, 0, false), add);
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
  state: MvccState,
  view: KvView,
  from: Buffer,
  lt: Buffer,
  visit: (key: Buffer, sealed: Buffer) => void,
): Promise<void> {
  let gte = from;
  for (;;) {
    const range = { gte, lt, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
    const page = await view.scan(range);
    for (const [key, sealed] of page) visit(key, sealed);
    const last = page[page.length - 1];
    if (last === undefined) return;
    gte = Buffer.concat([last[0], Buffer.from([0])]);
    await laneTurn(state.clock);
  }
}
