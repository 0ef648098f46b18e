/**
 * A simulated KvStore with the promise of the port and nothing more: batches are atomic and become
 * durable in order, and a crash keeps a prefix of them, at least up to the last one written with
 * `sync`, how much is up to the seed. Calls complete through the clock, in the order they were
 * made.
 *
 * A SimKvDisk outlives the processes that open stores on it, as a disk does. After `crash` the
 * handles of before never answer again; what they were writing may or may not be there.
 *
 * With a Disk beside it, the directories of the stores are on that: a file CURRENT in each says
 * which store is meant. So they can be listed, renamed and removed there, and a crash there decides
 * whether it was done.
 */

import {
  assert,
  type Clock,
  type Disk,
  type KvChange,
  type KvScan,
  type KvStore,
  type KvView,
  type Random,
  StorageError,
} from '../common/index.js';
import type { SimThreads } from './threads.js';

/** LevelDB merges nothing below the size of its first level. */
const garbageBytesMin = 16 * 1024 * 1024;

/** How the simulated disk behaves. */
export interface SimKvOptions {
  readonly clock: Clock;
  /** Decides latencies and what a crash loses. */
  readonly random: Random;
  /** Longest time of one call; 0: the next turn. */
  readonly latencyMsMax?: number;
  /** The threads that work on it; without them a call keeps only those waiting that come later. */
  readonly threads?: SimThreads;
  /** With `threads`: what each read takes; others as above. */
  readonly readLatencyMs?: number;
  /** Also keeps nothing that was not synced when true: the worst case. */
  readonly loseAllUnsynced?: boolean;
  /** Where the directories are; without it they are only names, and none can be removed. */
  readonly disk?: Disk;
  /** For a disk that never crashes: what was removed there is forgotten here at the next open. */
  readonly forgetsRemoved?: boolean;
}

interface Batch {
  readonly changes: ReadonlyArray<readonly [string, Buffer | undefined]>;
  readonly sync: boolean;
}

/** Sorted keys and their values. */
class Image {
  keys: string[] = [];
  values = new Map<string, Buffer>();

  clone(): Image {
    const copy = new Image();
    copy.keys = this.keys.slice();
    copy.values = new Map(this.values);
    return copy;
  }

  apply(batch: Batch): void {
    for (const [key, value] of batch.changes) {
      if (value === undefined) this.#remove(key);
      else this.#set(key, value);
    }
  }

  /** Position of the first key >= `key`. */
  lowerBound(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.keys[middle] as string) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  scan(range: KvScan): Array<readonly [Buffer, Buffer]> {
    const end = nameOf(range.lt);
    const found: Array<readonly [Buffer, Buffer]> = [];
    let bytes = 0;
    for (let i = this.lowerBound(nameOf(range.gte)); i < this.keys.length; i += 1) {
      const key = this.keys[i] as string;
      if (key >= end || found.length >= range.countMax || bytes >= range.bytesMax) break;
      const value = this.values.get(key) as Buffer;
      found.push([Buffer.from(key, 'latin1'), Buffer.from(value)]);
      bytes += key.length + value.length;
    }
    return found;
  }

  sizeBytes(): number {
    let size = 0;
    for (const [key, value] of this.values) size += key.length + value.length;
    return size;
  }

  #set(key: string, value: Buffer): void {
    if (!this.values.has(key)) this.keys.splice(this.lowerBound(key), 0, key);
    this.values.set(key, value);
  }

  #remove(key: string): void {
    if (this.values.delete(key)) this.keys.splice(this.lowerBound(key), 1);
  }
}

/** One directory on the disk. */
interface Directory {
  /** What CURRENT says; -1 without a disk. */
  readonly id: number;
  /** Where it was when it was last opened. */
  path: string;
  /** What reads see. */
  live: Image;
  /** What certainly survives. */
  durable: Image;
  /** Completed after `durable`, in order. */
  unsynced: Batch[];
  /** Called but not completed. */
  inFlight: Batch[];
  /** The open handle; others can't open it. */
  owner: SimKvStore | undefined;
  /** Batches completed since the directory was made. */
  written: number;
  /** Of values that were replaced or deleted since the last `compact`. */
  garbageBytes: number;
  failure: Error | undefined;
}

/** When the process dies. */
class Machine {
  operations = 0;
  haltAt = Number.POSITIVE_INFINITY;
  halted = false;

  /** Counts a call; true if it, like all after it, is never answered. */
  count(): boolean {
    if (this.operations >= this.haltAt) this.halted = true;
    this.operations += 1;
    return this.halted;
  }

  goOn(): void {
    this.halted = false;
    this.haltAt = Number.POSITIVE_INFINITY;
  }
}

/** A disk with any number of stores, by directory name: that under which each was last opened. */
export class SimKvDisk {
  readonly options: SimKvOptions;
  readonly #directories = new Set<Directory>();
  readonly #byPath = new Map<string, Directory>();
  readonly #machine = new Machine();
  #lastId = 0;

  constructor(options: SimKvOptions) {
    this.options = options;
  }

  /** An {@link OpenKvStore}. */
  readonly open = async (dir: string): Promise<KvStore> => {
    const directory = await this.#find(dir);
    if (directory.owner !== undefined) {
      throw new StorageError('The data directory is in use by another process', {
        path: dir,
        remedy: 'Stop that process, or give each member a data directory of its own.',
      });
    }
    const store = new SimKvStore(this.options, directory, dir, this.#machine);
    directory.owner = store;
    return store;
  };

  /**
   * The machine loses power: all handles are dead, and the end of the log may be gone. With `dir`
   * only those of that directory.
   */
  crash(dir?: string): void {
    this.#machine.goOn();
    for (const directory of this.#chosen(dir)) this.#crash(directory);
  }

  /** The process dies but the machine lives: what completed stays. */
  kill(dir?: string): void {
    this.#machine.goOn();
    for (const directory of this.#chosen(dir)) kill(directory);
  }

  /** Calls so far, of all stores. */
  get operations(): number {
    return this.#machine.operations;
  }

  /** True once the call given to {@link haltAt} was reached. */
  get halted(): boolean {
    return this.#machine.halted;
  }

  /**
   * The process dies at that call (as counted by `operations`): nothing completes any more until
   * the next `crash` or `kill`, which decides what became of what was under way.
   */
  haltAt(operation: number): void {
    this.#machine.haltAt = operation;
  }

  /** Batches completed so far in `dir`. */
  batchesWritten(dir: string): number {
    return this.#at(dir).written;
  }

  /** Every later write in `dir` fails; undefined: no more. */
  failWrites(dir: string, error: Error | undefined): void {
    this.#at(dir).failure = error;
  }

  /** Flips one bit of the value at `key`; false if there is no such key or it is empty. */
  flipBit(dir: string, key: Uint8Array, bit: number): boolean {
    const directory = this.#at(dir);
    const value = directory.live.values.get(nameOf(key));
    if (value === undefined || value.length === 0) return false;
    const damaged = Buffer.from(value);
    const at = Math.floor(bit / 8) % damaged.length;
    damaged[at] = (damaged[at] as number) ^ (1 << (bit % 8));
    for (const image of [directory.live, directory.durable]) {
      if (image.values.has(nameOf(key))) image.values.set(nameOf(key), damaged);
    }
    return true;
  }

  /** All keys in `dir`, in order. */
  keys(dir: string): Buffer[] {
    return this.#at(dir).live.keys.map((key) => Buffer.from(key, 'latin1'));
  }

  /** Makes `dir` as if it had never been used. */
  wipe(dir: string): void {
    const directory = this.#at(dir);
    kill(directory);
    this.#directories.delete(directory);
    this.#byPath.delete(dir);
  }

  #chosen(dir: string | undefined): Iterable<Directory> {
    return dir === undefined ? this.#directories : [this.#at(dir)];
  }

  #crash(directory: Directory): void {
    kill(directory, false);
    const { random, loseAllUnsynced } = this.options;
    const uncertain = [...directory.unsynced, ...directory.inFlight];
    const kept = loseAllUnsynced === true ? 0 : random.u32() % (uncertain.length + 1);
    for (const batch of uncertain.slice(0, kept)) directory.durable.apply(batch);
    directory.live = directory.durable.clone();
    directory.unsynced = [];
    directory.inFlight = [];
  }

  /** The store that the directory says it is; a new one if it is new. */
  async #find(dir: string): Promise<Directory> {
    const { disk, forgetsRemoved } = this.options;
    if (disk === undefined) return this.#at(dir);
    if (forgetsRemoved === true) await this.#forget(disk);
    const marker = `${dir}/CURRENT`;
    await disk.mkdir(dir);
    if ((await disk.list(dir)).includes('CURRENT')) {
      const id = await readId(disk, marker);
      for (const directory of this.#directories) {
        if (directory.id !== id) continue;
        directory.path = dir;
        this.#byPath.set(dir, directory);
        return directory;
      }
      const remedy = 'Restore a backup.';
      throw new StorageError("The database can't be opened", { path: dir, remedy });
    }
    this.#byPath.delete(dir);
    const directory = this.#at(dir);
    // As LevelDB: under another name until it is whole.
    const temporary = `${dir}/000001.dbtmp`;
    await disk.remove(temporary);
    const file = await disk.open(temporary, 'create');
    await file.writeDurable(0, [Buffer.from(String(directory.id))]);
    await file.close();
    await disk.rename(temporary, marker);
    await disk.syncDir(dir);
    return directory;
  }

  /** Drops stores that no directory beside that of the last opening speaks of. */
  async #forget(disk: Disk): Promise<void> {
    for (const directory of this.#directories) {
      if (directory.owner !== undefined) continue;
      const above = directory.path.slice(0, directory.path.lastIndexOf('/'));
      let isThere = false;
      for (const name of await disk.list(above)) {
        const dir = `${above}/${name}`;
        if (!(await disk.list(dir)).includes('CURRENT')) continue;
        if ((await readId(disk, `${dir}/CURRENT`)) === directory.id) isThere = true;
      }
      if (!isThere) this.#directories.delete(directory);
    }
  }

  #at(dir: string): Directory {
    let directory = this.#byPath.get(dir);
    if (directory === undefined) {
      this.#lastId += 1;
      directory = {
        id: this.options.disk === undefined ? -1 : this.#lastId,
        path: dir,
        live: new Image(),
        durable: new Image(),
        unsynced: [],
        inFlight: [],
        owner: undefined,
        written: 0,
        garbageBytes: 0,
        failure: undefined,
      };
      this.#directories.add(directory);
      this.#byPath.set(dir, directory);
    }
    return directory;
  }
}

/** Before the batch is applied. As LevelDB, it tidies up by itself when half of it is garbage. */
function addGarbage(directory: Directory, batch: Batch): void {
  const { live } = directory;
  for (const [key] of batch.changes) {
    const old = live.values.get(key);
    if (old !== undefined) directory.garbageBytes += key.length + old.length;
  }
  if (directory.garbageBytes < garbageBytesMin) return;
  if (directory.garbageBytes > live.sizeBytes()) directory.garbageBytes = 0;
}

function kill(directory: Directory, forgets = true): void {
  directory.owner?.kill();
  directory.owner = undefined;
  if (forgets) directory.inFlight = [];
}

async function readId(disk: Disk, marker: string): Promise<number> {
  const file = await disk.open(marker, 'read');
  try {
    return Number((await file.read(0, await file.size())).toString());
  } finally {
    await file.close();
  }
}

class SimKvStore implements KvStore {
  readonly #options: SimKvOptions;
  readonly #directory: Directory;
  readonly #dir: string;
  readonly #machine: Machine;
  #dead = false;
  #closed = false;
  /** Calls complete in order: a later one not before this time. */
  #busyUntilMs = 0;
  readonly #queue: Array<() => void> = [];

  constructor(options: SimKvOptions, directory: Directory, dir: string, machine: Machine) {
    this.#options = options;
    this.#directory = directory;
    this.#dir = dir;
    this.#machine = machine;
  }

  kill(): void {
    this.#dead = true;
  }

  getMany(keys: readonly Uint8Array[]): Promise<Array<Buffer | undefined>> {
    const names = keys.map(nameOf);
    return this.#read(() => {
      const { values } = this.#directory.live;
      return names.map((name) => {
        const value = values.get(name);
        return value === undefined ? undefined : Buffer.from(value);
      });
    });
  }

  write(changes: readonly KvChange[], options: { readonly sync: boolean }): Promise<void> {
    const directory = this.#directory;
    const batch: Batch = {
      changes: changes.map(({ key, value }) => [
        nameOf(key),
        value === undefined ? undefined : Buffer.from(value),
      ]),
      sync: options.sync,
    };
    const begun = (): void => {
      directory.inFlight.push(batch);
    };
    return this.#later(() => {
      if (directory.failure !== undefined) throw directory.failure;
      assert(directory.inFlight.shift() === batch, 'batches complete in order');
      addGarbage(directory, batch);
      directory.live.apply(batch);
      assert(!this.#dead && directory.owner === this, 'who writes is the one that has it open');
      directory.unsynced.push(batch);
      directory.written += 1;
      if (!batch.sync) return;
      for (const synced of directory.unsynced) directory.durable.apply(synced);
      directory.unsynced = [];
    }, begun);
  }

  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>> {
    return this.#read(() => this.#directory.live.scan(range));
  }

  view(): KvView {
    const image = this.#directory.live.clone();
    return {
      scan: (range) => this.#later(() => image.scan(range)),
      close: () => this.#later(() => {}),
    };
  }

  compact(): Promise<void> {
    return this.#later(() => {
      this.#directory.garbageBytes = 0;
    });
  }

  sizeBytes(): Promise<number> {
    return this.#later(() => this.#directory.live.sizeBytes() + this.#directory.garbageBytes);
  }

  /** As LevelDB's: what was written stays, synced or not. */
  async close(): Promise<void> {
    await this.#later(() => {});
    this.#closed = true;
    if (this.#directory.owner === this) this.#directory.owner = undefined;
  }

  /** On a thread of its own, if there are threads: writes do not wait for it. */
  #read<T>(work: () => T): Promise<T> {
    const { clock, readLatencyMs = 0, threads } = this.#options;
    if (threads === undefined || this.#closed) return this.#later(work);
    if (this.#machine.count()) return new Promise(() => {});
    return new Promise((resolve) => {
      clock.after(threads.takesMs(clock.nowMs(), readLatencyMs), () => {
        if (!this.#dead && !this.#machine.halted) resolve(work());
      });
    });
  }

  #later<T>(work: () => T, begun?: () => void): Promise<T> {
    if (this.#closed) {
      return Promise.reject(
        new StorageError('The store is closed', { path: this.#dir, remedy: 'Open it again.' }),
      );
    }
    const wasHalted = this.#machine.halted;
    const isHalted = this.#machine.count();
    if (!wasHalted && !this.#dead) begun?.();
    if (isHalted) return new Promise(() => {});
    const { clock, random, latencyMsMax = 0, threads } = this.#options;
    return new Promise((resolve, reject) => {
      this.#queue.push(() => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
      if (latencyMsMax === 0) {
        clock.afterTurn(this.#next);
        return;
      }
      const now = clock.nowMs();
      const ownMs = random.float() * latencyMsMax;
      const takesMs = threads === undefined ? ownMs : threads.takesMs(now, ownMs);
      this.#busyUntilMs = Math.max(this.#busyUntilMs, now + takesMs);
      clock.after(this.#busyUntilMs - now, this.#next);
    });
  }

  /** The oldest call completes, whichever timer it was; one of a dead process never does. */
  readonly #next = (): void => {
    const finish = this.#queue.shift();
    if (!this.#dead && !this.#machine.halted) finish?.();
  };
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
