/** From what an operator writes, a directory or `s3://bucket/prefix`, to a place for backups. */

import { StorageError } from '../common/index.js';
import { directoryTarget } from './directory-target.js';
import type { BackupTarget, S3Settings, TargetPorts } from './target.js';

/** True if it is not a directory. */
export function isS3(place: string): boolean {
  return place.startsWith('s3://');
}

/** Rejects with StorageError if it can't be one; whether it is there shows at the first use. */
export async function openTarget(
  place: string,
  s3: S3Settings,
  ports: TargetPorts,
): Promise<BackupTarget> {
  if (isS3(place)) {
    // With what speaks to it, for those who have backups there.
    const { openS3Target } = await import('./s3/index.js');
    return openS3Target(place, s3, ports);
  }
  if (place !== '' && !/^[a-z][a-z0-9+.-]+:\/\//i.test(place)) {
    return directoryTarget(ports.disk, place);
  }
  throw new StorageError('backups can not be there', {
    path: place,
    remedy: 'Give a directory, or s3://bucket/prefix.',
  });
}
