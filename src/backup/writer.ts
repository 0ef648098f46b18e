/**
 * Makes backups: writes a file, then the manifest that names it. Whoever writes has a name; what it
 * left behind when it was interrupted goes with its next run (docs/adr/0017-backups.md).
 */

import { createHash } from 'node:crypto';
import {
  assert,
  backupLeftoverMs,
  type Clock,
  kvorumVersion,
  type Random,
  type Revision,
} from '../common/index.js';
import type { Backup, Catalog } from './catalog.js';
import { encodeLine, type Line, RevisionDigest } from './changes.js';
import type { BackupKey } from './key.js';
import {
  type BackupFile,
  type ChangesFile,
  encodeManifest,
  type KvHash,
  type Manifest,
} from './manifest.js';
import {
  newChain,
  type ObjectName,
  objectName,
  parseObjectName,
  type WriterName,
} from './names.js';
import { type SealedHeader, sealFile } from './sealed-file.js';
import type { BackupTarget } from './target.js';

export interface BackupWriterOptions {
  readonly target: BackupTarget;
  readonly writer: WriterName;
  /** Undefined: what is written is not encrypted. */
  readonly key: BackupKey | undefined;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly random: Random;
}

/** What is known of a store before its snapshot is taken. */
export interface FullFacts {
  /** Hexadecimal. */
  readonly clusterId: string;
  /** That the snapshot has at least. */
  readonly revision: Revision;
  /** Of the changes of that revision, as they can be read now. */
  readonly digest: string;
  /** See authText. */
  readonly auth: string;
  readonly hash: KvHash | undefined;
}

/** Writes the backups of one writer into one target. One call at a time. */
export class BackupWriter {
  readonly #o: BackupWriterOptions;

  constructor(options: BackupWriterOptions) {
    this.#o = options;
  }

  /** A new backup: `image` is the snapshot as Maintenance.Snapshot sends it, with its hash. */
  async full(
    facts: FullFacts,
    image: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Backup> {
    const { clock, random } = this.#o;
    const startedMs = clock.wallMs();
    const chain = newChain(startedMs, random);
    const header = { chain, kind: 'full', number: 0, previous: '' } as const;
    const file = await this.#file(header, startedMs, image, signal);
    const { auth, clusterId, digest, hash, revision } = facts;
    const known = hash === undefined ? {} : { hash };
    return this.#manifest(
      {
        ...{ format: 1, chain, number: 0, version: kvorumVersion, clusterId },
        ...this.#keyName(),
        ...{ writtenMs: clock.wallMs(), auth },
        full: { ...file, revision, startedMs, ...known },
        ...{ changes: [], newest: { revision, digest } },
      },
      signal,
    );
  }

  /**
   * Continues `backup` with what `lines` has: whole revisions from `from` on, up to the end line
   * that `lines` ends with. The digest is of the last revision.
   */
  async changes(
    backup: Backup,
    lines: AsyncIterable<Line> | Iterable<Line>,
    signal?: AbortSignal,
  ): Promise<Backup> {
    const { clock } = this.#o;
    const { manifest } = backup;
    const { chain } = manifest;
    const number = manifest.number + 1;
    const previous = (manifest.changes.at(-1) ?? manifest.full).sha256;
    const summary = new LinesSummary();
    const header = { chain, kind: 'changes', number, previous } as const;
    const file = await this.#file(header, clock.wallMs(), summary.encode(lines), signal);
    const { changes, digest, from, fromMs, to, toMs } = summary;
    assert(to >= manifest.newest.revision, 'changes go on where the backup ended');
    assert(from <= manifest.newest.revision + 1, 'no revision is left out');
    const next: ChangesFile = { ...file, from, to, changes, fromMs, toMs };
    const newest = digest === undefined ? manifest.newest : { revision: to, digest };
    const written = await this.#manifest(
      {
        ...manifest,
        ...{ number, version: kvorumVersion, writtenMs: clock.wallMs(), newest },
        changes: [...manifest.changes, next],
      },
      signal,
    );
    await this.#o.target.remove(backup.manifestName);
    return written;
  }

  /** Removes what was left behind; resolves with the names of what was. */
  async sweep({ backups, unused }: Catalog): Promise<readonly string[]> {
    const { clock, target, writer } = this.#o;
    const nowMs = clock.wallMs();
    const isLeftover = (name: string): boolean => {
      const parsed = parseObjectName(name);
      if (parsed === undefined) return false;
      return parsed.writer === writer || nowMs - parsed.startedMs > backupLeftoverMs;
    };
    // Superseded manifests of complete backups are nobody's work in progress.
    const numbers = new Map(backups.map(({ manifest }) => [manifest.chain, manifest.number]));
    const removed: string[] = [];
    for (const name of unused) {
      const parsed = parseObjectName(name);
      const current = parsed === undefined ? undefined : numbers.get(parsed.chain);
      const isOld = parsed?.kind === 'manifest' && current !== undefined && parsed.number < current;
      if (!isOld && !isLeftover(name)) continue;
      await target.remove(name);
      removed.push(name);
    }
    return [...removed, ...(await target.sweep(isLeftover))];
  }

  /** The manifest first: what is left when that is interrupted is no backup any more. */
  async remove({ manifest, manifestName }: Backup): Promise<void> {
    const { target } = this.#o;
    await target.remove(manifestName);
    for (const name of await target.list()) {
      if (name.startsWith(`${manifest.chain}/`)) await target.remove(name);
    }
    await target.sweep((name) => name.startsWith(`${manifest.chain}/`));
  }

  async #file(
    header: SealedHeader,
    startedMs: number,
    content: AsyncIterable<Uint8Array>,
    signal: AbortSignal | undefined,
  ): Promise<BackupFile> {
    const { key, random, target } = this.#o;
    const { chain, kind, number } = header;
    const name = this.#name({ chain, kind, number, startedMs });
    const measured = new Measured(sealFile(header, content, key, random));
    await target.write(name, measured, signal);
    return { name, bytes: measured.bytes, sha256: measured.sha256() };
  }

  async #manifest(manifest: Manifest, signal: AbortSignal | undefined): Promise<Backup> {
    const { key, target } = this.#o;
    const { chain, number, writtenMs: startedMs } = manifest;
    const manifestName = this.#name({ chain, kind: 'manifest', number, startedMs });
    await target.write(manifestName, once(encodeManifest(manifest, key)), signal);
    return { manifest, manifestName, missing: [] };
  }

  #name(parts: Omit<ObjectName, 'writer'>): string {
    return objectName({ ...parts, writer: this.#o.writer });
  }

  #keyName(): Pick<Manifest, 'key'> {
    const { key } = this.#o;
    return key === undefined ? {} : { key: key.name };
  }
}

/** Bytes and hash of what goes through. */
class Measured implements AsyncIterable<Buffer> {
  bytes = 0;
  readonly #source: AsyncIterable<Buffer>;
  readonly #hash = createHash('sha256');

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    for await (const piece of this.#source) {
      this.bytes += piece.length;
      this.#hash.update(piece);
      yield piece;
    }
  }

  sha256(): string {
    return this.#hash.digest('hex');
  }
}

/** What the manifest says of a file of changes, gathered as its lines go by. */
class LinesSummary {
  from: Revision = 0;
  to: Revision = 0;
  changes = 0;
  fromMs = 0;
  toMs = 0;
  /** Of the last revision that has changes; undefined: there are none. */
  digest: string | undefined;
  #digesting = new RevisionDigest();
  #main: Revision = 0;

  async *encode(lines: AsyncIterable<Line> | Iterable<Line>): AsyncGenerator<Buffer> {
    let gathered: Buffer[] = [];
    let bytes = 0;
    for await (const line of lines) {
      this.#take(line);
      const encoded = encodeLine(line);
      gathered.push(encoded);
      bytes += encoded.length;
      if (bytes < gatherBytes) continue;
      yield Buffer.concat(gathered);
      gathered = [];
      bytes = 0;
    }
    yield Buffer.concat(gathered);
    if (this.#main > 0) this.digest = this.#digesting.take();
    assert(this.#main === 0 || this.#main === this.to, 'the last revision has changes');
  }

  #take(line: Line): void {
    if (line.kind === 'change') {
      if (line.main !== this.#main) this.#digesting = new RevisionDigest();
      this.#main = line.main;
      this.#digesting.add(line);
    } else if (line.kind === 'time') {
      if (this.fromMs === 0) this.fromMs = line.wallMs;
      this.toMs = line.wallMs;
    } else if (line.kind === 'end') {
      this.from = line.from;
      this.to = line.to;
      this.changes = line.changes;
    }
  }
}

const gatherBytes = 64 * 1024;

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
