/**
 * Backups in a directory: an object is written under another name, synced, and renamed, so that it
 * is whole or not there.
 */

import { dirname, resolve } from 'node:path';
import { assert, type Disk, StorageError } from '../common/index.js';
import { isChain, parseObjectName } from './names.js';
import type { BackupTarget } from './target.js';

const partSuffix = '.part';
const readBytes = 1024 * 1024;

/** Makes the directory with the first object. */
export function directoryTarget(disk: Disk, path: string): BackupTarget {
  return new DirectoryTarget(disk, path.replace(/(?<=.)\/+$/, ''));
}

class DirectoryTarget implements BackupTarget {
  readonly description: string;
  readonly #disk: Disk;
  readonly #path: string;

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
    this.description = path;
  }

  async list(): Promise<readonly string[]> {
    const found: string[] = [];
    for (const [folder, name] of await this.#all()) {
      const whole = `${folder}/${name}`;
      if (parseObjectName(whole) !== undefined) found.push(whole);
    }
    return found;
  }

  async *read(name: string): AsyncIterable<Buffer> {
    const file = await this.#open(name);
    try {
      for (let offset = 0; ; ) {
        const bytes = await file.read(offset, readBytes);
        if (bytes.length === 0) return;
        yield bytes;
        offset += bytes.length;
      }
    } finally {
      await file.close();
    }
  }

  async write(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    assert(parseObjectName(name) !== undefined, 'an object of a backup has a name of ours');
    const folder = `${this.#path}/${name.split('/')[0] ?? ''}`;
    const path = `${this.#path}/${name}`;
    const part = path + partSuffix;
    await this.#disk.mkdir(folder);
    try {
      await this.#disk.remove(part);
      await this.#writePart(part, chunks, signal);
      await this.#disk.rename(part, path);
    } catch (error) {
      await this.#disk.remove(part).catch(() => {});
      throw error;
    }
    await this.#disk.syncDir(folder);
    await this.#syncPath();
  }

  remove(name: string): Promise<void> {
    assert(parseObjectName(name) !== undefined, 'nothing else is removed');
    return this.#disk.remove(`${this.#path}/${name}`);
  }

  async sweep(isLeftover: (name: string) => boolean): Promise<readonly string[]> {
    const removed: string[] = [];
    const used = new Set<string>();
    for (const [folder, name] of await this.#all()) {
      const whole = `${folder}/${name.slice(0, -partSuffix.length)}`;
      const isPart = name.endsWith(partSuffix) && parseObjectName(whole) !== undefined;
      if (isPart && isLeftover(whole)) {
        await this.#disk.remove(`${this.#path}/${folder}/${name}`);
        removed.push(`${folder}/${name}`);
      } else used.add(folder);
    }
    for (const folder of await this.#folders()) {
      // A folder that another writer has just made gets its part at once: it is made again then.
      if (!used.has(folder)) await this.#removeIfEmpty(folder);
    }
    return removed;
  }

  /** The names that lead here: whoever made them may not have. */
  async #syncPath(): Promise<void> {
    let at = resolve(this.#path);
    await this.#disk.syncDir(at);
    for (let above = dirname(at); above !== at; above = dirname(at)) {
      try {
        await this.#disk.syncDir(above);
      } catch (error) {
        // What this user may not open has no names that this user made.
        const { code } = error as { readonly code?: unknown };
        if (code !== 'EACCES' && code !== 'EPERM') throw error;
      }
      at = above;
    }
  }

  async #removeIfEmpty(folder: string): Promise<void> {
    const path = `${this.#path}/${folder}`;
    if ((await this.#disk.list(path)).length === 0) await this.#disk.remove(path);
  }

  async #writePart(
    part: string,
    chunks: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const file = await this.#disk.open(part, 'create');
    try {
      let offset = 0;
      for await (const chunk of chunks) {
        signal?.throwIfAborted();
        await file.write(offset, [chunk]);
        offset += chunk.length;
      }
      signal?.throwIfAborted();
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #open(name: string) {
    try {
      return await this.#disk.open(`${this.#path}/${name}`, 'read');
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
      throw missingObject(name);
    }
  }

  async #folders(): Promise<readonly string[]> {
    return (await this.#disk.list(this.#path)).filter(isChain);
  }

  async #all(): Promise<ReadonlyArray<readonly [folder: string, name: string]>> {
    const all: Array<readonly [string, string]> = [];
    for (const folder of await this.#folders()) {
      for (const name of await this.#disk.list(`${this.#path}/${folder}`)) all.push([folder, name]);
    }
    return all;
  }
}

/** An object that a manifest names is gone. */
export function missingObject(name: string): StorageError {
  return new StorageError('a file of the backup is missing', {
    path: name,
    remedy:
      'Bring it back, restore to a revision before it, or from another backup; and take a new one.',
  });
}
