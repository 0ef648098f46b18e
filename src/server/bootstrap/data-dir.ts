/**
 * What can be said of the directories before anything in them is touched: that one is a file, that
 * this user may not use it, that it is etcd's. Each is told with the flag that named it.
 */

import { type Disk, StorageError } from '../../common/index.js';
import { LostLogError } from '../../raft/index.js';
import { diskFact, diskFailure, parseSegmentName } from '../../storage/index.js';
import type { ServerConfig } from '../options/index.js';

type Directories = Pick<ServerConfig, 'dataDir' | 'walDir'>;

/** Rejects with StorageError if a directory can't be one of a member of kvorum. Changes nothing. */
export async function checkDirectories(disk: Disk, directories: Directories): Promise<void> {
  const { dataDir, walDir } = directories;
  await refuseIfFile(disk, '--data-dir', dataDir);
  if (walDir !== '') await refuseIfFile(disk, '--wal-dir', walDir);
  try {
    const member = await disk.list(`${dataDir}/member`);
    if (member.includes('snap') && (await isOfEtcd(disk, `${dataDir}/member`))) {
      throw ofEtcd('--data-dir', dataDir);
    }
    if (walDir !== '' && (await isLogOfEtcd(disk, walDir))) throw ofEtcd('--wal-dir', walDir);
  } catch (error) {
    throw explainDirectories(error, directories);
  }
}

async function refuseIfFile(disk: Disk, flag: string, dir: string): Promise<void> {
  try {
    await disk.list(dir);
  } catch (error) {
    if (diskFact(error)?.code !== 'ENOTDIR') return;
    const exists = await disk.mode(dir).then(
      () => true,
      () => false,
    );
    // Otherwise it is a part of its path.
    if (!exists) throw explained(flag, dir, error);
    throw new StorageError(`${flag} is a file, not a directory`, {
      path: dir,
      remedy: 'Give the path of a directory; it is made if there is none.',
      cause: error,
    });
  }
}

/** kvorum has no `snap`, but somebody may have made one. */
async function isOfEtcd(disk: Disk, memberDir: string): Promise<boolean> {
  const names = await disk.list(`${memberDir}/wal`);
  const hasLog = names.some((name) => parseSegmentName(name) !== undefined);
  if (hasLog) return isLogOfEtcd(disk, `${memberDir}/wal`);
  return (await disk.list(`${memberDir}/snap`)).some((name) => /^db$|\.snap$/.test(name));
}

/** The names are alike, but etcd's first record is always this: of kind crc, with nothing in it. */
const firstRecord = Buffer.from('040000000000008408041000', 'hex');

async function isLogOfEtcd(disk: Disk, dir: string): Promise<boolean> {
  const names = await disk.list(dir);
  const first = names.find((name) => parseSegmentName(name) !== undefined);
  if (first === undefined) return false;
  const file = await disk.open(`${dir}/${first}`, 'read');
  try {
    return (await file.read(0, firstRecord.length)).equals(firstRecord);
  } finally {
    await file.close();
  }
}

function ofEtcd(flag: string, path: string): StorageError {
  return new StorageError(`${flag} is a directory of etcd, and kvorum does not run on those`, {
    path,
    remedy:
      'Nothing in it was changed. Start etcd on it, save a snapshot (etcdctl snapshot save FILE) ' +
      'and make a new directory of that: kvorum restore FILE --data-dir NEW. If etcdutl snapshot ' +
      'restore made this one, take the file that it was made of. If etcd can not be started any ' +
      'more, kvorum restore --skip-hash-check takes member/snap/db, as far as it was written.',
  });
}

/**
 * An error met at the start, told with the flag and the remedy if it is not about what is in the
 * directories but about the directories themselves.
 */
export function explainDirectories(error: unknown, { dataDir, walDir }: Directories): unknown {
  const isOfLog = walDir !== '' && pathOf(error).startsWith(walDir);
  return isOfLog ? explained('--wal-dir', walDir, error) : explained('--data-dir', dataDir, error);
}

/** What ended a running member; an old copy of a directory shows only when a leader knows better. */
export function explainFatal(error: unknown, dataDir: string): unknown {
  if (!(error instanceof LostLogError)) {
    return diskFact(error) === undefined
      ? error
      : diskFailure('the member can not go on', pathOf(error) || dataDir, error);
  }
  const { committed, lastIndex } = error;
  return new StorageError(
    `--data-dir is an old copy of this member's directory, or a part of it is gone: the leader had ` +
      `the answer that entry ${committed} is durable here, and the log ends at entry ${lastIndex}`,
    {
      path: dataDir,
      remedy:
        'Start it with the directory that it ran on last. If that is lost, replace this member ' +
        '(member remove, member add, start with a new data directory).',
      cause: error,
    },
  );
}

function explained(flag: string, dir: string, error: unknown): unknown {
  const fact = diskFact(error);
  if (fact === undefined) return error;
  return new StorageError(`${flag} can't be used, ${fact.what} (${fact.message})`, {
    path: pathOf(error) || dir,
    remedy: fact.remedy,
    cause: error,
  });
}

function pathOf(error: unknown): string {
  if (!(error instanceof Error) || !('path' in error)) return '';
  return typeof error.path === 'string' ? error.path : '';
}
