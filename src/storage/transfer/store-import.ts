/**
 * Fills an empty KvStore with a state from outside: revisions as etcd keeps them, meta records, and
 * the mark last. Without the mark and the format record, which come in one synced batch, a store
 * is refused at open, so what was cut short never counts.
 */

import {
  assert,
  flushBatchBytesMax,
  flushBatchRecordsMax,
  InvariantError,
  type KeyString,
  type KvChange,
  type KvStore,
  type LeaseId,
  type Revision,
} from '../../common/index.js';
import {
  type AppliedMark,
  encodeMark,
  formatKey,
  formatVersion,
  isRevisionKey,
  isTombstone,
  mainOf,
  markKey,
  metaKey,
  metaSumOf,
  prefixRecord,
  RecordReader,
  recordOverheadBytes,
  seal,
} from '../schema/index.js';

/** What is known of the state when all of it has been added. */
export interface ImportedMark extends AppliedMark {
  readonly revision: Revision;
  /** See StoreMark. */
  readonly compactRevision: Revision;
  readonly removedRevision: Revision;
}

export class StoreImport {
  /** Revisions that were added. */
  records = 0;
  /** Of the newest revision. */
  revision: Revision = 0;
  /** Keys that exist in the newest revision, and have a lease. */
  readonly leasedKeys = new Map<KeyString, LeaseId>();
  readonly #kv: KvStore;
  readonly #reader = new RecordReader();
  #changes: KvChange[] = [];
  #bytes = 0;
  #sizeBytes = 0;
  #metaSum = 0;

  constructor(kv: KvStore) {
    this.#kv = kv;
  }

  /** True if {@link record} and {@link meta} should wait for {@link flush}. */
  get isFull(): boolean {
    return this.#changes.length >= flushBatchRecordsMax || this.#bytes >= flushBatchBytesMax;
  }

  /**
   * Adds one revision: etcd's key of 17 bytes (18 for a tombstone) and the encoded KeyValue; both
   * are copied. Returns what is wrong with it, if it was not taken.
   */
  record(revisionBytes: Buffer, keyValue: Buffer): string | undefined {
    const key = Buffer.allocUnsafe(1 + revisionBytes.length);
    key[0] = prefixRecord;
    key.set(revisionBytes, 1);
    if (!isRevisionKey(key)) return 'a revision of an unknown form';
    // Beyond this a number is not exact any more.
    if (key.readUInt32BE(1) >= 2 ** 21) return 'a revision that is too large';
    // What etcdutl's --bump-revision writes: the revision counts, but there is nothing in it.
    const isEmpty = keyValue.length === 0;
    const wrong = isEmpty ? undefined : this.#wrongWith(key, keyValue);
    if (wrong !== undefined) return wrong;
    if (isEmpty) {
      this.revision = mainOf(key);
      return undefined;
    }
    this.#noteLease(isTombstone(key));
    this.records += 1;
    this.revision = mainOf(key);
    this.#sizeBytes += keyValue.length + recordOverheadBytes;
    this.#add(key, seal(key, keyValue));
    return undefined;
  }

  /** Adds a meta record. */
  meta(name: string, value: Uint8Array): void {
    this.#metaSum = (this.#metaSum + metaSumOf(name, value)) >>> 0;
    const key = metaKey(name);
    this.#add(key, seal(key, value));
  }

  /** Writes what has gathered. */
  async flush(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    this.#bytes = 0;
    if (changes.length > 0) await this.#kv.write(changes, { sync: false });
  }

  /** Writes the mark, and syncs it and everything before it. */
  async finish(mark: ImportedMark): Promise<void> {
    assert(mark.revision >= this.revision, 'no revision is newer than the state');
    assert(mark.compactRevision <= mark.revision, 'what is compacted is there');
    await this.flush();
    const sealed = encodeMark({
      ...mark,
      sizeBytes: this.#sizeBytes,
      records: this.records,
      metaSum: this.#metaSum,
      // Nobody has kept one: the first start makes the index from the records.
      journalEnd: -1,
      journalBytes: 0,
    });
    const format = { key: formatKey, value: Buffer.from(String(formatVersion)) };
    await this.#kv.write([format, { key: markKey, value: sealed }], { sync: true });
  }

  #wrongWith(key: Buffer, keyValue: Buffer): string | undefined {
    const reader = this.#reader;
    try {
      reader.read(keyValue, 0, keyValue.length);
    } catch (error) {
      if (error instanceof InvariantError) return error.message;
      throw error;
    }
    if (reader.key === '') return 'a revision without a key';
    if (isTombstone(key) || reader.modRevision === mainOf(key)) return undefined;
    return 'a revision with another one inside';
  }

  /** Of the record that was read last. */
  #noteLease(isDeleted: boolean): void {
    const { key, lease } = this.#reader;
    if (!isDeleted && lease !== 0n) this.leasedKeys.set(key, lease);
    else if (this.leasedKeys.size > 0) this.leasedKeys.delete(key);
  }

  #add(key: Buffer, value: Buffer): void {
    this.#changes.push({ key, value });
    this.#bytes += key.length + value.length;
  }
}
