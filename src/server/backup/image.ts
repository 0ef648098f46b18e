/**
 * The store as a bbolt file in etcd's schema (etcd server/storage/schema, facts only), so that
 * etcd's own tools look into a snapshot and restore it: `etcdctl snapshot status`, `etcdutl
 * snapshot restore`.
 */

import {
  clusterVersion,
  type Disk,
  emptyBytes,
  idToHex,
  snapshotSchemaVersion,
} from '../../common/index.js';
import { alarmMember } from '../../proto/index.js';
import { BboltImage, type ImageEntry, type SnapshotView } from '../../storage/index.js';
import { type DowngradeState, decodeDowngradeState, downgradeMetaName } from '../cluster/index.js';
import { parseAlarmName } from '../guard/index.js';
import { decodeLeaseRecord, leaseMetaPrefix } from '../lease/index.js';
import {
  decodeMember,
  memberIdOfName,
  memberMetaPrefix,
  removedMetaPrefix,
} from '../membership/index.js';
import { AuthBuckets } from './etcd-auth.js';

/**
 * Writes the image to a new file; returns its size in bytes. `check` may throw to end it early; the
 * file is the caller's in any case.
 */
export async function writeSnapshotImage(
  disk: Disk,
  path: string,
  view: SnapshotView,
  check: () => void,
): Promise<number> {
  await disk.remove(path);
  const file = await disk.open(path, 'create');
  try {
    const image = new BboltImage((offset, bytes) => {
      check();
      return file.write(offset, [bytes]);
    });
    await image.addBucket('key', view.records());
    const meta = await readMeta(view);
    await image.addBucket('meta', metaEntries(view));
    await image.addBucket('lease', meta.leases);
    await image.addBucket('alarm', meta.alarms);
    await image.addBucket('members', meta.members);
    await image.addBucket('members_removed', meta.removed);
    await image.addBucket('cluster', clusterEntries(meta.downgrade));
    for (const [name, entries] of Object.entries(meta.auth.entries())) {
      await image.addBucket(name, entries);
    }
    return await image.finish();
  } finally {
    await file.close();
  }
}

/** In key order. */
function metaEntries(view: SnapshotView): ImageEntry[] {
  const { applied, compactRevision } = view;
  const { voters, learners } = applied.configuration;
  // JSON numbers of 64 bits: written by hand, JavaScript's would round them.
  const ids = (list: readonly bigint[]): string => `[${list.join(',')}]`;
  const confState = `{"voters":${ids(voters)},"learners":${ids(learners)},"auto_leave":false}`;
  const entries: ImageEntry[] = [
    [Buffer.from('confState'), Buffer.from(confState)],
    [Buffer.from('consistent_index'), uint64(BigInt(applied.index))],
  ];
  if (compactRevision >= 0) {
    entries.push([Buffer.from('finishedCompactRev'), revisionBytes(compactRevision)]);
    entries.push([Buffer.from('scheduledCompactRev'), revisionBytes(compactRevision)]);
  }
  entries.push([Buffer.from('storageVersion'), Buffer.from(snapshotSchemaVersion)]);
  entries.push([Buffer.from('term'), uint64(BigInt(applied.term))]);
  return entries;
}

interface MetaBuckets {
  readonly leases: ImageEntry[];
  readonly alarms: ImageEntry[];
  readonly members: ImageEntry[];
  readonly removed: ImageEntry[];
  readonly downgrade: DowngradeState;
  readonly auth: AuthBuckets;
}

async function readMeta(view: SnapshotView): Promise<MetaBuckets> {
  const buckets = {
    leases: [] as ImageEntry[],
    alarms: [] as ImageEntry[],
    members: [] as ImageEntry[],
    removed: [] as ImageEntry[],
  };
  let downgrade: DowngradeState = {};
  const auth = new AuthBuckets();
  for await (const [name, value] of view.meta()) {
    const alarm = parseAlarmName(name);
    if (name.startsWith(leaseMetaPrefix)) buckets.leases.push(leaseEntry(name, value));
    else if (alarm !== undefined) buckets.alarms.push([alarmMember.encode(alarm), emptyBytes]);
    else if (name.startsWith(memberMetaPrefix)) buckets.members.push(memberEntry(name, value));
    else if (name.startsWith(removedMetaPrefix)) buckets.removed.push(removedEntry(name));
    else if (name === downgradeMetaName) downgrade = decodeDowngradeState(value);
    else auth.take(name, value);
  }
  for (const entries of Object.values(buckets)) {
    entries.sort(([a], [b]) => Buffer.compare(a, b));
  }
  return { ...buckets, downgrade, auth };
}

/** In key order. */
function clusterEntries({ clusterVersion: lowered, targetVersion }: DowngradeState): ImageEntry[] {
  const version = lowered ?? clusterVersion;
  const entries: ImageEntry[] = [[Buffer.from('clusterVersion'), Buffer.from(version)]];
  if (targetVersion === undefined) return entries;
  const info = { 'target-version': targetVersion, enabled: true };
  return [...entries, [Buffer.from('downgrade'), Buffer.from(JSON.stringify(info))]];
}

function leaseEntry(name: string, value: Buffer): ImageEntry {
  const { id, ttlSeconds, remainingTtlSeconds } = decodeLeaseRecord(name, value);
  // leasepb.Lease: 1 ID, 2 TTL, 3 RemainingTTL.
  const fields = [0x08, ...varint(BigInt.asUintN(64, id)), 0x10, ...varint(BigInt(ttlSeconds))];
  if (remainingTtlSeconds > 0) fields.push(0x18, ...varint(BigInt(remainingTtlSeconds)));
  return [uint64(BigInt.asUintN(64, id)), Buffer.from(fields)];
}

function memberEntry(name: string, value: Buffer): ImageEntry {
  const member = decodeMember(name, value);
  const { id, peerUrls, isLearner, clientUrls } = member;
  const learner = isLearner ? ',"isLearner":true' : '';
  const json =
    `{"id":${id},"peerURLs":${JSON.stringify(peerUrls)}${learner},` +
    `"name":${JSON.stringify(member.name)},"clientURLs":${JSON.stringify(clientUrls)}}`;
  return [Buffer.from(id.toString(16)), Buffer.from(json)];
}

function removedEntry(name: string): ImageEntry {
  const id = memberIdOfName(removedMetaPrefix, name);
  return [Buffer.from(idToHex(id)), Buffer.from('removed')];
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** etcd's form of a revision: main, '_', sub 0. */
function revisionBytes(main: number): Buffer {
  return Buffer.concat([uint64(BigInt(main)), Buffer.from('_'), uint64(0n)]);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return bytes;
}
