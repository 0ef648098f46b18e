/**
 * The question 'cluster': who are you all? Asked before a data directory is founded, by somebody
 * who is no member yet, and by members for each other's versions.
 */

import { Packr } from 'msgpackr';
import { emptyBytes, idToHex, type MemberId } from '../../common/index.js';
import { idFromHex } from './codec.js';
import type { Member } from './member.js';

/** What a member knows of its cluster. */
export interface ClusterAnswer {
  readonly clusterId: bigint;
  /** Who answers. */
  readonly memberId: MemberId;
  /** By id. An incarnation is told even if the member has not published it yet. */
  readonly members: readonly Member[];
  readonly removed: readonly MemberId[];
  /** Of the program, "major.minor.patch". */
  readonly version: string;
  /** Of the etcd that it behaves like. */
  readonly etcdVersion: string;
}

const codec = new Packr({ useRecords: false, moreTypes: false });

/** The question has nothing to say. */
export const clusterQuestion: Uint8Array = emptyBytes;

interface Wire {
  readonly cluster: string;
  readonly member: string;
  readonly members: ReadonlyArray<Omit<Member, 'id' | 'incarnation'> & WireIds>;
  readonly removed: readonly string[];
  readonly version: string;
  readonly etcdVersion: string;
}
interface WireIds {
  readonly id: string;
  readonly incarnation: string;
}

export function encodeClusterAnswer(answer: ClusterAnswer): Buffer {
  const wire: Wire = {
    cluster: idToHex(answer.clusterId),
    member: idToHex(answer.memberId),
    members: answer.members.map((member) => ({
      ...member,
      id: idToHex(member.id),
      incarnation: idToHex(member.incarnation),
    })),
    removed: answer.removed.map(idToHex),
    version: answer.version,
    etcdVersion: answer.etcdVersion,
  };
  return codec.pack(wire);
}

export function decodeClusterAnswer(body: Uint8Array): ClusterAnswer {
  const wire = codec.unpack(body) as Wire;
  return {
    clusterId: idFromHex(wire.cluster),
    memberId: idFromHex(wire.member),
    members: wire.members.map(({ id, name, peerUrls, clientUrls, isLearner, incarnation }) => ({
      id: idFromHex(id),
      name,
      peerUrls,
      clientUrls,
      isLearner,
      incarnation: idFromHex(incarnation),
    })),
    removed: wire.removed.map(idFromHex),
    version: wire.version,
    etcdVersion: wire.etcdVersion,
  };
}
