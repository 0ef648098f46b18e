/** The backups of a target: what its names and manifests say. */

import type { StorageError } from '../common/index.js';
import { damagedFile } from './damage.js';
import type { BackupKey } from './key.js';
import { decodeManifest, type Manifest, manifestBytesMax } from './manifest.js';
import { type ObjectName, parseObjectName } from './names.js';
import type { BackupTarget } from './target.js';

/** A backup, and the name of its manifest. */
export interface Backup {
  readonly manifest: Manifest;
  readonly manifestName: string;
  /** Files that the manifest names and that are not there. */
  readonly missing: readonly string[];
}

export interface Catalog {
  /** The oldest first. */
  readonly backups: readonly Backup[];
  /** Manifests that can't be read, and why. An older one of the chain may stand for it. */
  readonly broken: ReadonlyArray<{ readonly name: string; readonly error: StorageError }>;
  /** Objects that no manifest of the above names; among them manifests that are superseded. */
  readonly unused: readonly string[];
}

/** Reads it; rejects if the target can't be listed or read. */
export async function readCatalog(
  target: BackupTarget,
  key: BackupKey | undefined,
): Promise<Catalog> {
  const names = await target.list();
  const there = new Set(names);
  const byChain = new Map<string, Array<{ name: string; parsed: ObjectName }>>();
  for (const name of names) {
    const parsed = parseObjectName(name);
    if (parsed === undefined) continue;
    const chain = byChain.get(parsed.chain) ?? [];
    chain.push({ name, parsed });
    byChain.set(parsed.chain, chain);
  }
  const backups: Backup[] = [];
  const broken: Array<{ name: string; error: StorageError }> = [];
  const used = new Set<string>();
  for (const objects of byChain.values()) {
    const manifests = objects
      .filter(({ parsed }) => parsed.kind === 'manifest')
      .sort((a, b) => newestFirst(a.parsed, b.parsed));
    for (const { name } of manifests) {
      const manifest = await readManifest(target, name, key);
      if ('error' in manifest) {
        broken.push({ name, error: manifest.error });
        continue;
      }
      const files = filesOf(manifest.manifest).map((file) => file.name);
      const missing = files.filter((file) => !there.has(file));
      backups.push({ manifest: manifest.manifest, manifestName: name, missing });
      used.add(name);
      for (const file of files) used.add(file);
      break;
    }
  }
  backups.sort((a, b) => a.manifest.full.startedMs - b.manifest.full.startedMs);
  const isBroken = new Set(broken.map(({ name }) => name));
  const unused = [...byChain.values()]
    .flat()
    .map(({ name }) => name)
    .filter((name) => !used.has(name) && !isBroken.has(name));
  return { backups, broken, unused };
}

/** All files that a manifest names, in order. */
export function filesOf({ full, changes }: Manifest) {
  return [full, ...changes];
}

function newestFirst(a: ObjectName, b: ObjectName): number {
  return b.number - a.number || b.startedMs - a.startedMs || (a.writer < b.writer ? -1 : 1);
}

async function readManifest(
  target: BackupTarget,
  name: string,
  key: BackupKey | undefined,
): Promise<{ readonly manifest: Manifest } | { readonly error: StorageError }> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of target.read(name)) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > manifestBytesMax) return { error: damagedFile(name, 'the manifest has no end') };
  }
  try {
    return { manifest: decodeManifest(name, Buffer.concat(pieces), key) };
  } catch (error) {
    return { error: error as StorageError };
  }
}
