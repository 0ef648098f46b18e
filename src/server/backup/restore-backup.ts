/**
 * From a backup to a data directory: its full snapshot, cut at the wanted revision, and the changes
 * behind it up to there (docs/adr/0017-backups.md).
 */

import {
  type Backup,
  type BackupKey,
  BackupReader,
  type BackupTarget,
  type ChangeLine,
  type ChangesFile,
  damagedFile,
  type Line,
} from '../../backup/index.js';
import type { Disk, Revision } from '../../common/index.js';
import type { StoreImport } from '../../storage/index.js';
import type { KnownLeases } from './known-leases.js';
import {
  type ChangesAfter,
  type RestoredSnapshot,
  type RestoreOptions,
  restoreFetched,
} from './restore-snapshot.js';

/** From which backup, up to where, and into what. */
export interface BackupRestoreOptions
  extends Pick<RestoreOptions, 'bumpRevision' | 'config' | 'ports'> {
  readonly target: BackupTarget;
  readonly backup: Backup;
  readonly key: BackupKey | undefined;
  /** Undefined: everything that the backup has. */
  readonly upTo: Revision | undefined;
}

/**
 * Resolves when the directory is durable. StorageError if a file of the backup or a directory is
 * not what it must be; nothing is left behind then.
 */
export async function restoreBackup(options: BackupRestoreOptions): Promise<RestoredSnapshot> {
  const { backup, bumpRevision, config, key, ports, target, upTo } = options;
  const { changes, full } = backup.manifest;
  const reader = new BackupReader(target, backup, key);
  const { hash: known } = full;
  const hash =
    known === undefined
      ? undefined
      : { hash: known.hash, hashRevision: known.revision, compactRevision: known.compactRevision };
  return await restoreFetched(
    {
      ...{ bumpRevision, config, ports, upTo, hash },
      changes: changesAfter(reader, changes),
    },
    (path) => store(ports.disk, path, reader.full()),
  );
}

/** Not synced: it is gone again before anything of it lasts. */
async function store(disk: Disk, path: string, pieces: AsyncIterable<Buffer>): Promise<void> {
  const file = await disk.open(path, 'create');
  try {
    let offset = 0;
    for await (const piece of pieces) {
      await file.write(offset, [piece]);
      offset += piece.length;
    }
  } finally {
    await file.close();
  }
}

function changesAfter(reader: BackupReader, files: readonly ChangesFile[]): ChangesAfter {
  return {
    async addTo(into, leases, above, upTo) {
      for (const [index, file] of files.entries()) {
        if (file.from > upTo) return;
        const adding = new Adding(file, into, leases, above, upTo);
        for await (const line of reader.changes(index)) {
          adding.take(line);
          if (into.isFull) await into.flush();
        }
      }
    },
  };
}

/** One file of changes on its way into a store. */
class Adding {
  readonly #file: ChangesFile;
  readonly #into: StoreImport;
  readonly #leases: KnownLeases;
  readonly #above: Revision;
  readonly #upTo: Revision;
  /** Leases that are still to come of all that there were at the end. */
  #ofEnd = 0;

  constructor(
    file: ChangesFile,
    into: StoreImport,
    leases: KnownLeases,
    above: Revision,
    upTo: Revision,
  ) {
    this.#file = file;
    this.#into = into;
    this.#leases = leases;
    this.#above = above;
    this.#upTo = upTo;
  }

  take(line: Line): void {
    if (line.kind === 'change') this.#takeChange(line);
    if (line.kind === 'leases') this.#takeLeases(line.count);
    if (line.kind !== 'lease') return;
    const { id, remainingTtlSeconds, ttlSeconds } = line;
    const lease = { id, ttlSeconds, remainingTtlSeconds };
    if (this.#ofEnd > 0) this.#leases.add(lease);
    else this.#leases.meet(lease);
    this.#ofEnd = Math.max(0, this.#ofEnd - 1);
  }

  #takeChange({ isTombstone, keyValue, main, sub }: ChangeLine): void {
    if (main <= this.#above || main > this.#upTo) return;
    const bytes = Buffer.alloc(isTombstone ? 18 : 17);
    bytes.writeBigUInt64BE(BigInt(main), 0);
    bytes.write('_', 8);
    bytes.writeBigUInt64BE(BigInt(sub), 9);
    if (isTombstone) bytes.write('t', 17);
    const wrong = this.#into.record(bytes, Buffer.from(keyValue));
    if (wrong !== undefined) throw damagedFile(this.#file.name, `it has ${wrong}`);
  }

  /** Of the end of this file: of a later moment than the wanted one if it goes on behind that. */
  #takeLeases(count: number): void {
    if (this.#file.to > this.#upTo || this.#file.to < this.#above) return;
    this.#leases.clear();
    this.#ofEnd = count;
  }
}
