/** A member as the cluster knows it, and the ways it can change. */

import type { MemberId } from '../../common/index.js';

export interface Member {
  readonly id: MemberId;
  /** '' until it has started. */
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
  /** Of its data directory, see PeerHello; 0n: not known. */
  readonly incarnation: bigint;
  /** --read-only-member: as long as it is a learner it is to stay one. Missing: not so. */
  readonly isReadOnly?: boolean;
}

/** What a member tells about itself. */
export interface MemberAttributes {
  readonly id: MemberId;
  readonly name: string;
  readonly clientUrls: readonly string[];
  /** 0n: one that does not tell. */
  readonly incarnation: bigint;
  /** Missing: of one that is not, or does not tell. */
  readonly isReadOnly?: boolean;
}

/** A change that concerns Raft: who receives the log, and who votes. */
export type MemberChange =
  | {
      readonly type: 'add';
      readonly id: MemberId;
      readonly peerUrls: readonly string[];
      readonly isLearner: boolean;
      /** --max-learners where it was proposed: all members must count with the same number. */
      readonly learnersMax: number;
    }
  | { readonly type: 'promote'; readonly id: MemberId }
  | { readonly type: 'remove'; readonly id: MemberId };

/** A change that only concerns the links. */
export interface MemberUpdate {
  readonly id: MemberId;
  readonly peerUrls: readonly string[];
}
