/**
 * Brings a store back from its KvStore: the mark, the meta records, and the index. That comes from
 * all revisions in order if there are few, else from its last checkpoint and the journal since then
 * (recovery/merge.ts), and from all revisions again if those are not whole. What is found must add
 * up to what the mark says was written, record for record and byte for byte; if it does not,
 * something was lost, and the member must not start (L-5, L-42: revisions never
 * go back).
 */

import {
  InvariantError,
  type KvChange,
  type KvView,
  mvccSliceKeysMax,
  scanPageBytes,
} from '../../common/index.js';
import { itemDelete, itemPut, KeyItem, noLocation } from '../index/item.js';
import { RecordReader } from '../mvcc/record.js';
import {
  damage,
  decodeMark,
  decodeRemoval,
  describeKey,
  encodeMark,
  formatKey,
  formatVersion,
  isRevisionKey,
  isTombstone,
  mainOf,
  markKey,
  markKeyOfFormat1,
  metaBytesOf,
  metaEnd,
  metaName,
  metaStart,
  metaSumOf,
  recordOverheadBytes,
  recordsEnd,
  recordsStart,
  removalKey,
  type StoreMark,
  subOf,
  unsealOrThrow,
} from '../mvcc/schema.js';
import { type MvccState, noConfiguration } from '../mvcc/state.js';
import {
  blocksEnd,
  blocksStart,
  type CheckpointHeader,
  decodeHeader,
  emptyCheckpoint,
  encodeHeader,
  headerKey,
  readCheckpoint,
} from './checkpoint.js';
import { clearRange } from './clear.js';
import { journalEnd, journalStart, readJournal } from './journal.js';
import { IndexMerger } from './merge.js';

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
  journalEnd: 0,
  journalBytes: 0,
};

/** What a start found beside the state itself. */
export interface Restored {
  /** The mark in the KvStore. */
  readonly mark: StoreMark;
  /** The checkpoint there; undefined: there is none to go on from. */
  readonly checkpoint: CheckpointHeader | undefined;
}

/** Fills `state` from the KvStore. StorageError if it is damaged. */
export async function restore(state: MvccState): Promise<Restored> {
  const { kv, path } = state;
  await moveFormat1(state);
  const keys = [formatKey, markKey, headerKey, removalKey];
  const [format, sealedMark, sealedHeader, sealedRemoval] = await kv.getMany(keys);
  if (format === undefined) {
    await createStore(state, sealedMark);
  } else if (Number(format.toString()) !== formatVersion) {
    throw damage(
      `The data has format ${format.toString()}, this version of kvorum reads ${formatVersion}`,
      path,
    );
  }
  let mark = sealedMark === undefined ? emptyMark : decodeMark(sealedMark, path);
  let checkpoint = sealedHeader === undefined ? undefined : decodeHeader(sealedHeader);
  if (format === undefined) checkpoint = emptyCheckpoint;
  const removal = sealedRemoval === undefined ? undefined : decodeRemoval(sealedRemoval);
  if (removal !== undefined && removal.revision > mark.removedRevision) state.removal = removal;
  const view = kv.view();
  try {
    await restoreMeta(state, view, mark);
    const isKept = checkpoint !== undefined && mark.journalEnd >= 0;
    const isWanted = mark.records >= state.checkpointKeysMin && sealedMark !== undefined;
    let isRestored = false;
    if (isKept && isWanted) isRestored = await restoreIndex(state, view, mark, checkpoint);
    if (!isRestored) await new IndexBuilder(state, mark).run(view);
    if (!isKept || (isWanted && !isRestored)) {
      checkpoint = undefined;
      mark = { ...mark, journalEnd: 0, journalBytes: 0 };
      await removeSaved(state, sealedMark === undefined ? undefined : mark);
    }
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
  return { mark, checkpoint };
}

/** Fills the index from what was saved of it; false if that is not whole. */
async function restoreIndex(
  state: MvccState,
  view: KvView,
  mark: StoreMark,
  checkpoint: CheckpointHeader | undefined,
): Promise<boolean> {
  if (checkpoint === undefined) return false;
  const wrong = await mergeSaved(state, view, mark, checkpoint);
  if (wrong === undefined) return true;
  state.logger.warn('the saved index is not used, all records are read instead', { reason: wrong });
  state.leases.clear();
  return false;
}

async function mergeSaved(
  state: MvccState,
  view: KvView,
  mark: StoreMark,
  checkpoint: CheckpointHeader,
): Promise<string | undefined> {
  const journal = await readJournal(view, checkpoint.journalStart, mark.journalEnd);
  if (typeof journal === 'string') return journal;
  try {
    const merger = new IndexMerger(state, mark, journal);
    return (await readCheckpoint(view, checkpoint, merger.add)) ?? merger.finish();
  } catch (error) {
    // What does not even go together must not keep the store from reading its records.
    if (error instanceof InvariantError) return error.message;
    throw error;
  }
}

/** After this there is no saved index; the header goes first, and the journal begins anew. */
async function removeSaved(state: MvccState, mark: StoreMark | undefined): Promise<void> {
  const { kv } = state;
  const changes: KvChange[] = [{ key: headerKey }];
  if (mark !== undefined) changes.push({ key: markKey, value: encodeMark(mark) });
  await kv.write(changes, { sync: true });
  await clearRange(kv, journalStart, journalEnd);
  await clearRange(kv, blocksStart, blocksEnd);
  // Of earlier versions.
  await clearRange(kv, Buffer.from('h'), Buffer.from('j'));
}

/** Format 1 had the mark at another place: all at once, it is of the present format. */
async function moveFormat1(state: MvccState): Promise<void> {
  const { kv, path } = state;
  const [format, sealed] = await kv.getMany([formatKey, markKeyOfFormat1]);
  if (format === undefined || format.toString() !== '1') return;
  const changes: KvChange[] = [{ key: formatKey, value: Buffer.from(String(formatVersion)) }];
  if (sealed !== undefined) {
    changes.push({ key: markKeyOfFormat1 });
    const mark = decodeMark(sealed, path, markKeyOfFormat1);
    changes.push({ key: markKey, value: encodeMark(mark) });
  }
  await kv.write(changes, { sync: true });
}

async function createStore(state: MvccState, mark: Buffer | undefined): Promise<void> {
  const everything = { gte: Buffer.from([0]), lt: Buffer.from([0xff]), countMax: 1, bytesMax: 1 };
  const [first] = await state.kv.scan(everything);
  if (first !== undefined || mark !== undefined) {
    throw damage('The database holds data but no format record', state.path);
  }
  const value = Buffer.from(String(formatVersion));
  const header = { key: headerKey, value: encodeHeader(emptyCheckpoint) };
  await state.kv.write([{ key: formatKey, value }, header], { sync: true });
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
      state.metaBytes += metaBytesOf(name, value);
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
  readonly #state: MvccState;
  readonly #mark: StoreMark;
  readonly #reader = new RecordReader();
  #sizeBytes = 0;
  #records = 0;
  #lastMain = 0;

  constructor(state: MvccState, mark: StoreMark) {
    this.#state = state;
    this.#mark = mark;
  }

  async run(view: KvView): Promise<void> {
    const { path } = this.#state;
    let next = view.scan(pageFrom(recordsStart));
    for (;;) {
      const page = await next;
      const last = page[page.length - 1];
      if (last === undefined) break;
      // The next page is read on another thread while this one goes into the index.
      next = view.scan(pageFrom(Buffer.concat([last[0], Buffer.from([0])])));
      next.catch(() => {});
      for (const [key, sealed] of page) this.#add(key, sealed);
    }
    const mark = this.#mark;
    if (this.#records !== mark.records || this.#sizeBytes !== mark.sizeBytes) {
      throw damage(
        `The database should hold ${mark.records} records of ${mark.sizeBytes} bytes at revision ` +
          `${mark.revision}, but has ${this.#records} of ${this.#sizeBytes}`,
        path,
      );
    }
    if (this.#lastMain > mark.revision) {
      throw damage(
        `The database is at revision ${mark.revision} but holds revision ${this.#lastMain}`,
        path,
      );
    }
  }

  #add(key: Buffer, sealed: Buffer): void {
    const state = this.#state;
    const reader = this.#reader;
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
    this.#records += 1;
    this.#sizeBytes += bytes;
    this.#lastMain = main;
    if (tombstone) this.#addTombstone(main, sub, bytes);
    else this.#addPut(main, sub, bytes);
  }

  #addPut(main: number, sub: number, bytes: number): void {
    const { index, leases } = this.#state;
    const { key, createRevision, version, lease } = this.#reader;
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

  #addTombstone(main: number, sub: number, bytes: number): void {
    const { index, leases } = this.#state;
    const key = this.#reader.key;
    const item = index.locate(key);
    if (item === undefined) {
      // The puts before it were compacted away.
      const dead = new KeyItem(main, sub, bytes, noLocation);
      dead.dead = true;
      index.insertHere(key, dead);
      return;
    }
    if (item.dead)
      throw damage(`revision ${main} deletes a key that does not exist`, this.#state.path);
    itemDelete(item, main, sub, bytes);
    index.touchHere(main);
    index.adjustHere(-1);
    leases.delete(key);
  }
}

function pageFrom(gte: Buffer): { gte: Buffer; lt: Buffer; countMax: number; bytesMax: number } {
  return { gte, lt: recordsEnd, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
}
