/**
 * Who this data directory belongs to: written once, into the first record of the log, and compared
 * at each start with what the flags say. A member must never run on another one's data.
 */

import { Packr } from 'msgpackr';
import type { MemberId } from '../common/index.js';
import type { FoundingMember } from './identity.js';

export interface NodeMetadata {
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /** The members that the cluster was founded with. */
  readonly founders: readonly FoundingMember[];
}

const format = 1;
const codec = new Packr({ useRecords: false, moreTypes: false });

interface Stored {
  readonly format: number;
  readonly cluster: string;
  readonly member: string;
  readonly founders: ReadonlyArray<{ id: string; name: string; peerUrls: string[] }>;
}

export function encodeNodeMetadata(metadata: NodeMetadata): Buffer {
  const { clusterId, memberId, founders } = metadata;
  return codec.pack({
    format,
    cluster: clusterId.toString(16),
    member: memberId.toString(16),
    founders: founders.map(({ id, name, peerUrls }) => ({ id: id.toString(16), name, peerUrls })),
  });
}

/** Undefined if the bytes are of a form that this version does not know. */
export function decodeNodeMetadata(bytes: Uint8Array): NodeMetadata | undefined {
  const stored = codec.unpack(bytes) as Stored;
  if (stored?.format !== format) return undefined;
  return {
    clusterId: BigInt(`0x${stored.cluster}`),
    memberId: BigInt(`0x${stored.member}`),
    founders: stored.founders.map(({ id, name, peerUrls }) => ({
      id: BigInt(`0x${id}`),
      name,
      peerUrls,
    })),
  };
}
