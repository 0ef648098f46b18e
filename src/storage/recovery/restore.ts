/**
 * Brings a store back from its KvStore: the mark, the meta records, and the index. That comes from
 * all revisions in order if there are few, else from its last checkpoint and the journal since then
 * (recovery/merge.ts), and from all revisions again if those are not whole. What is found must add
 * up to what the mark says was written, record for record and byte for byte; if it does not,
 * something was lost, and the member must not start (L-5, L-42: revisions never
 * go back).
 */

import {
  assert,
  InvariantError,
  type KvChange,
  type KvStore,
  type KvView,
  type Logger,
  mvccSliceKeysMax,
  scanPageBytes,
} from '../../common/index.js';
import { emptyConfiguration } from '../../raft/index.js';
import { itemDelete, type KeyIndex, KeyItem, noLocation } from '../index/index.js';
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
  metaEnd,
  metaName,
  metaStart,
  metaSumOf,
  RecordReader,
  type Removal,
  recordOverheadBytes,
  recordsEnd,
  recordsStart,
  removalKey,
  type StoreMark,
  subOf,
  unsealOrThrow,
} from '../schema/index.js';
import {
  blocksEnd,
  blocksStart,
  type CheckpointHeader,
  decodeHeader,
  emptyCheckpoint,
  encodeHeader,
  headerKey,
  readCheckpoint,
} from './checkpoint-format.js';
import { clearRange } from './clear-range.js';
import { journalEnd, journalStart, readJournal } from './journal.js';
import { IndexMerger, type KeyLeaseMap } from './merge.js';

const emptyMark: StoreMark = {
  index: 0,
  term: 0,
  configuration: emptyConfiguration,
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

/** What a start fills: the memory of one state, empty before. */
export interface RestoreTarget {
  readonly kv: KvStore;
  /** Where that is, for messages. */
  readonly path: string;
  readonly logger: Logger;
  /** The saved index is used if there are at least so many records. */
  readonly checkpointKeysMin: number;
  readonly index: KeyIndex;
  readonly leases: KeyLeaseMap;
  setMeta(name: string, value: Uint8Array): void;
  /** All of it is there: it is the state of `mark`, with `removal` still to be finished. */
  restored(mark: StoreMark, removal: Removal | undefined): void;
}

/** Fills `target` from its KvStore. StorageError if that is damaged. */
export async function restore(target: RestoreTarget): Promise<Restored> {
  const { kv, path } = target;
  await moveFormat1(target);
  const keys = [formatKey, markKey, headerKey, removalKey];
  const [format, sealedMark, sealedHeader, sealedRemoval] = await kv.getMany(keys);
  if (format === undefined) {
    await createStore(target, sealedMark);
  } else if (Number(format.toString()) !== formatVersion) {
    throw damage(
      `The data has format ${format.toString()}, this version of kvorum reads ${formatVersion}`,
      path,
    );
  }
  let mark = sealedMark === undefined ? emptyMark : decodeMark(sealedMark, path);
  let checkpoint = sealedHeader === undefined ? undefined : decodeHeader(sealedHeader);
  if (format === undefined) checkpoint = emptyCheckpoint;
  let removal = sealedRemoval === undefined ? undefined : decodeRemoval(sealedRemoval);
  if (removal !== undefined && removal.revision <= mark.removedRevision) removal = undefined;
  const view = kv.view();
  try {
    await restoreMeta(target, view, mark);
    const isKept = checkpoint !== undefined && mark.journalEnd >= 0;
    const isWanted = mark.records >= target.checkpointKeysMin && sealedMark !== undefined;
    let isRestored = false;
    if (isKept && isWanted)
      isRestored = await restoreIndex(target, view, mark, removal, checkpoint);
    if (!isRestored) await new RecordReplay(target, mark).run(view);
    if (!isKept || (isWanted && !isRestored)) {
      checkpoint = undefined;
      mark = { ...mark, journalEnd: 0, journalBytes: 0 };
      await removeSaved(target, sealedMark === undefined ? undefined : mark);
    }
  } finally {
    await view.close();
  }
  target.restored(mark, removal);
  return { mark, checkpoint };
}

/** Fills the index from what was saved of it; false if that is not whole. */
async function restoreIndex(
  target: RestoreTarget,
  view: KvView,
  mark: StoreMark,
  removal: Removal | undefined,
  checkpoint: CheckpointHeader | undefined,
): Promise<boolean> {
  if (checkpoint === undefined) return false;
  const wrong = await mergeSaved(target, view, mark, removal, checkpoint);
  if (wrong === undefined) return true;
  target.logger.warn('the saved index is not used, all records are read instead', {
    reason: wrong,
  });
  target.leases.clear();
  return false;
}

async function mergeSaved(
  target: RestoreTarget,
  view: KvView,
  mark: StoreMark,
  removal: Removal | undefined,
  checkpoint: CheckpointHeader,
): Promise<string | undefined> {
  const journal = await readJournal(view, checkpoint.journalStart, mark.journalEnd);
  if (typeof journal === 'string') return journal;
  try {
    const merger = new IndexMerger(target, mark, removal, journal);
    return (await readCheckpoint(view, checkpoint, merger.add)) ?? merger.finish();
  } catch (error) {
    // What does not even go together must not keep the store from reading its records.
    if (error instanceof InvariantError) return error.message;
    throw error;
  }
}

/** After this there is no saved index; the header goes first, and the journal begins anew. */
async function removeSaved({ kv }: RestoreTarget, mark: StoreMark | undefined): Promise<void> {
  const changes: KvChange[] = [{ key: headerKey }];
  if (mark !== undefined) changes.push({ key: markKey, value: encodeMark(mark) });
  await kv.write(changes, { sync: true });
  await clearRange(kv, journalStart, journalEnd);
  await clearRange(kv, blocksStart, blocksEnd);
  // Of earlier versions.
  await clearRange(kv, Buffer.from('h'), Buffer.from('j'));
}

/** Format 1 had the mark at another place: all at once, it is of the present format. */
async function moveFormat1({ kv, path }: RestoreTarget): Promise<void> {
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

async function createStore({ kv, path }: RestoreTarget, mark: Buffer | undefined): Promise<void> {
  const everything = { gte: Buffer.from([0]), lt: Buffer.from([0xff]), countMax: 1, bytesMax: 1 };
  const [first] = await kv.scan(everything);
  if (first !== undefined || mark !== undefined) {
    throw damage('The database holds data but no format record', path);
  }
  const value = Buffer.from(String(formatVersion));
  const header = { key: headerKey, value: encodeHeader(emptyCheckpoint) };
  await kv.write([{ key: formatKey, value }, header], { sync: true });
}

async function restoreMeta(target: RestoreTarget, view: KvView, mark: StoreMark): Promise<void> {
  const { path } = target;
  let count = 0;
  let gte = metaStart;
  let sum = 0;
  for (;;) {
    const range = { gte, lt: metaEnd, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
    const page = await view.scan(range);
    for (const [key, sealed] of page) {
      const name = metaName(key);
      const value = Buffer.from(unsealOrThrow(key, sealed, path));
      target.setMeta(name, value);
      count += 1;
      sum = (sum + metaSumOf(name, value)) >>> 0;
    }
    const last = page[page.length - 1];
    if (last === undefined) break;
    gte = Buffer.concat([last[0], Buffer.from([0])]);
  }
  if (sum !== mark.metaSum) {
    throw damage(
      `The ${count} meta records (leases, alarms, members) are not those written last`,
      path,
    );
  }
}

/** Makes index and leases from all revisions, oldest first. */
class RecordReplay {
  readonly #target: RestoreTarget;
  readonly #mark: StoreMark;
  readonly #reader = new RecordReader();
  #sizeBytes = 0;
  #records = 0;
  #lastMain = 0;

  constructor(target: RestoreTarget, mark: StoreMark) {
    this.#target = target;
    this.#mark = mark;
  }

  async run(view: KvView): Promise<void> {
    const { path } = this.#target;
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
    const { path } = this.#target;
    const reader = this.#reader;
    if (!isRevisionKey(key)) throw damage(`unexpected key ${describeKey(key)}`, path);
    const record = unsealOrThrow(key, sealed, path);
    reader.read(record, 0, record.length);
    const main = mainOf(key);
    const sub = subOf(key);
    const tombstone = isTombstone(key);
    if (!tombstone && reader.modRevision !== main) {
      throw damage(`the record ${describeKey(key)} has another revision inside`, path);
    }
    const bytes = record.length + recordOverheadBytes;
    assert(main >= this.#lastMain, 'records are read in the order of their revisions');
    this.#records += 1;
    this.#sizeBytes += bytes;
    this.#lastMain = main;
    if (tombstone) this.#addTombstone(main, sub, bytes);
    else this.#addPut(main, sub, bytes);
  }

  #addPut(main: number, sub: number, bytes: number): void {
    const { index, leases } = this.#target;
    const { key, createRevision, version, lease } = this.#reader;
    index.locate(key);
    const item = index.putHere(key, main, sub, bytes, noLocation);
    // What a compaction removed is not there to count, the record remembers.
    item.created = createRevision;
    item.version = version;
    if (lease !== 0n) leases.set(key, lease);
    else if (leases.size > 0) leases.delete(key);
  }

  #addTombstone(main: number, sub: number, bytes: number): void {
    const { index, leases } = this.#target;
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
      throw damage(`revision ${main} deletes a key that does not exist`, this.#target.path);
    itemDelete(item, main, sub, bytes);
    index.diedHere(key, main);
    leases.delete(key);
  }
}

function pageFrom(gte: Buffer): { gte: Buffer; lt: Buffer; countMax: number; bytesMax: number } {
  return { gte, lt: recordsEnd, countMax: mvccSliceKeysMax, bytesMax: scanPageBytes };
}
