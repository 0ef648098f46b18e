/**
 * Who this data directory belongs to: written once, into the first record of the log, and compared
 * at each start with what the flags say. A member must never run on another one's data.
 */

import { Packr } from 'msgpackr';
import { idToHex, type MemberId, type Random } from '../../common/index.js';
import { type FoundingMember, oldIncarnationOf } from '../membership/index.js';

export interface NodeMetadata {
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** Drawn when the directory was founded, never 0n: see PeerHello. */
  readonly incarnation: bigint;
  /**
   * It joined a running cluster: `founders` then are the members that it was told of, and its
   * state comes from one of them.
   */
  readonly joining: boolean;
  /** The members that the cluster was founded with. */
  readonly founders: readonly FoundingMember[];
}

const format = 1;
const codec = new Packr({ useRecords: false, moreTypes: false });

/** What was added later is missing in directories that an older version has founded. */
interface Stored {
  readonly format: number;
  readonly cluster: string;
  readonly member: string;
  readonly incarnation?: string;
  readonly joining?: boolean;
  readonly founders: ReadonlyArray<{
    readonly id: string;
    readonly name: string;
    readonly peerUrls: readonly string[];
    readonly isLearner?: boolean;
  }>;
}

/** A number that no other founding will draw. */
export function drawIncarnation(random: Random): bigint {
  for (;;) {
    const incarnation = random.u64();
    if (incarnation !== 0n) return incarnation;
  }
}

export function encodeNodeMetadata(metadata: NodeMetadata): Buffer {
  const { clusterId, memberId, incarnation, joining, founders } = metadata;
  const stored: Stored = {
    format,
    cluster: idToHex(clusterId),
    member: idToHex(memberId),
    incarnation: idToHex(incarnation),
    joining,
    founders: founders.map((founder) => ({ ...founder, id: idToHex(founder.id) })),
  };
  return codec.pack(stored);
}

/** Undefined if the bytes are of a form that this version does not know. */
export function decodeNodeMetadata(bytes: Uint8Array): NodeMetadata | undefined {
  const stored = codec.unpack(bytes) as Stored;
  if (stored?.format !== format) return undefined;
  const clusterId = BigInt(`0x${stored.cluster}`);
  const memberId = BigInt(`0x${stored.member}`);
  return {
    clusterId,
    memberId,
    incarnation:
      stored.incarnation === undefined
        ? oldIncarnationOf(clusterId, memberId)
        : BigInt(`0x${stored.incarnation}`),
    joining: stored.joining ?? false,
    founders: stored.founders.map(({ id, name, peerUrls, isLearner }) => ({
      id: BigInt(`0x${id}`),
      name,
      peerUrls,
      isLearner: isLearner ?? false,
    })),
  };
}
