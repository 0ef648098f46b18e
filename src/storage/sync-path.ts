/** Makes a directory last. */

import { dirname } from 'node:path';
import type { Disk } from '../common/index.js';
import { errorCode } from './disk-failure.js';

/**
 * Makes `dir` and the names that lead to it durable. Done at every start and not only when the
 * directory is made: a process that was killed in between leaves names that are not (L-26).
 */
export async function syncPath(disk: Disk, dir: string): Promise<void> {
  await disk.syncDir(dir);
  let at = dir;
  for (let above = dirname(at); above !== at; above = dirname(at)) {
    try {
      await disk.syncDir(above);
    } catch (error) {
      // A directory that this user may not even open is none that this user made names in.
      const code = errorCode(error);
      if (code !== 'EACCES' && code !== 'EPERM') throw error;
    }
    at = above;
  }
}
