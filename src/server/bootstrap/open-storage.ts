/**
 * Opens a member's data directory, or founds a new one, and makes sure that its two halves agree:
 * the log must reach at least as far as the KvStore, and the KvStore at least as far as the point
 * before which the log was deleted. Anything else is damage, and the node does not start on it. If
 * a crash left more than one KvStore, the log says which one counts (docs/on-disk-format.md).
 */

import {
  type Clock,
  type Disk,
  type KvStore,
  type Logger,
  type LogIndex,
  type MemberId,
  type OpenKvStore,
  type Random,
  StorageError,
} from '../../common/index.js';
import { initialRestore, joiningRestore, type RaftRestore } from '../../raft/index.js';
import {
  chooseGeneration,
  damagedRemedy,
  inUseRemedy,
  KvGenerations,
  type KvPlace,
  type MvccStore,
  type MvccStoreOptions,
  newerVersionRemedy,
  type OpenGeneration,
  openGenerations,
  openMvccStore,
  openWal,
  type Wal,
  type WalContents,
} from '../../storage/index.js';
import { Membership } from '../membership/index.js';
import { explainDirectories } from './data-dir.js';
import { forceNewCluster } from './force-new-cluster.js';
import { decodeNodeMetadata, encodeNodeMetadata, type NodeMetadata } from './metadata.js';
import { removeStaleImages } from './stale-images.js';
import { StartGate } from './start-gate.js';

export interface OpenStorageOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly openKvStore: OpenKvStore;
  readonly dataDir: string;
  /** '': inside the data directory. */
  readonly walDir: string;
  /** See WalOptions. */
  readonly walSegmentBytes?: number | undefined;
  /** Used if the directory is new; undefined: it must not be. */
  readonly founding: NodeMetadata | undefined;
  /** See --force-new-cluster. */
  readonly forceNewCluster?: boolean;
  readonly mvcc: MvccStoreOptions;
  /** Applied entries that stay in Raft's memory for members that are behind. */
  readonly catchUpEntries: number;
  readonly onFatal: (error: unknown) => void;
  /** Gives up opening, as soon as the step under way has ended. */
  readonly signal?: AbortSignal | undefined;
}

export interface OpenedStorage {
  readonly store: MvccStore;
  readonly wal: Wal;
  readonly restore: RaftRestore;
  readonly membership: Membership;
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** Of the data directory, see PeerHello. */
  readonly incarnation: bigint;
  /** The directory had nothing in it. */
  readonly isNew: boolean;
}

/** What has to be closed if the rest can't be opened. */
interface Halves {
  wal?: Wal;
  store?: MvccStore;
}

/**
 * Rejects with StorageError if the directory is in use or can't be trusted, and with the reason of
 * the signal if that aborts; nothing stays open then.
 */
export async function openStorage(options: OpenStorageOptions): Promise<OpenedStorage> {
  try {
    return await open(options);
  } catch (error) {
    // Whatever became of it on the way out.
    options.signal?.throwIfAborted();
    throw explainDirectories(error, options);
  }
}

async function open(options: OpenStorageOptions): Promise<OpenedStorage> {
  const gate = new StartGate(options.signal);
  const disk = gate.disk(options.disk);
  const openKvStore = gate.openKvStore(options.openKvStore);
  const { dataDir } = options;
  const memberDir = `${dataDir}/member`;
  let generations: readonly OpenGeneration[] = [];
  const halves: Halves = {};
  try {
    await disk.mkdir(memberDir);
    for (const dir of [dataDir, memberDir]) await warnIfOpenToOthers(disk, dir, options.logger);
    const place = { disk, openKvStore, memberDir };
    // First, for the lock: a second process must not get as far as the log.
    generations = await openGenerations(place);
    await removeStaleImages(disk, memberDir);
    const opened = await openHalves({ ...options, disk, openKvStore }, place, generations, halves);
    gate.check();
    gate.release();
    return opened;
  } catch (error) {
    gate.release();
    await halves.wal?.close().catch(() => {});
    await halves.store?.close().catch(() => {});
    for (const { kv } of generations) await kv.close().catch(() => {});
    throw error;
  }
}

async function openHalves(
  options: OpenStorageOptions,
  place: KvPlace,
  generations: readonly OpenGeneration[],
  halves: Halves,
): Promise<OpenedStorage> {
  const { disk, random, logger, founding } = options;
  const { memberDir } = place;
  const walDir = options.walDir === '' ? `${memberDir}/wal` : options.walDir;
  const ifNew = founding === undefined ? {} : { metadataIfNew: encodeNodeMetadata(founding) };
  const { walSegmentBytes: segmentBytes } = options;
  const size = segmentBytes === undefined ? {} : { segmentBytes };
  const lock = options.walDir === '' ? undefined : await lockWalDir(options);
  const opening = openWal(disk, walDir, { random, logger, ...ifNew, ...size });
  const { wal: opened, contents } = await opening.catch(async (error: unknown) => {
    await lock?.close();
    throw error;
  });
  const wal = lock === undefined ? opened : withLock(opened, lock);
  halves.wal = wal;
  const log = { snapshot: contents.snapshot, lastIndex: lastIndexOf(contents) };
  const chosen = chooseGeneration(generations, log, memberDir);
  const directories = new KvGenerations(place, generations);
  const store = await openMvccStore({
    kv: chosen.kv,
    clock: options.clock,
    options: options.mvcc,
    logger,
    path: chosen.path,
    onFatal: options.onFatal,
    generations: directories,
  });
  halves.store = store;
  const metadata = decodeNodeMetadata(contents.metadata);
  if (metadata === undefined) {
    throw new StorageError('the log was written by a newer version', {
      path: walDir,
      remedy: newerVersionRemedy,
    });
  }
  const isNew = contents.snapshot.index === 0 && contents.entries.length === 0;
  if (isNew) await found(store, wal, metadata, contents, walDir);
  else checkAgreement(store, contents, walDir, chosen.path);
  // Now that it is sure which one counts.
  await directories.settle(generations, chosen);
  const membership = new Membership();
  membership.restore(store, initialMembers(metadata));
  let restore = isNew
    ? foundingRestore(metadata, contents)
    : restoreFrom(store, contents, options.catchUpEntries);
  const { clusterId, memberId, incarnation } = metadata;
  if (options.forceNewCluster === true && founding === undefined) {
    const { dataDir } = options;
    const force = { store, wal, membership, self: memberId, logger, dataDir };
    restore = await forceNewCluster(force, restore);
  }
  return { store, wal, restore, membership, clusterId, memberId, incarnation, isNew };
}

/**
 * The lock of the data directory says nothing of a log elsewhere: two members may have been given
 * the same, and opening it writes. There is no lock of files in Node, but LevelDB has one.
 */
async function lockWalDir({ disk, openKvStore, walDir }: OpenStorageOptions): Promise<KvStore> {
  await disk.mkdir(walDir);
  try {
    return await openKvStore(`${walDir}/lock`);
  } catch (error) {
    if (!(error instanceof StorageError) || error.remedy !== inUseRemedy) throw error;
    throw new StorageError('--wal-dir is in use by another process', {
      path: walDir,
      remedy: 'Stop that process, or give each member a log directory of its own.',
      cause: error,
    });
  }
}

/** `wal`, which lets go of the lock when it is closed. */
function withLock(wal: Wal, lock: KvStore): Wal {
  return {
    append: (hardState, entries, sync) => wal.append(hardState, entries, sync),
    markSnapshot: (snapshot) => wal.markSnapshot(snapshot),
    release: (index) => wal.release(index),
    get sizeBytes() {
      return wal.sizeBytes;
    },
    async close() {
      try {
        await wal.close();
      } finally {
        await lock.close();
      }
    },
  };
}

/** What clients stored may be secret (CVE-2020-15113); but whoever set it up may mean it. */
async function warnIfOpenToOthers(disk: Disk, dir: string, logger: Logger): Promise<void> {
  const mode = await disk.mode(dir);
  if ((mode & 0o077) === 0) return;
  logger.warn('other users may look into this directory or change it: chmod 700 it', {
    path: dir,
    mode: mode.toString(8).padStart(4, '0'),
  });
}

function initialMembers(metadata: NodeMetadata) {
  return metadata.founders.map((founder) => ({ ...founder, clientUrls: [], incarnation: 0n }));
}

function foundingRestore(metadata: NodeMetadata, contents: WalContents): RaftRestore {
  // One that joins may have voted before it got its first snapshot.
  if (metadata.joining) return { ...joiningRestore(), hardState: contents.hardState };
  return initialRestore(metadata.founders.map(({ id }) => id));
}

/** The founding state is the snapshot at index 1; doing it again after a crash changes nothing. */
async function found(
  store: MvccStore,
  wal: Wal,
  metadata: NodeMetadata,
  contents: WalContents,
  walDir: string,
): Promise<void> {
  const { snapshot, hardState } = foundingRestore(metadata, contents);
  if (store.applied.index > snapshot.index) {
    throw new StorageError('the log is empty, but the data beside it is not', {
      path: walDir,
      remedy: `If the log is in another directory, give that as --wal-dir. ${damagedRemedy}`,
    });
  }
  // One that joins has nothing until a leader sends it a snapshot.
  if (metadata.joining) return;
  if (store.applied.index < snapshot.index) {
    const txn = store.begin(snapshot.index, snapshot.term);
    const membership = new Membership();
    membership.restore({ metaEntries: () => [] }, initialMembers(metadata));
    membership.storeInitial(txn);
    txn.commit();
    store.setApplied(snapshot);
    await store.flushSync();
  }
  await wal.append(hardState, [], true);
  await wal.markSnapshot(snapshot);
}

function checkAgreement(
  store: MvccStore,
  contents: WalContents,
  walDir: string,
  kvDir: string,
): void {
  const { snapshot } = contents;
  const last = lastIndexOf(contents);
  const applied = store.applied.index;
  if (applied < snapshot.index) {
    throw new StorageError(
      `the data reach up to entry ${applied}, but the log begins after entry ${snapshot.index}`,
      {
        path: kvDir,
        remedy: damagedRemedy,
      },
    );
  }
  if (applied > last) {
    throw new StorageError(`the log ends at entry ${last}, but entry ${applied} has been applied`, {
      path: walDir,
      remedy: damagedRemedy,
    });
  }
}

function lastIndexOf({ snapshot, entries }: WalContents): LogIndex {
  return entries[entries.length - 1]?.index ?? snapshot.index;
}

/**
 * Raft starts from what is applied. The last entries before it stay in its memory, if the log still
 * has them: after a restart of the leader nobody should need a snapshot for being a little behind.
 */
function restoreFrom(store: MvccStore, contents: WalContents, catchUpEntries: number): RaftRestore {
  const { index, term, configuration } = store.applied;
  const commit = Math.max(contents.hardState.commit, index);
  const after = Math.max(contents.snapshot.index, index - catchUpEntries);
  const before = contents.entries.find((entry) => entry.index === after);
  const hardState = { ...contents.hardState, commit };
  const kept = after < index && (after === contents.snapshot.index || before !== undefined);
  if (!kept) {
    return {
      hardState,
      snapshot: { index, term, configuration },
      entries: contents.entries.filter((entry) => entry.index > index),
      applied: index,
    };
  }
  return {
    hardState,
    // Its configuration is not asked for: `appliedConfiguration` is newer.
    snapshot: { index: after, term: before?.term ?? contents.snapshot.term, configuration },
    entries: contents.entries.filter((entry) => entry.index > after),
    applied: index,
    appliedConfiguration: configuration,
  };
}
