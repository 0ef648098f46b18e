/**
 * A simulated KvStore with the promise of the port and nothing more: batches are atomic and become
 * durable in order, and a crash keeps a prefix of them, at least up to the last one written with
 * `sync`, how much is up to the seed. Calls complete through the clock, in the order they were
 * made.
 *
 * A SimKvDisk outlives the processes that open stores on it, as a disk does. After `crash` the
 * handles of before never answer again; what they were writing may or may not be there.
 */

import { assert } from '../assert.js';
import { StorageError } from '../errors.js';
import type { Clock, KvChange, KvScan, KvStore, KvView, Random } from '../ports.js';

/** How the simulated disk behaves. */
export interface SimKvOptions {
  readonly clock: Clock;
  /** Decides latencies and what a crash loses. */
  readonly random: Random;
  /** Longest time of one call; 0: the next turn. */
  readonly latencyMsMax?: number;
  /** Also keeps nothing that was not synced when true: the worst case. */
  readonly loseAllUnsynced?: boolean;
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
      if (value === undefined) this.remove(key);
      else this.set(key, value);
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

  private set(key: string, value: Buffer): void {
    if (!this.values.has(key)) this.keys.splice(this.lowerBound(key), 0, key);
    this.values.set(key, value);
  }

  private remove(key: string): void {
    if (this.values.delete(key)) this.keys.splice(this.lowerBound(key), 1);
  }
}

/** One directory on the disk. */
interface Directory {
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
  failure: Error | undefined;
}

/** A disk with any number of stores, by directory name. */
export class SimKvDisk {
  readonly options: SimKvOptions;
  readonly #directories = new Map<string, Directory>();

  constructor(options: SimKvOptions) {
    this.options = options;
  }

  /** An {@link OpenKvStore}. */
  readonly open = async (dir: string): Promise<KvStore> => {
    const directory = this.#directory(dir);
    if (directory.owner !== undefined) {
      throw new StorageError('The data directory is in use by another process', {
        path: dir,
        remedy: 'Stop that process, or give each member a data directory of its own.',
      });
    }
    const store = new SimKvStore(this.options, directory, dir);
    directory.owner = store;
    return store;
  };

  /** The machine loses power: all handles of `dir` are dead, and the end of the log may be gone. */
  crash(dir: string): void {
    const directory = this.#directory(dir);
    directory.owner?.kill();
    directory.owner = undefined;
    const { random, loseAllUnsynced } = this.options;
    const uncertain = [...directory.unsynced, ...directory.inFlight];
    const kept = loseAllUnsynced === true ? 0 : random.u32() % (uncertain.length + 1);
    for (const batch of uncertain.slice(0, kept)) directory.durable.apply(batch);
    directory.live = directory.durable.clone();
    directory.unsynced = [];
    directory.inFlight = [];
  }

  /** The process dies but the machine lives: what completed stays. */
  kill(dir: string): void {
    const directory = this.#directory(dir);
    directory.owner?.kill();
    directory.owner = undefined;
    directory.inFlight = [];
  }

  /** Batches completed so far in `dir`. */
  batchesWritten(dir: string): number {
    return this.#directory(dir).written;
  }

  /** Every later write in `dir` fails; undefined: no more. */
  failWrites(dir: string, error: Error | undefined): void {
    this.#directory(dir).failure = error;
  }

  /** Flips one bit of the value at `key`; false if there is no such key or it is empty. */
  flipBit(dir: string, key: Uint8Array, bit: number): boolean {
    const directory = this.#directory(dir);
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
    return this.#directory(dir).live.keys.map((key) => Buffer.from(key, 'latin1'));
  }

  /** Makes `dir` as if it had never been used. */
  wipe(dir: string): void {
    this.kill(dir);
    this.#directories.delete(dir);
  }

  #directory(dir: string): Directory {
    let directory = this.#directories.get(dir);
    if (directory === undefined) {
      directory = {
        live: new Image(),
        durable: new Image(),
        unsynced: [],
        inFlight: [],
        owner: undefined,
        written: 0,
        failure: undefined,
      };
      this.#directories.set(dir, directory);
    }
    return directory;
  }
}

class SimKvStore implements KvStore {
  readonly #options: SimKvOptions;
  readonly #directory: Directory;
  readonly #dir: string;
  #dead = false;
  #closed = false;
  /** Calls complete in order: a later one not before this time. */
  #busyUntilMs = 0;
  readonly #queue: Array<() => void> = [];

  constructor(options: SimKvOptions, directory: Directory, dir: string) {
    this.#options = options;
    this.#directory = directory;
    this.#dir = dir;
  }

  kill(): void {
    this.#dead = true;
  }

  getMany(keys: readonly Uint8Array[]): Promise<Array<Buffer | undefined>> {
    const names = keys.map(nameOf);
    return this.#later(() => {
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
    if (!this.#dead && !this.#closed) directory.inFlight.push(batch);
    return this.#later(() => {
      if (directory.failure !== undefined) throw directory.failure;
      assert(directory.inFlight.shift() === batch, 'batches complete in order');
      directory.live.apply(batch);
      directory.unsynced.push(batch);
      directory.written += 1;
      if (!batch.sync) return;
      for (const synced of directory.unsynced) directory.durable.apply(synced);
      directory.unsynced = [];
    });
  }

  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>> {
    return this.#later(() => this.#directory.live.scan(range));
  }

  view(): KvView {
    const image = this.#directory.live.clone();
    return {
      scan: (range) => this.#later(() => image.scan(range)),
      close: () => this.#later(() => {}),
    };
  }

  compact(): Promise<void> {
    return this.#later(() => {});
  }

  sizeBytes(): Promise<number> {
    return this.#later(() => this.#directory.live.sizeBytes());
  }

  /** As LevelDB's: what was written stays, synced or not. */
  async close(): Promise<void> {
    await this.#later(() => {});
    this.#closed = true;
    if (this.#directory.owner === this) this.#directory.owner = undefined;
  }

  #later<T>(work: () => T): Promise<T> {
    if (this.#closed) {
      return Promise.reject(
        new StorageError('The store is closed', { path: this.#dir, remedy: 'Open it again.' }),
      );
    }
    const { clock, random, latencyMsMax = 0 } = this.#options;
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
      this.#busyUntilMs = Math.max(this.#busyUntilMs, now + random.float() * latencyMsMax);
      clock.after(this.#busyUntilMs - now, this.#next);
    });
  }

  /** The oldest call completes, whichever timer it was; one of a dead process never does. */
  readonly #next = (): void => {
    const finish = this.#queue.shift();
    if (!this.#dead) finish?.();
  };
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
