/**
 * Records read from LevelDB's tables with one `pread` each, where the tables are larger than the
 * memory that could hold them (docs/adr/0018).
 *
 * LevelDB maps its tables into memory, and tells the system nothing of how it reads them: a fault
 * reads ahead, up to megabytes for a record of some kilobytes, and pushes out what others need. A
 * `pread` at a place that nobody expected reads what was asked for.
 *
 * What is read is right whatever LevelDB did meanwhile: a record is written once and never changes,
 * so any table that has its key has its value, also one that LevelDB has merged into others since;
 * and the checksum of the record, which the caller looks at, says whether the bytes are it. What is
 * not found is not said to be missing: it is asked of LevelDB, which has the newest in its memory.
 */

import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  assert,
  InvariantError,
  tableIndexBytesMax,
  tableIndexMemoryShare,
  tableListIntervalReads,
  tablesOpenMax,
} from '../../common/index.js';
import {
  blockTrailerBytes,
  firstKeyOf,
  footerBytes,
  indexPlaceOf,
  plainBlock,
  TableIndex,
  valueIn,
} from './table.js';

/** What was asked of memory before a table's index is read: most are below. */
const firstKeyBytesMax = 256;

/** A table that can be read. */
interface OpenTable {
  readonly file: FileHandle;
  readonly index: TableIndex;
}

/** A table that there is, or was when the directory was last looked at. */
interface KnownTable {
  readonly name: string;
  readonly sizeBytes: number;
  /** Undefined: not looked at yet; null: it can't be read this way. */
  smallest: Buffer | null | undefined;
  largest: Buffer | undefined;
  opened: Promise<OpenTable | undefined> | undefined;
  /** Counts up: the one that was used longest ago is closed first. */
  usedAt: number;
  indexBytes: number;
}

/** The tables of one directory. */
export class TableReads {
  readonly #dir: string;
  readonly #memoryBytes: number;
  #tables = new Map<string, KnownTable>();
  /** Those whose keys are known, by their first key. */
  #sorted: KnownTable[] = [];
  #tableBytes = 0;
  #uses = 0;
  #open = 0;
  #indexBytes = 0;
  #missesSinceListed = 0;
  #listing: Promise<void> | undefined;
  #closed = false;

  /** `memoryBytes`: what this process may use; Infinity: everything goes by LevelDB. */
  constructor(dir: string, memoryBytes: number) {
    this.#dir = dir;
    this.#memoryBytes = memoryBytes;
  }

  /** The tables are more than the system could keep in memory beside this process. */
  get isUseful(): boolean {
    return this.#tableBytes > this.#memoryBytes / 2;
  }

  /** `files` is what the directory has now, in bytes by name. */
  take(files: ReadonlyMap<string, number>): void {
    const tables = new Map<string, KnownTable>();
    this.#tableBytes = 0;
    for (const [name, sizeBytes] of files) {
      if (!/^\d+\.(ldb|sst)$/.test(name)) continue;
      this.#tableBytes += sizeBytes;
      tables.set(name, this.#tables.get(name) ?? unknownTable(name, sizeBytes));
    }
    for (const [name, table] of this.#tables) if (!tables.has(name)) this.#close(table);
    this.#tables = tables;
    this.#sort();
  }

  /** What the tables have of `key`, in memory of its own; undefined: ask LevelDB. */
  async get(key: Buffer): Promise<Buffer | undefined> {
    try {
      await this.#learn();
      for (const table of this.#candidates(key)) {
        const value = await this.#getFrom(table, key);
        if (value !== undefined) return value;
      }
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // A table that was merged away, or is no table: LevelDB knows, and says what is wrong.
    }
    this.#missesSinceListed += 1;
    if (this.#missesSinceListed >= tableListIntervalReads) await this.list();
    return undefined;
  }

  /** Looks at the directory anew. */
  list(): Promise<void> {
    this.#listing ??= this.#list().finally(() => {
      this.#listing = undefined;
    });
    return this.#listing;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#listing;
    const closing = [...this.#tables.values()].map((table) => this.#close(table));
    this.#tables.clear();
    this.#sorted = [];
    await Promise.all(closing);
  }

  async #list(): Promise<void> {
    this.#missesSinceListed = 0;
    const files = new Map<string, number>();
    for (const name of await readdir(this.#dir)) {
      if (this.#closed) return;
      try {
        files.set(name, (await stat(join(this.#dir, name))).size);
      } catch {
        // It was merged into another one meanwhile.
      }
    }
    this.take(files);
  }

  /** The first and last keys of tables that are new. */
  async #learn(): Promise<void> {
    const unknown = [...this.#tables.values()].filter(({ smallest }) => smallest === undefined);
    if (unknown.length === 0) return;
    for (const table of unknown) {
      try {
        if ((await this.#opened(table)) === undefined) table.smallest ??= null;
      } catch (error) {
        if (error instanceof InvariantError) throw error;
        table.smallest = null;
      }
    }
    this.#sort();
  }

  #sort(): void {
    this.#sorted = [...this.#tables.values()]
      .filter(({ smallest }) => smallest !== undefined && smallest !== null)
      .sort((a, b) => Buffer.compare(a.smallest as Buffer, b.smallest as Buffer));
  }

  /**
   * Tables that may have `key`. Those that begin last come first: records are written in the order
   * of their keys, so it is nearly always the first.
   */
  *#candidates(key: Buffer): Generator<KnownTable> {
    const sorted = this.#sorted;
    let low = 0;
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { smallest } = sorted[middle] as KnownTable;
      if (Buffer.compare(smallest as Buffer, key) <= 0) low = middle + 1;
      else high = middle;
    }
    let tried = 0;
    for (let at = low - 1; at >= 0 && tried < candidatesMax; at -= 1) {
      const table = sorted[at] as KnownTable;
      if (Buffer.compare(table.largest as Buffer, key) < 0) continue;
      tried += 1;
      yield table;
    }
  }

  async #getFrom(table: KnownTable, key: Buffer): Promise<Buffer | undefined> {
    const opened = await this.#opened(table);
    const place = opened?.index.find(key);
    if (opened === undefined || place === undefined) return undefined;
    const bytes = await read(opened.file, place.offset, place.size + blockTrailerBytes);
    const block = plainBlock(bytes, place.size);
    const value = block === undefined ? undefined : valueIn(block, key);
    // The block is as large as its entries: where the value is most of it, it may keep it.
    if (value === undefined || value.length * 2 > bytes.length) return value;
    return Buffer.from(value);
  }

  #opened(table: KnownTable): Promise<OpenTable | undefined> {
    this.#uses += 1;
    table.usedAt = this.#uses;
    table.opened ??= this.#openTable(table);
    return table.opened;
  }

  async #openTable(table: KnownTable): Promise<OpenTable | undefined> {
    this.#makeRoom();
    this.#open += 1;
    let file: FileHandle | undefined;
    try {
      file = await open(join(this.#dir, table.name), 'r');
      const index = await readIndex(file, table.sizeBytes);
      const first = await read(file, 0, Math.min(firstKeyBytesMax, table.sizeBytes));
      const smallest = firstKeyOf(first);
      if (index === undefined || smallest === undefined || this.#closed) {
        throw new RangeError('this is no table that can be read');
      }
      table.smallest = Buffer.from(smallest);
      table.largest = Buffer.from(index.last);
      assert(table.indexBytes === 0, 'a table is opened once at a time');
      table.indexBytes = index.bytes;
      this.#indexBytes += index.bytes;
      return { file, index };
    } catch (error) {
      this.#open -= 1;
      table.opened = undefined;
      table.smallest ??= null;
      await file?.close();
      throw error;
    }
  }

  /** Closes those that were not used for longest. */
  #makeRoom(): void {
    const bytesMax = Math.min(tableIndexBytesMax, this.#memoryBytes / tableIndexMemoryShare);
    while (this.#open >= tablesOpenMax || this.#indexBytes > bytesMax) {
      let oldest: KnownTable | undefined;
      for (const table of this.#tables.values()) {
        if (table.indexBytes === 0 || table.opened === undefined) continue;
        if (oldest === undefined || table.usedAt < oldest.usedAt) oldest = table;
      }
      if (oldest === undefined) return;
      void this.#close(oldest);
    }
  }

  /** Reads that are under way end first; never rejects. */
  async #close(table: KnownTable): Promise<void> {
    const { opened } = table;
    if (opened === undefined) return;
    table.opened = undefined;
    this.#indexBytes -= table.indexBytes;
    table.indexBytes = 0;
    try {
      const one = await opened;
      if (one === undefined) return;
      this.#open -= 1;
      assert(this.#open >= 0 && this.#indexBytes >= 0, 'what is closed was open');
      await one.file.close();
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      // It could not be opened: there is nothing to close.
    }
  }
}

/** More would have the key only while LevelDB merges tables; then LevelDB is asked. */
const candidatesMax = 3;

function unknownTable(name: string, sizeBytes: number): KnownTable {
  return {
    ...{ name, sizeBytes, smallest: undefined, largest: undefined, opened: undefined },
    ...{ usedAt: 0, indexBytes: 0 },
  };
}

async function readIndex(file: FileHandle, sizeBytes: number): Promise<TableIndex | undefined> {
  if (sizeBytes < footerBytes) return undefined;
  const place = indexPlaceOf(await read(file, sizeBytes - footerBytes, footerBytes));
  if (place === undefined || place.offset + place.size > sizeBytes) return undefined;
  const bytes = await read(file, place.offset, place.size + blockTrailerBytes);
  const block = plainBlock(bytes, place.size);
  return block === undefined ? undefined : new TableIndex(block);
}

/** `length` bytes at `offset`, or fewer at the end of the file. */
async function read(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytes.subarray(0, bytesRead);
}
