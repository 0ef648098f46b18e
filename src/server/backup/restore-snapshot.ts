/**
 * Makes a data directory from a snapshot, as `etcdutl snapshot restore` does: all keys with the
 * history that the file has, leases and alarms, for a member of a new cluster. Members restored
 * from the same file with the same --initial-cluster begin with the same state, the snapshot at
 * index 1 (see initialRestore), and so form a cluster.
 *
 * Everything is written below `restore.tmp`, and becomes `member` when it is whole and synced: a
 * crash leaves a directory that no start takes for a member's, and the next restore removes it.
 * With a log elsewhere, the log comes first: without its data it is refused at a start.
 */

import { createHash } from 'node:crypto';
import {
  type Clock,
  type Disk,
  type DiskFile,
  type Logger,
  type OpenKvStore,
  type Random,
  type Revision,
  StorageError,
} from '../../common/index.js';
import { initialRestore } from '../../raft/index.js';
import {
  type BboltEntry,
  type BboltReader,
  diskFact,
  openBbolt,
  openMvccStore,
  openWal,
  type RevisionHash,
  StoreImport,
  syncPath,
} from '../../storage/index.js';
import {
  checkDirectories,
  drawIncarnation,
  encodeNodeMetadata,
  explainDirectories,
  type NodeMetadata,
} from '../bootstrap/index.js';
import { downgradeMetaName, encodeDowngradeState } from '../cluster/index.js';
import { alarmMetaName, alarmPresent } from '../guard/index.js';
import { encodeLeaseRecord, type LeaseRecord, leaseMetaName } from '../lease/index.js';
import { foundingIdentity, Membership } from '../membership/index.js';
import type { ServerConfig } from '../options/index.js';
import { recordsOfAuth, recordsOfRole, recordsOfUser } from './etcd-auth.js';
import { alarmOf, downgradeOf, leaseOf, revisionOf } from './etcd-buckets.js';
import { KnownLeases } from './known-leases.js';

export interface RestoreOptions {
  /** A bbolt file in etcd's schema. */
  readonly snapshotPath: string;
  readonly skipHashCheck: boolean;
  /** Added to the revision; > 0: all older ones count as compacted. */
  readonly bumpRevision: number;
  /** Revisions above it are left out; left out itself: none are. */
  readonly upTo?: Revision | undefined;
  /** @internal What follows the snapshot. */
  readonly changes?: ChangesAfter | undefined;
  /** @internal What HashKV has to say of the restored store, if that is compacted as far. */
  readonly hash?: RevisionHash | undefined;
  readonly config: Pick<
    ServerConfig,
    'dataDir' | 'walDir' | 'name' | 'initialCluster' | 'initialClusterToken'
  >;
  readonly ports: {
    readonly clock: Clock;
    readonly disk: Disk;
    readonly logger: Logger;
    readonly openKvStore: OpenKvStore;
    readonly random: Random;
  };
}

/** @internal Changes that follow a snapshot. */
export interface ChangesAfter {
  /** Adds those above `above`, which the snapshot has itself, and up to `upTo`. */
  addTo(into: StoreImport, leases: KnownLeases, above: Revision, upTo: Revision): Promise<void>;
}

/** What has become of the snapshot. */
export interface RestoredSnapshot {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: Revision;
  /** -1: nothing is compacted. */
  readonly compactRevision: Revision;
  /** Revisions of keys. */
  readonly records: number;
  readonly leases: number;
  readonly alarms: number;
  readonly users: number;
  readonly roles: number;
  /** The hash was computed again, and is the one that was expected. */
  readonly isHashVerified: boolean;
}

const temporaryName = 'restore.tmp';
const hashBytes = 32;
/** etcd's test for a hash at the end: pages are multiples of this. */
const hashUnitBytes = 512;
const readBytes = 1024 * 1024;

/**
 * Resolves when the directory is durable. StorageError if the file or a directory is not what it
 * must be; nothing is left behind then.
 */
export async function restoreSnapshot(options: RestoreOptions): Promise<RestoredSnapshot> {
  await refuseIfUnfit(options);
  await refuseIfDirectory(options.ports.disk, options.snapshotPath);
  return await withSnapshot(options, (reader) =>
    inTemporary(options, (temporary) => build(options, reader, temporary)),
  );
}

/**
 * The same, of a snapshot that `bring` writes into a file of its own beside what becomes of it. If
 * it rejects, nothing is left behind.
 */
export async function restoreFetched(
  options: Omit<RestoreOptions, 'snapshotPath' | 'skipHashCheck'>,
  bring: (path: string) => Promise<void>,
): Promise<RestoredSnapshot> {
  const whole = { ...options, snapshotPath: '', skipHashCheck: false };
  await refuseIfUnfit(whole);
  return await inTemporary(whole, async (temporary) => {
    const snapshotPath = `${temporary}/snapshot.db`;
    await bring(snapshotPath);
    const own = { ...whole, snapshotPath };
    const restored = await withSnapshot(own, (reader) => build(own, reader, temporary));
    await options.ports.disk.remove(snapshotPath);
    return restored;
  });
}

async function refuseIfUnfit({ config, ports }: RestoreOptions): Promise<void> {
  const { dataDir, walDir } = config;
  const { disk } = ports;
  await checkDirectories(disk, config);
  await refuseIfUsed(disk, dataDir, '--data-dir');
  if (walDir !== '') await refuseIfUsed(disk, walDir, '--wal-dir');
}

/** Opens the snapshot, checks it, and closes it when `use` is done. */
async function withSnapshot<T>(
  options: RestoreOptions,
  use: (reader: BboltReader) => Promise<T>,
): Promise<T> {
  const { ports, snapshotPath } = options;
  const file = await ports.disk.open(snapshotPath, 'read');
  try {
    const bytes = await checkHash(file, options);
    const reader = await openBbolt(file, snapshotPath, bytes);
    for (const bucket of ['key', 'meta']) {
      if (!reader.buckets.includes(bucket)) {
        throw wrongSnapshot(options, `it has no bucket "${bucket}", so etcd has not written it`, 0);
      }
    }
    return await use(reader);
  } finally {
    await file.close();
  }
}

/** Whoever comes from etcd may give its data directory. */
async function refuseIfDirectory(disk: Disk, path: string): Promise<void> {
  const names = await disk.list(path).catch(() => []);
  if (names.length === 0) return;
  throw new StorageError('the snapshot is a directory, not a file', {
    path,
    remedy:
      'Give a file that etcdctl snapshot save wrote. In the data directory of an etcd that can not ' +
      'be started any more, member/snap/db serves with --skip-hash-check, as far as it was written.',
  });
}

async function refuseIfUsed(disk: Disk, dir: string, flag: string): Promise<void> {
  const names = await disk.list(dir);
  if (names.every((name) => name === temporaryName)) return;
  throw new StorageError(`${flag} is not empty`, {
    path: dir,
    remedy: 'Give a directory that does not exist or is empty; nothing in this one was changed.',
  });
}

/** Bytes of the database in the file, without the hash behind it. */
async function checkHash(file: DiskFile, options: RestoreOptions): Promise<number> {
  const size = await file.size();
  const hasHash = size % hashUnitBytes === hashBytes;
  if (!hasHash && !options.skipHashCheck) {
    throw new StorageError('snapshot missing hash but --skip-hash-check=false', {
      path: options.snapshotPath,
      remedy:
        'It was cut short; or if it is the db file of an etcd data directory, ' +
        'give --skip-hash-check.',
    });
  }
  const bytes = hasHash ? size - hashBytes : size;
  if (options.skipHashCheck) return bytes;
  const hash = createHash('sha256');
  for (let offset = 0; offset < bytes; ) {
    const chunk = await file.read(offset, Math.min(readBytes, bytes - offset));
    if (chunk.length === 0) throw wrongSnapshot(options, 'it became shorter meanwhile', offset);
    hash.update(chunk);
    offset += chunk.length;
  }
  const expected = await file.read(bytes, hashBytes);
  const actual = hash.digest();
  if (expected.equals(actual)) return bytes;
  throw wrongSnapshot(
    options,
    `expected sha256 ${expected.toString('hex')}, got ${actual.toString('hex')}`,
    bytes,
  );
}

/** What `fill` makes below the temporary directory becomes the member's, or nothing is left of it. */
async function inTemporary(
  options: RestoreOptions,
  fill: (temporary: string) => Promise<RestoredSnapshot>,
): Promise<RestoredSnapshot> {
  const { config, ports } = options;
  const { dataDir, walDir } = config;
  const { disk } = ports;
  const temporary = `${dataDir}/${temporaryName}`;
  const temporaryWal = temporaryWalOf(options, temporary);
  const remove = async (): Promise<void> => {
    await disk.remove(temporary);
    await disk.remove(temporaryWal);
  };
  try {
    await remove();
    await disk.mkdir(temporary);
    const restored = await fill(temporary);
    if (walDir !== '') await moveLog(disk, temporaryWal, walDir);
    await disk.syncDir(`${temporary}/kv`);
    await disk.syncDir(temporary);
    await disk.rename(temporary, `${dataDir}/member`);
    await syncPath(disk, dataDir);
    return restored;
  } catch (error) {
    await remove().catch(() => {});
    throw explainDirectories(error, config);
  }
}

function temporaryWalOf({ config }: RestoreOptions, temporary: string): string {
  return config.walDir === '' ? `${temporary}/wal` : `${config.walDir}/${temporaryName}`;
}

async function build(
  options: RestoreOptions,
  reader: BboltReader,
  temporary: string,
): Promise<RestoredSnapshot> {
  const metadata = metadataOf(options);
  const filled = await fillStore(options, reader, `${temporary}/kv`, metadata);
  const isHashVerified = await tryToOpen(options, `${temporary}/kv`, filled);
  await makeLog(options, temporaryWalOf(options, temporary), metadata);
  return { ...filled, isHashVerified };
}

function metadataOf({ config, ports }: RestoreOptions): NodeMetadata {
  const { initialCluster, initialClusterToken, name } = config;
  const { clusterId, members } = foundingIdentity(initialCluster, initialClusterToken);
  const memberId = members.find((member) => member.name === name)?.id ?? 0n;
  const incarnation = drawIncarnation(ports.random);
  return { clusterId, memberId, incarnation, joining: false, founders: members };
}

// --------------------------------------------------------------------------------------- data

type Filled = Omit<RestoredSnapshot, 'isHashVerified'>;

async function fillStore(
  options: RestoreOptions,
  reader: BboltReader,
  path: string,
  metadata: NodeMetadata,
): Promise<Filled> {
  const { changes, ports, upTo } = options;
  const kv = await ports.openKvStore(path);
  try {
    const into = new StoreImport(kv);
    const newestInSnapshot = await readRecords(options, reader, into);
    const auth = await readAuth(options, reader, into);
    const known = new KnownLeases();
    const isPoint = upTo !== undefined || changes !== undefined;
    let leases = await readLeases(options, reader, (lease) => {
      if (isPoint) known.add(lease);
      else into.meta(leaseMetaName(lease.id), encodeLeaseRecord(lease));
    });
    await changes?.addTo(into, known, newestInSnapshot, upTo ?? Number.POSITIVE_INFINITY);
    if (isPoint) leases = await known.addTo(into);
    const alarms = await readAlarms(options, reader, into);
    await readDowngrade(options, reader, into);
    addMembers(into, metadata);
    const mark = await readMark(options, reader, into);
    const { snapshot } = initialRestore(metadata.founders.map(({ id }) => id));
    await into.finish({ ...snapshot, ...mark });
    const { clusterId, memberId } = metadata;
    const { revision, compactRevision } = mark;
    const { records } = into;
    return { clusterId, memberId, revision, compactRevision, records, leases, alarms, ...auth };
  } finally {
    await kv.close();
  }
}

/** Calls `take` for each entry of a bucket, and writes what has gathered now and then. */
async function each(
  reader: BboltReader,
  bucket: string,
  into: StoreImport,
  take: (entry: BboltEntry) => void,
): Promise<void> {
  for await (const slice of reader.slices(bucket)) {
    for (const entry of slice) {
      take(entry);
      if (into.isFull) await into.flush();
    }
  }
}

/** Adds those up to the wanted revision; resolves with the newest revision that the snapshot has. */
async function readRecords(
  options: RestoreOptions,
  reader: BboltReader,
  into: StoreImport,
): Promise<Revision> {
  const upTo = options.upTo ?? Number.POSITIVE_INFINITY;
  let newest: Revision = 0;
  await each(reader, 'key', into, ({ key, value, offset }) => {
    if (key.length >= 8) newest = Number(key.readBigUInt64BE(0));
    if (newest > upTo) return;
    const wrong = into.record(key, value);
    if (wrong !== undefined) throw wrongSnapshot(options, `it has ${wrong}`, offset);
  });
  return newest;
}

async function readLeases(
  options: RestoreOptions,
  reader: BboltReader,
  take: (lease: LeaseRecord) => void,
): Promise<number> {
  let count = 0;
  for await (const slice of reader.slices('lease')) {
    for (const { key, value, offset } of slice) {
      const lease = leaseOf(key, value);
      if (lease === undefined) throw wrongSnapshot(options, 'it has an unreadable lease', offset);
      take(lease);
      count += 1;
    }
  }
  return count;
}

async function readAlarms(
  options: RestoreOptions,
  reader: BboltReader,
  into: StoreImport,
): Promise<number> {
  let count = 0;
  await each(reader, 'alarm', into, ({ key, offset }) => {
    const alarm = alarmOf(key);
    if (alarm === undefined) throw wrongSnapshot(options, 'it has an unknown alarm', offset);
    into.meta(alarmMetaName(alarm), alarmPresent);
    count += 1;
  });
  return count;
}

/** As etcd's restore, which keeps this bucket: a downgrade that was on is on again. */
async function readDowngrade(
  options: RestoreOptions,
  reader: BboltReader,
  into: StoreImport,
): Promise<void> {
  const found = new Map<string, BboltEntry>();
  await each(reader, 'cluster', into, (entry) => {
    const name = entry.key.toString('latin1');
    if (name === 'clusterVersion' || name === 'downgrade') found.set(name, entry);
  });
  const downgrade = found.get('downgrade');
  if (downgrade === undefined) return;
  const version = found.get('clusterVersion')?.value.toString('latin1');
  const state = downgradeOf(downgrade.value, version);
  if (state === undefined) {
    throw wrongSnapshot(options, 'it has an unreadable downgrade', downgrade.offset);
  }
  if (state.targetVersion !== undefined) into.meta(downgradeMetaName, encodeDowngradeState(state));
}

/** How many users and roles; whether they are asked for is in the records as well. */
async function readAuth(
  options: RestoreOptions,
  reader: BboltReader,
  into: StoreImport,
): Promise<Pick<RestoredSnapshot, 'users' | 'roles'>> {
  const counts = { auth: 0, authUsers: 0, authRoles: 0 };
  const readers = { auth: recordsOfAuth, authUsers: recordsOfUser, authRoles: recordsOfRole };
  for (const bucket of ['auth', 'authUsers', 'authRoles'] as const) {
    await each(reader, bucket, into, ({ key, value, offset }) => {
      const records = readers[bucket](key, value);
      if (records === undefined) {
        throw wrongSnapshot(options, `its bucket ${bucket} has an unreadable entry`, offset);
      }
      for (const [name, record] of records) into.meta(name, record);
      counts[bucket] += 1;
    });
  }
  return { users: counts.authUsers, roles: counts.authRoles };
}

/** Those of the new cluster; the ones in the file are of another. */
function addMembers(into: StoreImport, metadata: NodeMetadata): void {
  const membership = new Membership();
  const members = metadata.founders.map((one) => ({ ...one, clientUrls: [], incarnation: 0n }));
  membership.restore({ metaEntries: () => [] }, members);
  membership.storeInitial({
    setMeta: (name, value) => {
      if (value !== undefined) into.meta(name, value);
    },
  });
}

interface Revisions {
  readonly revision: Revision;
  readonly compactRevision: Revision;
  readonly removedRevision: Revision;
}

/** As etcd's store works it out at a start; what a compaction has not removed yet will be. */
async function readMark(
  options: RestoreOptions,
  reader: BboltReader,
  into: StoreImport,
): Promise<Revisions> {
  const found = { finishedCompactRev: -1, scheduledCompactRev: -1 };
  await each(reader, 'meta', into, ({ key, value, offset }) => {
    const name = key.toString('latin1');
    if (name !== 'finishedCompactRev' && name !== 'scheduledCompactRev') return;
    const revision = revisionOf(value);
    if (revision === undefined) throw wrongSnapshot(options, `it has no ${name}`, offset);
    found[name] = revision;
  });
  const removedRevision = found.finishedCompactRev;
  const compacted = Math.max(removedRevision, found.scheduledCompactRev);
  if (options.upTo !== undefined && options.upTo < compacted) {
    throw new StorageError(`revision ${options.upTo} is not there any more`, {
      path: options.snapshotPath,
      remedy:
        `History was compacted up to ${compacted} when this full snapshot was taken: ` +
        'restore to that or above, or name an older backup with --backup.',
    });
  }
  const newest = Math.max(1, into.revision, compacted);
  const bumped = newest + options.bumpRevision;
  if (bumped > Number.MAX_SAFE_INTEGER) {
    throw wrongSnapshot(options, `its revision ${newest} can't be raised so far`, 0);
  }
  const compactRevision = options.bumpRevision > 0 ? bumped : compacted;
  return { revision: bumped, compactRevision, removedRevision };
}

/**
 * As a start will: what does not open must not be called restored. True if the hash could be
 * compared.
 */
async function tryToOpen(
  options: RestoreOptions,
  path: string,
  { compactRevision, revision }: Filled,
): Promise<boolean> {
  const { bumpRevision, hash: expected, ports, snapshotPath } = options;
  const kv = await ports.openKvStore(path);
  let isVerified = false;
  let failure: Error | undefined;
  try {
    const store = await openMvccStore({
      kv,
      clock: ports.clock,
      logger: ports.logger,
      path,
      options: {
        cacheBytesMax: readBytes,
        flushIntervalMs: 1000,
        flushBytes: readBytes,
        flushRecords: Number.POSITIVE_INFINITY,
        unflushedBytesMax: readBytes,
        compactionBatch: 1000,
        compactionSleepMs: 1000,
      },
      onFatal: (error) => {
        failure = error;
      },
    });
    if (store.revision !== revision) failure = new Error(`it is at revision ${store.revision}`);
    const isSame = bumpRevision === 0 && expected?.compactRevision === compactRevision;
    if (expected !== undefined && isSame && expected.hashRevision <= revision) {
      const { hash } = await store.hashKv(expected.hashRevision, false);
      isVerified = hash === expected.hash;
      if (!isVerified) failure = new Error(`its hash is ${hash}, and was ${expected.hash}`);
    }
    await store.close();
  } catch (error) {
    failure = error instanceof Error ? error : new Error(String(error));
    await kv.close().catch(() => {});
  }
  if (failure === undefined) return isVerified;
  if (diskFact(failure) !== undefined) throw failure;
  throw new StorageError(`what was restored can't be opened: ${failure.message}`, {
    path: snapshotPath,
    remedy: 'Take another snapshot.',
    cause: failure,
  });
}

// ---------------------------------------------------------------------------------------- log

/** A log without entries, whose snapshot mark speaks of the restored state. */
async function makeLog(
  { ports }: RestoreOptions,
  dir: string,
  metadata: NodeMetadata,
): Promise<void> {
  const { disk, logger, random } = ports;
  const metadataIfNew = encodeNodeMetadata(metadata);
  const { wal } = await openWal(disk, dir, { random, logger, metadataIfNew });
  try {
    const { hardState, snapshot } = initialRestore(metadata.founders.map(({ id }) => id));
    await wal.append(hardState, [], true);
    await wal.markSnapshot(snapshot);
  } finally {
    await wal.close();
  }
}

/** One segment, so one rename: the log is there, or it is not. */
async function moveLog(disk: Disk, from: string, to: string): Promise<void> {
  const segments = (await disk.list(from)).filter((name) => name.endsWith('.wal'));
  for (const name of segments) await disk.rename(`${from}/${name}`, `${to}/${name}`);
  await disk.remove(from);
  await syncPath(disk, to);
}

function wrongSnapshot(options: RestoreOptions, what: string, offset: number): StorageError {
  return new StorageError(`the snapshot can't be restored: ${what}`, {
    path: options.snapshotPath,
    offset,
    remedy: 'The file is damaged or no snapshot: take another copy of it, or another snapshot.',
  });
}
