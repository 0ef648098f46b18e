/**
 * The real Disk, over node:fs with callbacks: fewer allocations per call than fs.promises, and a
 * plain descriptor. The only file that may import node:fs for data. Errors are passed on as they
 * come (with their `code`); whoever owns the file decides what they mean.
 *
 * A sync that failed must not be repeated by the caller: Linux marks the pages clean, so a second
 * one may report success for bytes that are gone (L-31).
 */

import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';

import { assert, type Disk, type DiskFile, type OpenMode } from '../../common/index.js';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_DSYNC } = fs.constants;
const openFlags = {
  read: O_RDONLY,
  write: O_RDWR,
  create: O_RDWR | O_CREAT | O_EXCL,
} as const satisfies Record<OpenMode, number>;

/** Nobody else may read what clients stored. */
const fileMode = 0o600;
const directoryMode = 0o700;

/** The file system of this machine. */
export const nodeDisk: Disk = {
  async open(path, mode) {
    const descriptor = await openDescriptor(path, openFlags[mode]);
    if (mode === 'read') return new NodeDiskFile(descriptor, -1);
    // At once, not when it is first needed: the name may belong to another file by then.
    return new NodeDiskFile(descriptor, await openDescriptor(path, O_RDWR | O_DSYNC));
  },

  list(dir) {
    return new Promise((resolve, reject) => {
      fs.readdir(dir, (error, names) => {
        if (error === null) resolve(names.sort());
        else if (error.code === 'ENOENT') resolve([]);
        else reject(error);
      });
    });
  },

  mkdir(dir) {
    return makeDirectory(resolve(dir));
  },

  mode(dir) {
    return new Promise((resolve, reject) => {
      fs.stat(dir, (error, stat) => {
        if (error === null) resolve(stat.mode & 0o777);
        else reject(error);
      });
    });
  },

  rename(from, to) {
    return done((callback) => fs.rename(from, to, callback));
  },

  remove(path) {
    return done((callback) => fs.rm(path, { recursive: true, force: true }, callback));
  },

  async syncDir(dir) {
    const descriptor = await openDescriptor(dir, O_RDONLY);
    try {
      await done((callback) => fs.fsync(descriptor, callback));
    } finally {
      await done((callback) => fs.close(descriptor, callback));
    }
  },
};

class NodeDiskFile implements DiskFile {
  readonly #descriptor: number;
  /** The same file opened with O_DSYNC; -1 if it is only read. */
  readonly #durable: number;
  #closed = false;

  constructor(descriptor: number, durable: number) {
    this.#descriptor = descriptor;
    this.#durable = durable;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    this.#assertOpen();
    const buffer = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const count = await this.#readOnce(buffer, filled, offset + filled);
      if (count === 0) break;
      filled += count;
    }
    return filled === length ? buffer : buffer.subarray(0, filled);
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertOpen();
    return writeAll(this.#descriptor, offset, chunks);
  }

  writeDurable(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#assertOpen();
    assert(this.#durable >= 0, 'a disk file opened for reading is written');
    return writeAll(this.#durable, offset, chunks);
  }

  sync(): Promise<void> {
    this.#assertOpen();
    return done((callback) => fs.fdatasync(this.#descriptor, callback));
  }

  truncate(size: number): Promise<void> {
    this.#assertOpen();
    return done((callback) => fs.ftruncate(this.#descriptor, size, callback));
  }

  size(): Promise<number> {
    this.#assertOpen();
    return new Promise((resolve, reject) => {
      fs.fstat(this.#descriptor, (error, stats) => {
        if (error === null) resolve(stats.size);
        else reject(error);
      });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const durable = this.#durable;
    if (durable >= 0) await done((callback) => fs.close(durable, callback));
    await done((callback) => fs.close(this.#descriptor, callback));
  }

  #readOnce(buffer: Buffer, at: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const left = buffer.length - at;
      fs.read(this.#descriptor, buffer, at, left, position, (error, count) => {
        if (error === null) resolve(count);
        else reject(error);
      });
    });
  }

  #assertOpen(): void {
    // A closed descriptor's number may already belong to another file: never touch it.
    assert(!this.#closed, 'a disk file is used after close');
  }
}

/** Writes everything, going on after a short write; one system call in the ordinary case. */
function writeAll(fd: number, offset: number, chunks: readonly Uint8Array[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = chunks.filter((chunk) => chunk.length > 0);
    let position = offset;
    const next = (): void => {
      const [only] = left;
      if (only === undefined) resolve();
      else if (left.length === 1) fs.write(fd, only, 0, only.length, position, after);
      else fs.writev(fd, left.slice(0, writevChunksMax), position, after);
    };
    const after = (error: Error | null, count: number): void => {
      if (error !== null) {
        reject(error);
      } else if (count === 0) {
        reject(new Error('the disk took none of a write'));
      } else {
        position += count;
        left = dropFront(left, count);
        next();
      }
    };
    next();
  });
}

/** IOV_MAX on Linux; more buffers than that in one writev is an error. */
const writevChunksMax = 1024;

function dropFront(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  let first = 0;
  while (first < chunks.length) {
    const length = chunks[first]?.length ?? 0;
    if (left < length) break;
    left -= length;
    first += 1;
  }
  const rest = chunks.slice(first);
  const [head] = rest;
  if (left > 0 && head !== undefined) rest[0] = head.subarray(left);
  return rest;
}

function openDescriptor(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags, fileMode, (error, descriptor) => {
      if (error === null) resolve(descriptor);
      else reject(error);
    });
  });
}

function done(call: (callback: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });
}

/**
 * With its parents. Not by Node's `recursive`: where the file system refuses with ENOENT (below
 * /proc, say) that never ends, and keeps a thread of the pool busy for good.
 */
async function makeDirectory(dir: string): Promise<void> {
  const make = () => done((callback) => fs.mkdir(dir, { mode: directoryMode }, callback));
  try {
    await make();
  } catch (error) {
    const code = codeOf(error);
    if (code === 'EEXIST' && (await isDirectory(dir))) return;
    const parent = dirname(dir);
    if (code !== 'ENOENT' || parent === dir) throw error;
    await makeDirectory(parent);
    // Somebody else may have made it in between.
    await make().catch((again: unknown) => {
      if (codeOf(again) !== 'EEXIST') throw again;
    });
  }
}

function isDirectory(path: string): Promise<boolean> {
  return new Promise((found) => {
    fs.stat(path, (error, stat) => found(error === null && stat.isDirectory()));
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
