/**
 * What belongs to a backup: its full snapshot, and the files of changes behind it. JSON for people,
 * and a last line with its sum, or with a signature if the backup is encrypted.
 */

import { createHash } from 'node:crypto';
import type { Revision } from '../common/index.js';
import { damagedFile } from './damage.js';
import type { BackupKey } from './key.js';
import { keyNeeded, wrongKey } from './sealed-file.js';

/** A file of the backup as it is stored. */
export interface BackupFile {
  /** With the folder. */
  readonly name: string;
  readonly bytes: number;
  /** Of these bytes, hexadecimal. */
  readonly sha256: string;
}

export interface FullFile extends BackupFile {
  /** It has at least this revision, and may have some that came while it was made. */
  readonly revision: Revision;
  readonly startedMs: number;
  /** HashKV at `revision`, where it could be had. */
  readonly hash?: KvHash;
}

/** As HashKV answers. */
export interface KvHash {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly hash: number;
}

export interface ChangesFile extends BackupFile {
  /** Both inclusive; all between them is in it. */
  readonly from: Revision;
  readonly to: Revision;
  readonly changes: number;
  /** Of its first and its last time line. */
  readonly fromMs: number;
  readonly toMs: number;
}

export interface Manifest {
  readonly format: 1;
  readonly chain: string;
  /** That of the last file of changes; 0: none. */
  readonly number: number;
  /** The program that wrote it. */
  readonly version: string;
  /** Hexadecimal. */
  readonly clusterId: string;
  /** See BackupKey.name; left out: it is not encrypted. */
  readonly key?: string;
  /** When it was written. */
  readonly writtenMs: number;
  /** See {@link authText}. */
  readonly auth: string;
  readonly full: FullFile;
  readonly changes: readonly ChangesFile[];
  /** The newest revision in it, and the digest of its changes. */
  readonly newest: { readonly revision: Revision; readonly digest: string };
}

/** Users and roles as far as a backup can tell whether they are still the same. */
export function authText(revision: number, isOn: boolean): string {
  return `${revision} ${isOn ? 'on' : 'off'}`;
}

const sumLine = /\n(sum|signature) ([0-9a-f]{64})\n$/;
/** Of a manifest; 5000 files of changes have a third. */
export const manifestBytesMax = 8 * 1024 * 1024;

export function encodeManifest(manifest: Manifest, key: BackupKey | undefined): Buffer {
  const text = JSON.stringify(manifest, undefined, 1);
  const last = key === undefined ? `sum ${sumOf(text)}` : `signature ${key.sign(text)}`;
  return Buffer.from(`${text}\n${last}\n`);
}

/**
 * Throws StorageError if it is damaged, or was not signed with `key`; without a key a signature is
 * believed, as there is nothing to check it with.
 */
export function decodeManifest(
  name: string,
  bytes: Uint8Array,
  key: BackupKey | undefined,
): Manifest {
  const whole = Buffer.from(bytes).toString();
  const match = sumLine.exec(whole);
  if (match === null) throw damagedFile(name, 'the manifest ends early');
  const text = whole.slice(0, match.index);
  const [, kind, sum] = match;
  if (kind === 'sum' && sum !== sumOf(text)) throw damagedFile(name, 'the manifest is damaged');
  const manifest = parse(name, text);
  if ((kind === 'signature') !== (manifest.key !== undefined)) {
    throw damagedFile(name, 'the manifest does not say how it is encrypted');
  }
  if (kind === 'signature' && key?.name === manifest.key && key?.sign(text) !== sum) {
    throw damagedFile(name, 'the manifest is damaged, or its signature is forged');
  }
  checkFiles(name, manifest);
  return manifest;
}

/** Throws StorageError unless `key` is the one that the backup was made with. */
export function checkKey(name: string, manifest: Manifest, key: BackupKey | undefined): void {
  if (manifest.key === undefined) return;
  if (key === undefined) throw keyNeeded(name, manifest.key);
  if (key.name !== manifest.key) throw wrongKey(name, manifest.key, key.name);
}

function parse(name: string, text: string): Manifest {
  try {
    const manifest = JSON.parse(text) as Manifest;
    if (manifest.format === 1) return manifest;
  } catch {
    throw damagedFile(name, 'the manifest is damaged');
  }
  throw damagedFile(name, 'a newer version wrote the manifest', 'Use that version.');
}

/** Files follow each other without a gap. */
function checkFiles(name: string, { changes, chain, full, number }: Manifest): void {
  let covered = full.revision;
  for (const [i, file] of changes.entries()) {
    if (file.from > covered + 1 || file.to < covered) {
      throw damagedFile(name, `revisions between ${covered} and ${file.from} are missing`);
    }
    covered = file.to;
    if (!file.name.startsWith(`${chain}/changes-${String(i + 1).padStart(6, '0')}-`)) {
      throw damagedFile(name, `${file.name} is not number ${i + 1} of its chain`);
    }
  }
  if (changes.length !== number) throw damagedFile(name, 'its files are not all listed');
}

function sumOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
