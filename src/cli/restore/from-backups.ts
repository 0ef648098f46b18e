/** A restore from a place of backups: which of them, and up to where. */

import {
  type BackupKey,
  isChain,
  isS3,
  openTarget,
  planRestore,
  type RestorePoint,
  readCatalog,
  type S3Settings,
  utcText,
} from '../../backup/index.js';
import type { Disk } from '../../common/index.js';
import {
  type Environment,
  type RestoredSnapshot,
  type RestoreOptions,
  restoreBackup,
} from '../../server/index.js';

/** Where the backups are, and what of them is wanted. */
export interface AskedBackups {
  readonly place: string;
  readonly point: RestorePoint;
  readonly s3: S3Settings;
  readonly key: BackupKey | undefined;
  readonly env: Environment;
}

/** True if there are backups, and not a snapshot. */
export async function hasBackups(place: string, disk: Disk): Promise<boolean> {
  if (isS3(place)) return true;
  // A file is no directory.
  const names = await disk.list(place).catch(() => []);
  return names.some(isChain);
}

/** Resolves with what was made, and of what, for people. Rejects with StorageError. */
export async function fromBackups(
  { env, key, place, point, s3 }: AskedBackups,
  options: Pick<RestoreOptions, 'bumpRevision' | 'config' | 'ports'>,
): Promise<{ readonly from: string; readonly restored: RestoredSnapshot }> {
  const { clock, disk } = options.ports;
  const target = await openTarget(place, s3, { disk, clock, env });
  const catalog = await readCatalog(target, key);
  const { backup, seenMs, upTo } = await planRestore(target, catalog, point, key);
  const restored = await restoreBackup({ ...options, target, backup, key, upTo });
  const seen = seenMs === undefined ? '' : `, as seen at ${utcText(seenMs)}`;
  return { from: `from backup ${backup.manifest.chain}${seen}`, restored };
}
