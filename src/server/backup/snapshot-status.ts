/**
 * What is in a snapshot, as `etcdutl snapshot status` counts it: the hash is over all buckets, the
 * keys are those that are there at the last revision. Reads all of it, so a damaged file shows.
 */

import { crc32c, type Disk, type KeyString } from '../../common/index.js';
import { decodeKeyValue } from '../../proto/index.js';
import { openBbolt } from '../../storage/index.js';

/** Under the names of etcdutl's JSON. */
export interface SnapshotStatus {
  /** CRC-32C of the names, keys and values. */
  readonly hash: number;
  readonly revision: number;
  readonly totalKey: number;
  /** Of the database, without the hash behind it. */
  readonly totalSize: number;
  /** Of the storage, as `3.7.0`; '' before etcd 3.6. */
  readonly version: string;
}

/** Rejects with StorageError if it is none, or damaged. */
export async function snapshotStatus(disk: Disk, path: string): Promise<SnapshotStatus> {
  const file = await disk.open(path, 'read');
  try {
    const reader = await openBbolt(file, path, await file.size());
    const keys = new Set<KeyString>();
    let hash = 0;
    let revision = 0;
    let version = '';
    for (const bucket of reader.buckets) {
      hash = crc32c(Buffer.from(bucket, 'latin1'), hash);
      for await (const slice of reader.slices(bucket)) {
        for (const { key, value } of slice) {
          hash = crc32c(value, crc32c(key, hash));
          if (bucket === 'meta' && key.equals(versionKey)) version = value.toString('utf8');
          if (bucket !== 'key') continue;
          revision = Number(key.readBigUInt64BE(0));
          const name = decodeKeyValue(value).key;
          if (isTombstone(key)) keys.delete(name);
          else keys.add(name);
        }
      }
    }
    return { hash, revision, totalKey: keys.size, totalSize: reader.sizeBytes, version };
  } finally {
    await file.close();
  }
}

const versionKey = Buffer.from('storageVersion');

/** A revision with `t` behind it: the key was deleted. */
function isTombstone(revision: Buffer): boolean {
  return revision.length === 18 && revision[17] === 0x74;
}
