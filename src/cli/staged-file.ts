/**
 * A file that is replaced as a whole. The new one is written beside it, made durable, and takes its
 * place by a rename, so that whoever reads sees the old one or the new one. One staged file for a
 * path at a time: what a process that died has left is taken away.
 */

import { chmod, chown, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { StagedFile } from '../ctl/index.js';

/** Writes `data` beside `path`. A file that is there gives its mode and owner, else it is `mode`. */
export async function stageFile(path: string, data: Uint8Array, mode: number): Promise<StagedFile> {
  // A link goes on pointing to it.
  const target = await orMissing(realpath(path), path);
  const before = await orMissing(stat(target), undefined);
  if (before !== undefined && !before.isFile()) throw new Error(`${path} is no regular file`);
  const folder = dirname(target);
  const staged = join(folder, `.${basename(target)}.kvorum-new`);
  await rm(staged, { force: true });
  // Nobody else may look into it until it has the right mode.
  const file = await open(staged, 'wx', 0o600);
  try {
    await file.writeFile(data);
    if (before !== undefined) await sameOwner(staged, before);
    await chmod(staged, before === undefined ? mode : before.mode & 0o7777);
    await file.sync();
  } catch (error) {
    await rm(staged, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return {
    path: staged,
    commit: async () => {
      await rename(staged, target);
      await syncFolder(folder);
    },
    discard: () => rm(staged, { force: true }),
  };
}

/** Only root may give files away; others replace only what they could write anyway. */
async function sameOwner(path: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  try {
    await chown(path, uid, gid);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'EPERM') throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function orMissing<T>(found: Promise<T>, otherwise: T): Promise<T> {
  try {
    return await found;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ENOENT') return otherwise;
    throw error;
  }
}
