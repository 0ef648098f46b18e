/**
 * KvStore over LevelDB (classic-level), the only file that imports it.
 *
 * Measured on 2 cores with 300-byte values: a chained batch costs 1.1 us of JavaScript a put, the
 * array form of batch() 9.9 us, because it clones every operation.
 *
 * Every batch is written with an fsync, whatever the caller asked for (but see openLevelStore).
 * LevelDB starts a new log file when its memory table is full and does not sync the old one, so
 * after power loss a batch in the new file can be there while the end of the old one is not: a
 * hole, where KvStore promises a prefix. With nothing unsynced behind it there can be no hole. A
 * batch holds hundreds of puts and the sync runs on another thread; it made no difference in the
 * measurement above (12.2 and 12.4 us).
 */

import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel, type Iterator, type Snapshot } from 'classic-level';
import {
  assert,
  type KvChange,
  type KvScan,
  type KvStore,
  type KvView,
  StorageError,
} from '../../common/index.js';
import { diskFailure } from '../disk-failure.js';
import { damagedRemedy, inUseRemedy } from '../remedies.js';
import { isRevisionKey } from '../schema/index.js';
import { TableReads } from './table-reads.js';

type Level = ClassicLevel<Buffer, Buffer>;
/** How abstract-level talks to the batch of a database (its "private API for implementors"). */
interface DirectBatch {
  _put(key: Uint8Array, value: Uint8Array): void;
  _del(key: Uint8Array): void;
}
type LevelIterator = Iterator<Level, Buffer, Buffer>;

/**
 * How the database is tuned. Measured with 200,000 puts of 300 random bytes, CPU of all threads for
 * a put and for a scanned record, and memory (the machine was busy; compare, don't quote):
 *
 *   this                         2.5 us   2.6 us    43 MB
 *   with Snappy                  3.1 us   3.0 us    43 MB
 *   write buffer 4, files 2 MB   2.8 us   2.3 us    39 MB
 *   write buffer 64 MB           2.2 us   3.1 us    91 MB
 */
const options = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  // Values are small and often compressed or encrypted already.
  compression: false,
  writeBufferSize: 16 * 1024 * 1024,
  maxFileSize: 8 * 1024 * 1024,
  // Hot values are cached above, as records; this is for index blocks and neighbours.
  cacheSize: 8 * 1024 * 1024,
  // LevelDB maps each open table into memory, up to a thousand of them: that takes neither a file
  // descriptor nor memory that the system could not take back, though what was read counts as
  // resident. With 64, and 79 tables, a read had to open its table every second time, and find the
  // pages of it anew: 48 us instead of 13 (docs/adr/0009).
  maxOpenFiles: 1000,
} as const;

/**
 * In a small container LevelDB has a smaller part, too: with two write buffers and what it merges,
 * it takes three times of one.
 */
const smallMemoryBytes = 768 * 1024 * 1024;
const smallOptions = {
  ...options,
  writeBufferSize: 4 * 1024 * 1024,
  cacheSize: 4 * 1024 * 1024,
} as const;

/**
 * Changes that a batch takes in one turn: half a microsecond each on a busy member, three on one
 * that idles. In one go, a thousand of them held up a put for 1 to 3 ms, and the batch of a delete
 * of a hundred thousand keys everything for 50 to 100.
 */
const changesPerTurn = 200;

/** How no key of the store ends: longer than any but those of meta records, which are text. */
const nobodysEnd = Buffer.alloc(32, 0xff);

/**
 * Opens or creates the database in `dir`. StorageError if another process has it open or it is
 * damaged. With `turn`, which resolves in a later turn, long batches are gathered in pieces.
 * Without `sync` no batch is waited for until it is on the disk: power loss then takes any of them.
 * `memoryBytes` is what this process and its part of the page cache may take together: of data that
 * are much larger, records are read around LevelDB (table-reads.ts).
 */
export async function openLevelStore(
  dir: string,
  turn: () => Promise<void> = () => Promise.resolve(),
  sync = true,
  memoryBytes = Number.POSITIVE_INFINITY,
): Promise<KvStore> {
  const db: Level = new ClassicLevel<Buffer, Buffer>(
    dir,
    memoryBytes < smallMemoryBytes ? smallOptions : options,
  );
  try {
    await db.open();
  } catch (cause) {
    throw explainOpen(dir, cause);
  }
  const tables = new TableReads(dir, memoryBytes);
  // They may be large already.
  if (Number.isFinite(memoryBytes)) await tables.list().catch(() => {});
  return new LevelStore(db, dir, turn, sync, tables);
}

class LevelStore implements KvStore {
  readonly #db: Level;
  readonly #dir: string;
  readonly #turn: () => Promise<void>;
  readonly #writeOptions: { readonly sync: boolean };
  readonly #tables: TableReads;
  /** Resolves when the last of the batches that wait to be complete is. */
  #gathering: Promise<void> | undefined;

  constructor(
    db: Level,
    dir: string,
    turn: () => Promise<void>,
    sync: boolean,
    tables: TableReads,
  ) {
    this.#tables = tables;
    this.#db = db;
    this.#dir = dir;
    this.#turn = turn;
    this.#writeOptions = { sync };
  }

  getMany(keys: readonly Uint8Array[]): Promise<Array<Buffer | undefined>> {
    if (this.#tables.isUseful) return this.#getFromTables(keys as readonly Buffer[]);
    return this.#guard(this.#db.getMany(keys as Buffer[]), 'reading');
  }

  /** One read after the other: together they would take all threads from what has to be durable. */
  async #getFromTables(keys: readonly Buffer[]): Promise<Array<Buffer | undefined>> {
    const values: Array<Buffer | undefined> = [];
    // What may change is LevelDB's to say.
    for (const key of keys) {
      values.push(isRevisionKey(key) ? await this.#tables.get(key) : undefined);
    }
    const missing = keys.filter((_, i) => values[i] === undefined);
    if (missing.length === 0) return values;
    const found = await this.#guard(this.#db.getMany(missing as Buffer[]), 'reading');
    let next = 0;
    return values.map((value) => {
      if (value !== undefined) return value;
      next += 1;
      return found[next - 1];
    });
  }

  write(changes: readonly KvChange[], _options: { readonly sync: boolean }): Promise<void> {
    if (this.#gathering !== undefined || changes.length > changesPerTurn) {
      return this.#writeLong(changes);
    }
    const batch = this.#db.batch();
    fill(batch, changes, 0, changes.length);
    return this.#guard(batch.write(this.#writeOptions), 'writing');
  }

  /** Batches are written in the order of the calls, so a short one waits for a long one here. */
  async #writeLong(changes: readonly KvChange[]): Promise<void> {
    const before = this.#gathering;
    let finish = (): void => {};
    const mine = new Promise<void>((resolve) => {
      finish = resolve;
    });
    this.#gathering = mine;
    let written: Promise<void>;
    try {
      await before;
      const batch = this.#db.batch();
      for (let from = 0; from < changes.length; from += changesPerTurn) {
        if (from > 0) await this.#turn();
        fill(batch, changes, from, Math.min(from + changesPerTurn, changes.length));
      }
      written = batch.write(this.#writeOptions);
    } finally {
      if (this.#gathering === mine) this.#gathering = undefined;
      finish();
    }
    await this.#guard(written, 'writing');
  }

  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>> {
    return this.#guard(scanPage(this.#db, range), 'reading');
  }

  view(): KvView {
    const view = new LevelView(this.#db);
    return {
      scan: (range) => this.#guard(view.scan(range), 'reading'),
      close: () => view.close(),
    };
  }

  /**
   * LevelDB rewrites the tables of a level together with those above them, so the lowest ones would
   * keep what was replaced or deleted in them. So that there is something above all of them, two
   * keys are deleted that nobody has, at the ends of the range.
   */
  async compact(gte: Uint8Array, lt: Uint8Array): Promise<void> {
    assert(Buffer.compare(gte, lt) < 0, 'a range begins before it ends');
    const db = this.#db;
    const first = Buffer.concat([gte, Buffer.from([0]), nobodysEnd]);
    // What is in memory goes into a table, too, or it would come to lie below the two.
    await this.#guard(db.compactRange(first, first), 'writing a table');
    await this.write([{ key: first }, { key: lastBefore(lt) }], { sync: true });
    await this.#guard(db.compactRange(gte as Buffer, lt as Buffer), 'compacting');
  }

  /** LevelDB itself knows of its tables only, and has up to 16 MiB in its log. */
  async sizeBytes(): Promise<number> {
    let bytes = 0;
    const files = new Map<string, number>();
    // One after the other: they wait for the same threads as what makes the log durable.
    for (const name of await this.#guard(readdir(this.#dir), 'listing its files')) {
      try {
        const { size } = await stat(join(this.#dir, name));
        files.set(name, size);
        bytes += size;
      } catch {
        // It was merged into another one meanwhile.
      }
    }
    this.#tables.take(files);
    return bytes;
  }

  async close(): Promise<void> {
    await this.#tables.close();
    await this.#db.close();
  }

  async #guard<T>(work: Promise<T>, what: string): Promise<T> {
    try {
      return await work;
    } catch (cause) {
      throw diskFailure(`LevelDB failed while ${what}`, this.#dir, cause, damagedRemedy);
    }
  }
}

/** A key below `lt` and above all below it but those that end like it, of which there are none. */
function lastBefore(lt: Uint8Array): Buffer {
  let length = lt.length;
  while (length > 0 && lt[length - 1] === 0) length -= 1;
  const before = Buffer.from(lt.subarray(0, length));
  if (length > 0) before[length - 1] = (before[length - 1] as number) - 1;
  return Buffer.concat([before, nobodysEnd]);
}

/** Adds `changes[from, to)` to a batch. */
function fill(
  batch: ReturnType<Level['batch']>,
  changes: readonly KvChange[],
  from: number,
  to: number,
): void {
  // What the public methods call in the end. They make two objects for each operation first, for
  // hooks and events that nobody uses here; but they count, and an empty batch is not written.
  assert(to <= changes.length, 'a batch is filled with its own changes');
  const direct = batch as unknown as DirectBatch;
  for (let i = from; i < to; i += 1) {
    const { key, value } = changes[i] as KvChange;
    if (i === 0 && value === undefined) batch.del(key as Buffer);
    else if (i === 0) batch.put(key as Buffer, value as Buffer);
    else if (value === undefined) direct._del(key);
    else direct._put(key, value);
  }
}

type Entries = Array<readonly [Buffer, Buffer]>;

/**
 * A view is mostly read from one end to the other: the iterator is kept for the page that follows.
 * Measured with records of 330 bytes, CPU of all threads: 3.3 us a record with an iterator for each
 * page and LevelDB's usual 16 KiB a call, 1.8 us so. What remains is the making of the buffers.
 */
class LevelView implements KvView {
  readonly #db: Level;
  readonly #snapshot: Snapshot;
  #iterator: LevelIterator | undefined;
  /** The page that `iterator` is ready for. */
  #bytesMax = 0;
  #lt: Uint8Array = Buffer.alloc(0);
  #last: Buffer | undefined;
  #closed = false;

  constructor(db: Level) {
    this.#db = db;
    this.#snapshot = db.snapshot();
  }

  async scan(range: KvScan): Promise<Entries> {
    const ready = this.#follows(range) ? this.#iterator : undefined;
    const stale = ready === undefined ? this.#iterator : undefined;
    // Taken out while it works, so that a second scan at the same time gets one of its own.
    this.#iterator = undefined;
    const iterator = ready ?? openIterator(this.#db, range, this.#snapshot, -1);
    await stale?.close();
    let page: Entries = [];
    try {
      page = await iterator.nextv(range.countMax);
    } catch (cause) {
      await iterator.close();
      throw cause;
    }
    const last = page[page.length - 1];
    if (last === undefined || this.#iterator !== undefined || this.#closed) {
      await iterator.close();
      return page;
    }
    this.#iterator = iterator;
    this.#bytesMax = range.bytesMax;
    this.#lt = range.lt;
    this.#last = last[0];
    return page;
  }

  async close(): Promise<void> {
    // A scan that is still under way closes its iterator itself.
    this.#closed = true;
    await this.#iterator?.close();
    await this.#snapshot.close();
  }

  #follows(range: KvScan): boolean {
    const last = this.#last;
    return (
      last !== undefined &&
      range.bytesMax === this.#bytesMax &&
      Buffer.compare(range.lt, this.#lt) === 0 &&
      range.gte.length === last.length + 1 &&
      range.gte[last.length] === 0 &&
      Buffer.compare(range.gte.subarray(0, last.length), last) === 0
    );
  }
}

async function scanPage(db: Level, range: KvScan): Promise<Entries> {
  const iterator = openIterator(db, range, undefined, range.countMax);
  try {
    return await iterator.nextv(range.countMax);
  } finally {
    await iterator.close();
  }
}

function openIterator(
  db: Level,
  range: KvScan,
  snapshot: Snapshot | undefined,
  limit: number,
): LevelIterator {
  return db.iterator({
    gte: range.gte as Buffer,
    lt: range.lt as Buffer,
    limit,
    fillCache: false,
    // One call ends with the entry with which more than so many bytes are read.
    highWaterMarkBytes: Math.max(0, range.bytesMax - 1),
    ...(snapshot === undefined ? {} : { snapshot }),
  });
}

function explainOpen(dir: string, cause: unknown): StorageError {
  const inner = cause instanceof Error ? cause.cause : undefined;
  const code = inner instanceof Error && 'code' in inner ? inner.code : undefined;
  if (code === 'LEVEL_LOCKED') {
    return new StorageError('The data directory is in use by another process', {
      path: dir,
      remedy: inUseRemedy,
      cause,
    });
  }
  return diskFailure("the database can't be opened", dir, cause, damagedRemedy);
}
