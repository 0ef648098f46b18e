/**
 * Which backup a restore takes, and up to which revision: the newest that covers what was asked
 * for. A full snapshot covers revisions before it as well, down to its compaction, which shows
 * only when it is read.
 */

import { type Revision, StorageError } from '../common/index.js';
import type { Backup, Catalog } from './catalog.js';
import type { BackupKey } from './key.js';
import { utcText } from './names.js';
import { BackupReader } from './read-backup.js';
import type { BackupTarget } from './target.js';

/** What was asked for; without any of it the newest state. */
export interface RestorePoint {
  /** The folder of a backup. */
  readonly backup?: string;
  readonly revision?: Revision;
  /** Milliseconds since the Unix epoch. */
  readonly timeMs?: number;
}

export interface RestorePlan {
  readonly backup: Backup;
  /** Undefined: everything that the backup has. */
  readonly upTo: Revision | undefined;
  /** When that state was seen; undefined: not known. */
  readonly seenMs: number | undefined;
}

/** Rejects with StorageError if there is nothing that covers it, and says what there is. */
export async function planRestore(
  target: BackupTarget,
  catalog: Catalog,
  point: RestorePoint,
  key: BackupKey | undefined,
): Promise<RestorePlan> {
  const candidates = candidatesOf(target, catalog, point);
  const newest = candidates.at(-1) as Backup;
  const { revision, timeMs } = point;
  if (revision !== undefined) {
    return { backup: covering(target, candidates, revision), upTo: revision, seenMs: undefined };
  }
  if (timeMs !== undefined) return planTime(target, candidates, timeMs, key);
  return { backup: newest, upTo: undefined, seenMs: seenLast(newest) };
}

function candidatesOf(
  target: BackupTarget,
  { backups, broken }: Catalog,
  { backup }: RestorePoint,
): readonly Backup[] {
  const named = backups.filter(({ manifest }) => backup === undefined || manifest.chain === backup);
  if (named.length > 0) return named;
  const [damaged] = broken.filter(({ name }) => name.startsWith(`${backup ?? ''}`));
  if (damaged !== undefined) throw damaged.error;
  throw new StorageError(backup === undefined ? 'there is no backup' : `no backup ${backup}`, {
    path: target.description,
    remedy: "Look with 'kvorum backup list' what there is, and whether the place is the right one.",
  });
}

/** The newest that has it for sure; else the oldest behind it, which may have it. */
function covering(target: BackupTarget, candidates: readonly Backup[], revision: Revision): Backup {
  const sure = candidates.filter(({ manifest }) => {
    return manifest.full.revision <= revision && revision <= manifest.newest.revision;
  });
  const behind = candidates.filter(({ manifest }) => manifest.full.revision > revision);
  const found = sure.at(-1) ?? behind[0];
  if (found !== undefined) return found;
  const newest = Math.max(...candidates.map(({ manifest }) => manifest.newest.revision));
  throw new StorageError(`no backup goes as far as revision ${revision}`, {
    path: target.description,
    remedy: `The newest revision in it is ${newest}: restore to that, or take another backup first.`,
  });
}

async function planTime(
  target: BackupTarget,
  candidates: readonly Backup[],
  timeMs: number,
  key: BackupKey | undefined,
): Promise<RestorePlan> {
  const backup = candidates.filter(({ manifest }) => manifest.full.startedMs <= timeMs).at(-1);
  if (backup === undefined) {
    const first = (candidates[0] as Backup).manifest.full.startedMs;
    throw new StorageError(`no backup is as old as ${utcText(timeMs)}`, {
      path: target.description,
      remedy:
        `The oldest is of ${utcText(first)}. What was before may be in it: ` +
        'restore to a revision with --to-revision.',
    });
  }
  const { changes, full } = backup.manifest;
  let upTo = full.revision;
  let seenMs = full.startedMs;
  const index = changes.findLastIndex((file) => file.fromMs > 0 && file.fromMs <= timeMs);
  if (index >= 0) {
    for await (const line of new BackupReader(target, backup, key).changes(index)) {
      if (line.kind !== 'time' || line.wallMs > timeMs) continue;
      upTo = line.revision;
      seenMs = line.wallMs;
    }
  }
  return { backup, upTo, seenMs };
}

function seenLast({ manifest }: Backup): number {
  return manifest.changes.at(-1)?.toMs ?? manifest.full.startedMs;
}
