/**
 * Brings a store back from its KvStore: the mark, the meta records, and the index from all
 * revisions in order. What is found must add up to what the mark says was written, record for
 * record and byte for byte; if it does not, something was lost, and the member must not start (row
 * 5 and the 3.5 postmortem: revisions never go back).
 */

import { type KvView, mvccSliceKeysMax, scanPageBytes } from '../common/index.js';
import { itemDelete, itemPut, KeyItem, noLocation } from './key-index-item.js';
import { type MvccState, noConfiguration } from './mvcc-state.js';
import { RecordReader } from './record.js';
import { readCheckpoint } from './restore-checkpoint.js';
import {
  damage,
  decodeMark,
  describeKey,
  formatKey,
  formatVersion,
  isRevisionKey,
  isTombstone,
  mainOf,
  markKey,
  metaEnd,
  metaName,
  metaStart,
  metaSumOf,
  recordOverheadBytes,
  recordsEnd,
  recordsStart,
  revisionKey,
  type StoreMark,
  subOf,
  unsealOrThrow,
} from './schema.js';

const emptyMark: StoreMark = {
  index: 0,
  term: 0,
  configuration: noConfiguration,
  revision: 1,
  compactRevision: -1,
  removedRevision: -1,
  sizeBytes: 0,
  records: 0,
  metaSum: 0,
};

/** Fills `state` from the KvStore; returns the mark found there. StorageError if it is damaged. */
export async function restore(state: MvccState): Promise<StoreMark> {
  const { kv, path } = state;
  const [format, sealedMark] = await kv.getMany([formatKey, markKey]);
  if (format === undefined) {
    await createStore(state, sealedMark);
  } else if (Number(format.toString()) !== formatVersion) {
    throw damage(
      `The data has format ${format.toString()}, this version of kvorum reads ${formatVersion}`,
      path,
    );
  }
  const mark = sealedMark === undefined ? emptyMark : decodeMark(sealedMark, path);
  const view = kv.view();
  try {
    await restoreMeta(state, view, mark);
    await new IndexBuilder(state, mark).run(view);
  } finally {
    await view.close();
  }
  state.revision = mark.revision;
  state.compactRevision = mark.compactRevision;
  state.applied = { index: mark.index, term: mark.term, configuration: mark.configuration };
  state.sizeBytes = mark.sizeBytes;
  state.records = mark.records;
  state.lastMain = mark.revision;
  state.lastSub = 0;
  return mark;
}

async function createStore(state: MvccState, mark: Buffer | undefined): Promise<void> {
  const everything = { gte: Buffer.from([0]), lt: Buffer.from([0xff]), countMax: 1, bytesMax: 1 };
  const [first] = await state.kv.scan(everything);
  if (first !== undefined || mark !== undefined) {
    throw damage('The database holds data but no format record', state.path);
  }
  const value = Buffer.from(String(formatVersion));
  await state.kv.write([{ key: formatKey, value }], { sync: true });
}

async function restoreMeta(state: MvccState, view: KvView, mark: StoreMark): Promise<void> {
  let gte = metaStart;
  let sum = 0;
  for (;;) {
    const range = { gte, lt: metaEnd, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
    const page = await view.scan(range);
    for (const [key, sealed] of page) {
      const name = metaName(key);
      const value = Buffer.from(unsealOrThrow(key, sealed, state.path));
      state.meta.set(name, value);
      sum = (sum + metaSumOf(name, value)) >>> 0;
    }
    const last = page[page.length - 1];
    if (last === undefined) break;
    gte = Buffer.concat([last[0], Buffer.from([0])]);
  }
  if (sum !== mark.metaSum) {
    throw damage(
      `The ${state.meta.size} meta records (leases, alarms, members) are not those written last`,
      state.path,
    );
  }
}

/** Inserts revisions, oldest first, into the index. */
class IndexBuilder {
  private readonly state: MvccState;
  private readonly mark: StoreMark;
  private readonly reader = new RecordReader();
  private sizeBytes = 0;
  private records = 0;
  private lastMain = 0;

  constructor(state: MvccState, mark: StoreMark) {
    this.state = state;
    this.mark = mark;
  }

  async run(view: KvView): Promise<void> {
    const { path } = this.state;
    const covered = await readCheckpoint(this.state, view, this.mark);
    if (covered !== undefined) {
      this.records = covered.records;
      this.sizeBytes = covered.sizeBytes;
    }
    const start =
      covered === undefined ? recordsStart : revisionKey(covered.revision + 1, 0, false);
    let next = view.scan(pageFrom(start));
    for (;;) {
      const page = await next;
      const last = page[page.length - 1];
      if (last === undefined) break;
      // The next page is read on another thread while this one goes into the index.
      next = view.scan(pageFrom(Buffer.concat([last[0], Buffer.from([0])])));
      next.catch(() => {});
      for (const [key, sealed] of page) this.add(key, sealed);
    }
    const { mark } = this;
    if (this.records !== mark.records || this.sizeBytes !== mark.sizeBytes) {
      throw damage(
        `The database should hold ${mark.records} records of ${mark.sizeBytes} bytes at revision ` +
          `${mark.revision}, but has ${this.records} of ${this.sizeBytes}`,
        path,
      );
    }
    if (this.lastMain > mark.revision) {
      throw damage(
        `The database is at revision ${mark.revision} but holds revision ${this.lastMain}`,
        path,
      );
    }
  }

  private add(key: Buffer, sealed: Buffer): void {
    const { state, reader } = this;
    if (!isRevisionKey(key)) throw damage(`unexpected key ${describeKey(key)}`, state.path);
    const record = unsealOrThrow(key, sealed, state.path);
    reader.read(record, 0, record.length);
    const main = mainOf(key);
    const sub = subOf(key);
    const tombstone = isTombstone(key);
    if (!tombstone && reader.modRevision !== main) {
      throw damage(`the record ${describeKey(key)} has another revision inside`, state.path);
    }
    const bytes = record.length + recordOverheadBytes;
    this.records += 1;
    this.sizeBytes += bytes;
    this.lastMain = main;
    if (tombstone) this.addTombstone(main, sub, bytes);
    else this.addPut(main, sub, bytes);
  }

  private addPut(main: number, sub: number, bytes: number): void {
    const { index, leases } = this.state;
    const { key, createRevision, version, lease } = this.reader;
    let item = index.locate(key);
    if (item === undefined) {
      item = new KeyItem(main, sub, bytes, noLocation);
      index.insertHere(key, item);
    } else {
      const wasDead = item.dead;
      itemPut(item, main, sub, bytes, noLocation);
      index.touchHere(main);
      if (wasDead) index.adjustHere(1);
    }
    // What a compaction removed is not there to count, the record remembers.
    item.created = createRevision;
    item.version = version;
    if (lease !== 0n) leases.set(key, lease);
    else if (leases.size > 0) leases.delete(key);
  }

  private addTombstone(main: number, sub: number, bytes: number): void {
    const { index, leases } = this.state;
    const key = this.reader.key;
    const item = index.locate(key);
    if (item === undefined) {
      // The puts before it were compacted away.
      const dead = new KeyItem(main, sub, bytes, noLocation);
      dead.dead = true;
      index.insertHere(key, dead);
      return;
    }
    if (item.dead)
      throw damage(`revision ${main} deletes a key that does not exist`, this.state.path);
    itemDelete(item, main, sub, bytes);
    index.touchHere(main);
    index.adjustHere(-1);
    leases.delete(key);
  }
}

function pageFrom(gte: Buffer): { gte: Buffer; lt: Buffer; countMax: number; bytesMax: number } {
  return { gte, lt: recordsEnd, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
}
