/**
 * A Disk in memory, for servers that are to leave nothing behind: tests and programs that embed
 * one. Nothing survives the process, and nothing fails; src/sim/disk.ts is the disk that does.
 *
 * Files are sparse: the log prepares its segments by writing zeros, which take no memory here.
 */

import type { Disk, DiskFile, OpenMode } from '../../common/index.js';

const pageBytes = 64 * 1024;
const zeros = Buffer.alloc(pageBytes);

/** A new, empty disk. */
export function createMemoryDisk(): Disk {
  const files = new Map<string, MemoryFile>();
  return {
    async open(path, mode) {
      const found = files.get(path);
      if ((found === undefined) !== (mode === 'create')) throw openError(path, mode);
      const file = found ?? new MemoryFile();
      files.set(path, file);
      return file;
    },
    async list(dir) {
      const names = new Set<string>();
      for (const path of files.keys()) {
        if (path.startsWith(`${dir}/`)) names.add(path.slice(dir.length + 1).split('/')[0] ?? '');
      }
      return [...names].sort();
    },
    async mkdir() {},
    async mode() {
      return 0o700;
    },
    async rename(from, to) {
      const moved = [...files].filter(([name]) => name === from || name.startsWith(`${from}/`));
      if (moved.length === 0) throw openError(from, 'write');
      for (const [name, file] of moved) {
        files.delete(name);
        files.set(to + name.slice(from.length), file);
      }
    },
    async remove(path) {
      for (const name of [...files.keys()]) {
        if (name === path || name.startsWith(`${path}/`)) files.delete(name);
      }
    },
    async syncDir() {},
  };
}

function openError(path: string, mode: OpenMode): Error {
  const code = mode === 'create' ? 'EEXIST' : 'ENOENT';
  return Object.assign(new Error(`${code}: ${path}`), { code });
}

class MemoryFile implements DiskFile {
  readonly #pages = new Map<number, Buffer>();
  #size = 0;

  async read(offset: number, length: number): Promise<Buffer> {
    const end = Math.min(offset + length, this.#size);
    const out = Buffer.alloc(Math.max(0, end - offset));
    for (let at = offset; at < end; ) {
      const within = at % pageBytes;
      const count = Math.min(pageBytes - within, end - at);
      const page = this.#pages.get((at - within) / pageBytes);
      page?.copy(out, at - offset, within, within + count);
      at += count;
    }
    return out;
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    let at = offset;
    for (const chunk of chunks) {
      this.#put(at, chunk);
      at += chunk.length;
    }
    this.#size = Math.max(this.#size, at);
  }

  writeDurable(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.write(offset, chunks);
  }

  async sync(): Promise<void> {}

  async truncate(size: number): Promise<void> {
    for (const [number, page] of this.#pages) {
      const start = number * pageBytes;
      if (start >= size) this.#pages.delete(number);
      else if (start + pageBytes > size) page.fill(0, size - start);
    }
    this.#size = size;
  }

  async size(): Promise<number> {
    return this.#size;
  }

  async close(): Promise<void> {}

  #put(offset: number, chunk: Uint8Array): void {
    for (let done = 0; done < chunk.length; ) {
      const within = (offset + done) % pageBytes;
      const number = (offset + done - within) / pageBytes;
      const piece = chunk.subarray(done, done + pageBytes - within);
      let page = this.#pages.get(number);
      if (page === undefined && zeros.compare(piece, 0, piece.length, 0, piece.length) !== 0) {
        page = Buffer.alloc(pageBytes);
        this.#pages.set(number, page);
      }
      page?.set(piece, within);
      done += piece.length;
    }
  }
}
