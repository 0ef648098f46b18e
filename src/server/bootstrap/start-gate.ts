/**
 * Ports that refuse work once a start is to end: whatever a start is busy with on the disk, its
 * next step fails, and it ends as it would after a failure of the disk. That the data directory
 * survives a crash at any step is what makes this safe. What only lets go works always.
 */

import type { Disk, DiskFile, KvStore, OpenKvStore } from '../../common/index.js';

/** From `release` on the ports are as they were without it. */
export class StartGate {
  #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** The start is over, one way or another; cleaning up is not to be refused. */
  release(): void {
    this.#signal = undefined;
  }

  /** Throws the signal's reason if the start is to end. */
  check(): void {
    this.#signal?.throwIfAborted();
  }

  disk(disk: Disk): Disk {
    return {
      open: async (path, mode) => {
        this.check();
        return this.#file(await disk.open(path, mode));
      },
      list: (dir) => this.#run(() => disk.list(dir)),
      mkdir: (dir) => this.#run(() => disk.mkdir(dir)),
      mode: (dir) => this.#run(() => disk.mode(dir)),
      rename: (from, to) => this.#run(() => disk.rename(from, to)),
      remove: (path) => this.#run(() => disk.remove(path)),
      syncDir: (dir) => this.#run(() => disk.syncDir(dir)),
    };
  }

  openKvStore(open: OpenKvStore): OpenKvStore {
    return async (dir) => {
      this.check();
      return this.#store(await open(dir));
    };
  }

  #file(file: DiskFile): DiskFile {
    const isClosed = (): boolean => this.#signal?.aborted === true;
    const refuse = (): Promise<never> => Promise.reject(this.#signal?.reason);
    return {
      read: (offset, length) => (isClosed() ? refuse() : file.read(offset, length)),
      write: (offset, chunks) => (isClosed() ? refuse() : file.write(offset, chunks)),
      writeDurable: (offset, chunks) => (isClosed() ? refuse() : file.writeDurable(offset, chunks)),
      sync: () => (isClosed() ? refuse() : file.sync()),
      truncate: (size) => (isClosed() ? refuse() : file.truncate(size)),
      size: () => (isClosed() ? refuse() : file.size()),
      close: () => file.close(),
    };
  }

  #store(kv: KvStore): KvStore {
    const isClosed = (): boolean => this.#signal?.aborted === true;
    const refuse = (): Promise<never> => Promise.reject(this.#signal?.reason);
    return {
      getMany: (keys) => (isClosed() ? refuse() : kv.getMany(keys)),
      write: (changes, options) => (isClosed() ? refuse() : kv.write(changes, options)),
      scan: (range) => (isClosed() ? refuse() : kv.scan(range)),
      view: () => kv.view(),
      compact: (gte, lt) => (isClosed() ? refuse() : kv.compact(gte, lt)),
      sizeBytes: () => kv.sizeBytes(),
      close: () => kv.close(),
    };
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.check();
    return work();
  }
}
