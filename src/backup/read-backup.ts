/** The content of a backup, each file compared with what the manifest says of it. */

import { createHash } from 'node:crypto';
import type { Revision } from '../common/index.js';
import type { Backup } from './catalog.js';
import { type Line, readLines } from './changes.js';
import { damagedFile } from './damage.js';
import type { BackupKey } from './key.js';
import { type BackupFile, type ChangesFile, checkKey } from './manifest.js';
import { openFile } from './sealed-file.js';
import type { BackupTarget } from './target.js';

/** Reads the files of one backup. */
export class BackupReader {
  readonly #target: BackupTarget;
  readonly #backup: Backup;
  readonly #key: BackupKey | undefined;

  /** Throws StorageError if `key` is not the one that it was made with. */
  constructor(target: BackupTarget, backup: Backup, key: BackupKey | undefined) {
    checkKey(backup.manifestName, backup.manifest, key);
    this.#target = target;
    this.#backup = backup;
    this.#key = key;
  }

  /** The snapshot, with its hash, as Maintenance.Snapshot sends it. Throws StorageError. */
  full(): AsyncGenerator<Buffer> {
    const { chain, full } = this.#backup.manifest;
    const header = { chain, kind: 'full', number: 0, previous: '' } as const;
    return openFile(full.name, header, this.#checked(full), this.#key);
  }

  /** The lines of the file of changes with this index. Throws StorageError. */
  changes(index: number): AsyncGenerator<Line> {
    const { chain, changes, full } = this.#backup.manifest;
    const file = changes[index] as ChangesFile;
    const previous = (changes[index - 1] ?? full).sha256;
    const header = { chain, kind: 'changes', number: index + 1, previous } as const;
    return readLines(file.name, openFile(file.name, header, this.#checked(file), this.#key));
  }

  /** Reads everything. Rejects with StorageError at what is not as it must be. */
  async verify(onFile: (file: BackupFile) => void = () => {}): Promise<void> {
    const { changes, full } = this.#backup.manifest;
    for await (const _piece of this.full()) {
      // Checked as it goes by.
    }
    onFile(full);
    for (const [index, file] of changes.entries()) {
      let end: { from: Revision; to: Revision } | undefined;
      for await (const line of this.changes(index)) if (line.kind === 'end') end = line;
      if (end?.from !== file.from || end.to !== file.to) {
        throw damagedFile(file.name, 'it has other revisions than the manifest says');
      }
      onFile(file);
    }
  }

  /** Throws StorageError at the end of what is not the file that the manifest names. */
  async *#checked({ bytes, name, sha256 }: BackupFile): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    let read = 0;
    for await (const piece of this.#target.read(name)) {
      hash.update(piece);
      read += piece.length;
      yield piece;
    }
    if (read !== bytes) {
      throw damagedFile(name, `it has ${read} bytes, and not the ${bytes} of the manifest`);
    }
    if (hash.digest('hex') !== sha256) throw damagedFile(name, 'it is not what was written');
  }
}
