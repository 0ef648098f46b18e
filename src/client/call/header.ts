/** The header that every reply has, and the check that its numbers are exact. */

import { type Revision, safeIntegerMax } from '../../common/index.js';
import type { ResponseHeader } from '../../proto/index.js';
import { EtcdClientError } from '../errors.js';

/** Where and when a reply was made. */
export interface Header {
  readonly clusterId: bigint;
  /** The member that answered. */
  readonly memberId: bigint;
  /** The store's revision when the reply was made. */
  readonly revision: Revision;
  readonly raftTerm: number;
}

/** A class only for `toJSON`: JSON has no bigint. */
class ReplyHeader implements Header {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: Revision;
  readonly raftTerm: number;

  constructor({ clusterId, memberId, revision, raftTerm }: Header) {
    this.clusterId = clusterId;
    this.memberId = memberId;
    this.revision = safe(revision);
    this.raftTerm = raftTerm;
  }

  /** 64-bit ids as decimal text, as protobuf's JSON has them. */
  toJSON(): Readonly<Record<string, unknown>> {
    const { clusterId, memberId, revision, raftTerm } = this;
    return { clusterId: String(clusterId), memberId: String(memberId), revision, raftTerm };
  }
}

const noHeader: Header = new ReplyHeader({
  clusterId: 0n,
  memberId: 0n,
  revision: 0,
  raftTerm: 0,
});

/** Checks that numbers are exact: the decoder saturates, so the largest one may be another. */
export function headerOf(wire: ResponseHeader | undefined): Header {
  if (wire === undefined) return noHeader;
  return new ReplyHeader(wire);
}

/** The number, if it is exact. */
export function safe(n: number): number {
  if (n < safeIntegerMax && n > -safeIntegerMax) return n;
  throw new EtcdClientError({
    code: 'OUT_OF_RANGE',
    reason: 'UNSAFE_INTEGER',
    outcome: 'unknown',
    message: 'the server sent an integer above 2^53 - 1',
  });
}
