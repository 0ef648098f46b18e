/**
 * The directories of KvStores in a member's directory. LevelDB writes to one place, so a state that
 * comes from another member is put into a second directory, and the member changes over:
 *
 *   kv, kv-1, kv-2 ...   complete; nearly always there is just one
 *   kv-N.tmp             a state that is being received
 *   kv-N.gone            on its way out
 *
 * A directory gets its lasting name when all in it is durable, and loses it before the first file
 * in it is removed, so what a name promises is true at any moment a crash can choose. Which of
 * several complete ones counts is decided at open, by the log (docs/on-disk-format.md).
 */

import {
  assert,
  type Disk,
  type KvStore,
  type LogIndex,
  type OpenKvStore,
  StorageError,
  type Term,
} from '../../common/index.js';
import { damagedRemedy, inUseRemedy } from '../remedies.js';
import { decodeMark, formatKey, formatVersion, markKey } from '../schema/index.js';
import { syncPath } from '../sync-path.js';

/** Where the directories are and how they are opened. */
export interface KvPlace {
  readonly disk: Disk;
  readonly openKvStore: OpenKvStore;
  readonly memberDir: string;
}

/** A complete directory, open and so locked. */
export interface OpenGeneration {
  readonly generation: number;
  readonly path: string;
  readonly kv: KvStore;
  /** What is applied in it; undefined if that was not asked for or another version wrote it. */
  readonly applied: { readonly index: LogIndex; readonly term: Term } | undefined;
}

const completeName = /^kv(?:-([1-9]\d{0,14}))?$/;
const leftoverName = /^kv(?:-[1-9]\d{0,14})?\.(?:tmp|gone)$/;

/** Name of the directory of a generation; 0 is what every new member begins with. */
export function generationName(generation: number): string {
  assert(Number.isSafeInteger(generation) && generation >= 0, 'generations count from 0');
  return generation === 0 ? 'kv' : `kv-${generation}`;
}

/**
 * Opens all complete directories, the oldest first, or makes the first one. Changes nothing else.
 * Nothing stays open if it rejects.
 */
export async function openGenerations(place: KvPlace): Promise<OpenGeneration[]> {
  const { disk, memberDir } = place;
  const listed = await listComplete(place);
  const numbers = listed.length === 0 ? [0] : listed;
  const opened: OpenGeneration[] = [];
  try {
    for (const generation of numbers) {
      const path = `${memberDir}/${generationName(generation)}`;
      await refuseIfHalved(disk, path);
      const kv = await place.openKvStore(path);
      opened.push({ generation, path, kv, applied: undefined });
    }
    // It must not be gone with the power when the log, which may be elsewhere, is not.
    if (listed.length === 0) await syncPath(disk, memberDir);
    // Before the locks were held, a process that is still running may have changed over.
    const now = await listComplete(place);
    if (now.some((generation) => !numbers.includes(generation))) {
      throw new StorageError('The data directory is in use by another process', {
        path: memberDir,
        remedy: inUseRemedy,
      });
    }
    if (opened.length === 1) return opened;
    const marked: OpenGeneration[] = [];
    for (const one of opened) marked.push({ ...one, applied: await appliedIn(one) });
    return marked;
  } catch (error) {
    for (const { kv } of opened) await kv.close().catch(() => {});
    throw error;
  }
}

/** What the log says about itself. */
export interface LogReach {
  /** Its last snapshot mark: entries up to there may be gone. */
  readonly snapshot: { readonly index: LogIndex; readonly term: Term };
  readonly lastIndex: LogIndex;
}

/**
 * The generation that goes with the log: the oldest that the log goes on from. An installed state
 * is marked in the log before it counts, and then the state before it lies behind the mark; without
 * that mark it does not count, and the state before it still fits. StorageError if none fits.
 */
export function chooseGeneration(
  generations: readonly OpenGeneration[],
  log: LogReach,
  memberDir: string,
): OpenGeneration {
  const [only] = generations;
  // Whether it fits is checked, and explained, by whoever opens it.
  if (only !== undefined && generations.length === 1) return only;
  const { snapshot, lastIndex } = log;
  for (const one of generations) {
    const { applied } = one;
    if (applied === undefined || applied.index < snapshot.index) continue;
    if (applied.index > lastIndex) continue;
    if (applied.index === snapshot.index && applied.term !== snapshot.term) continue;
    return one;
  }
  const have = generations.map(
    (one) => `${generationName(one.generation)} at entry ${one.applied?.index ?? 0}`,
  );
  throw new StorageError(
    `none of the databases fits to the log, which has the entries after ${snapshot.index} ` +
      `up to ${lastIndex} (${have.join(', ')})`,
    {
      path: memberDir,
      remedy: damagedRemedy,
    },
  );
}

/** The directories of an open store: where states are staged, and how they come and go. */
export class KvGenerations {
  readonly place: KvPlace;
  #next: number;

  constructor(place: KvPlace, generations: readonly OpenGeneration[]) {
    this.place = place;
    this.#next = 1 + Math.max(0, ...generations.map(({ generation }) => generation));
  }

  /** Removes what a crash has left and all generations but `keep`. */
  async settle(generations: readonly OpenGeneration[], keep: OpenGeneration): Promise<void> {
    const { disk, memberDir } = this.place;
    for (const name of await disk.list(memberDir)) {
      if (leftoverName.test(name)) await disk.remove(`${memberDir}/${name}`);
    }
    for (const one of generations) {
      if (one === keep) continue;
      await one.kv.close();
      await this.remove(one.path);
    }
  }

  /** A new directory; it counts for nothing until {@link complete}. */
  async stage(): Promise<{ readonly path: string; readonly kv: KvStore }> {
    const { disk, memberDir, openKvStore } = this.place;
    const path = `${memberDir}/${generationName(this.#next)}.tmp`;
    this.#next += 1;
    await disk.remove(path);
    return { path, kv: await openKvStore(path) };
  }

  /** Gives a staged directory, synced and closed, its lasting name; returns its path. */
  async complete(stagedPath: string): Promise<string> {
    const { disk, memberDir } = this.place;
    assert(stagedPath.endsWith('.tmp'), 'only what was staged becomes complete');
    const path = stagedPath.slice(0, -'.tmp'.length);
    await disk.syncDir(stagedPath);
    await disk.rename(stagedPath, path);
    await disk.syncDir(memberDir);
    return path;
  }

  /** Removes a staged directory that was not completed. */
  async drop(stagedPath: string): Promise<void> {
    await this.place.disk.remove(stagedPath);
  }

  /** Removes a complete directory that is closed. */
  async remove(path: string): Promise<void> {
    const { disk, memberDir } = this.place;
    assert(!leftoverName.test(path.slice(memberDir.length + 1)), 'what goes was complete');
    const gone = `${path}.gone`;
    await disk.rename(path, gone);
    await disk.syncDir(memberDir);
    await disk.remove(gone);
  }
}

async function listComplete(place: KvPlace): Promise<number[]> {
  const found: number[] = [];
  for (const name of await place.disk.list(place.memberDir)) {
    const match = completeName.exec(name);
    if (match !== null) found.push(Number(match[1] ?? '0'));
  }
  return found.sort((a, b) => a - b);
}

async function appliedIn(one: OpenGeneration): Promise<OpenGeneration['applied']> {
  const [format, mark] = await one.kv.getMany([formatKey, markKey]);
  if (format !== undefined && Number(format.toString()) !== formatVersion) return undefined;
  if (mark === undefined) return { index: 0, term: 0 };
  const { index, term } = decodeMark(mark, one.path);
  return { index, term };
}

/**
 * LevelDB takes a directory without CURRENT for a new one and deletes the tables in it: what could
 * still be repaired by hand would be gone.
 */
async function refuseIfHalved(disk: Disk, path: string): Promise<void> {
  const names = await disk.list(path);
  if (names.includes('CURRENT') || !names.some((name) => /\.(log|ldb|sst)$/.test(name))) return;
  throw new StorageError(
    'the database has tables, but the file that says which of them count is gone',
    {
      path: `${path}/CURRENT`,
      remedy: `Put the file back if there is a copy. ${damagedRemedy}`,
    },
  );
}
