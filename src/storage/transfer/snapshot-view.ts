/**
 * A consistent copy of everything stored, for Snapshot and backups: taken from a view of the
 * KvStore, so that writes and compactions go on meanwhile.
 */

import {
  type KvStore,
  type KvView,
  mvccSliceKeysMax,
  present,
  type Revision,
  scanPageBytes,
} from '../../common/index.js';
import {
  type AppliedMark,
  decodeMark,
  markKey,
  metaEnd,
  metaName,
  metaStart,
  recordsEnd,
  recordsStart,
  unsealOrThrow,
} from '../schema/index.js';

/** See {@link MvccStore.snapshotView}. */
export interface SnapshotView {
  readonly applied: AppliedMark;
  readonly revision: Revision;
  readonly compactRevision: Revision;
  /** etcd's revision keys (17 bytes, 18 for a tombstone) and encoded KeyValues, in order. */
  records(): AsyncIterable<readonly [Buffer, Buffer]>;
  /** Meta records, by name. */
  meta(): AsyncIterable<readonly [string, Buffer]>;
  close(): Promise<void>;
}

/** Of what is in `kv` now; `path` is where that is, for messages. */
export async function openSnapshotView(kv: KvStore, path: string): Promise<SnapshotView> {
  const view = kv.view();
  const end = Buffer.concat([markKey, Buffer.from([0])]);
  const found = await view.scan({ gte: markKey, lt: end, countMax: 1, bytesMax: scanPageBytes });
  const mark = decodeMark(present(found[0], 'the mark of the store')[1], path);
  const { index, term, configuration, revision, compactRevision } = mark;
  return {
    applied: { index, term, configuration },
    revision,
    compactRevision,
    async *records() {
      for await (const [key, sealed] of pages(view, recordsStart, recordsEnd)) {
        // The prefix of the key space is ours, the rest of the key is etcd's.
        yield [key.subarray(1), unsealOrThrow(key, sealed, path)];
      }
    },
    async *meta() {
      for await (const [key, sealed] of pages(view, metaStart, metaEnd)) {
        yield [metaName(key), unsealOrThrow(key, sealed, path)];
      }
    },
    close: () => view.close(),
  };
}

async function* pages(
  view: KvView,
  from: Buffer,
  lt: Buffer,
): AsyncIterable<readonly [Buffer, Buffer]> {
  let gte = from;
  for (;;) {
    const range = { gte, lt, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
    const page = await view.scan(range);
    yield* page;
    const last = page[page.length - 1];
    if (last === undefined) return;
    gte = Buffer.concat([last[0], Buffer.from([0])]);
  }
}
