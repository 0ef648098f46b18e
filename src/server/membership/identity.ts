/**
 * Member and cluster ids as etcd derives them, so that a cluster founded with the same flags has
 * the same ids (C-5.1).
 */

import { createHash } from 'node:crypto';
import { compareMemberIds, type MemberId } from '../../common/index.js';

/** A member of a cluster that is being founded, or joined. */
export interface FoundingMember {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly isLearner: boolean;
}

/** Everything that all founding members must agree on. */
export interface ClusterIdentity {
  readonly clusterId: bigint;
  /** Ascending by id. */
  readonly members: readonly FoundingMember[];
}

/** The identity of the cluster that --initial-cluster and --initial-cluster-token found. */
export function foundingIdentity(
  initialCluster: ReadonlyMap<string, readonly string[]>,
  token: string,
): ClusterIdentity {
  const members = [...initialCluster].map(([name, peerUrls]) => ({
    id: memberIdOf(peerUrls, token),
    name,
    peerUrls,
    isLearner: false,
  }));
  members.sort((a, b) => compareMemberIds(a.id, b.id));
  return { clusterId: clusterIdOf(members.map((member) => member.id)), members };
}

/** Id of a founding member: SHA-1 of its sorted peer URLs and the cluster token. */
export function memberIdOf(peerUrls: readonly string[], token: string): MemberId {
  return hash64([...peerUrls].sort().join('') + token);
}

/** Id of a member added later; the time (seconds of the Unix epoch) takes the token's place. */
export function addedMemberIdOf(peerUrls: readonly string[], unixSeconds: number): MemberId {
  return hash64(`${[...peerUrls].sort().join('')}${Math.floor(unixSeconds)}`);
}

/** SHA-1 over the ascending 8-byte big-endian member ids. */
export function clusterIdOf(memberIds: readonly MemberId[]): bigint {
  const sorted = [...memberIds].sort(compareMemberIds);
  const bytes = Buffer.alloc(8 * sorted.length);
  sorted.forEach((id, i) => {
    bytes.writeBigUInt64BE(id, 8 * i);
  });
  return hash64(bytes);
}

/**
 * The incarnation of a data directory that was founded before there were incarnations: always the
 * same, so that it need not be stored, and none that a founding will ever draw.
 */
export function oldIncarnationOf(clusterId: bigint, memberId: MemberId): bigint {
  return hash64(`incarnation ${clusterId} ${memberId}`);
}

function hash64(data: string | Buffer): bigint {
  return createHash('sha1').update(data).digest().readBigUInt64BE(0);
}
