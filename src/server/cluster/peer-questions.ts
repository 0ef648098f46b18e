/** What this member answers to others: `PeerHandler.call`. One method, one handler. */

import { assertNever, EtcdError, type MemberId } from '../../common/index.js';
import type { LeaseLeader } from '../lease/leader.js';
import type { CorruptionCheck } from '../maintenance/corruption-check.js';
import type { PeerAdmission } from '../membership/admission.js';
import { encodeClusterAnswer } from '../membership/cluster-answer.js';
import type { Membership } from '../membership/membership.js';
import type { PeerMethod } from '../peers/types.js';
import type { MemberAdmin } from './member-admin.js';

export interface PeerQuestionsOptions {
  readonly clusterId: bigint;
  readonly self: MemberId;
  /** Of the program, and of the etcd that it behaves like. */
  readonly version: string;
  readonly etcdVersion: string;
  readonly membership: Membership;
  readonly admission: PeerAdmission;
  readonly memberAdmin: MemberAdmin;
  readonly leaseLeader: LeaseLeader;
  readonly corruptionCheck: CorruptionCheck;
}

export class PeerQuestions {
  readonly #o: PeerQuestionsOptions;

  constructor(options: PeerQuestionsOptions) {
    this.#o = options;
  }

  /** See PeerHandler. `from` 0n may only ask who is there. */
  async call(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Uint8Array> {
    const { corruptionCheck, leaseLeader, memberAdmin } = this.#o;
    if (method === 'cluster') return this.#cluster();
    if (from === 0n) throw new EtcdError('MEMBER_NOT_FOUND');
    switch (method) {
      case 'memberChange':
        return memberAdmin.answer(body);
      case 'leaseRenew':
        return leaseLeader.answerRenew(body);
      case 'leaseTimeToLive':
        return leaseLeader.answerTimeToLive(body);
      case 'hashKv':
        return corruptionCheck.answer(body);
      default:
        return assertNever(method, 'a question of another member');
    }
  }

  #cluster(): Uint8Array {
    const { clusterId, self, version, etcdVersion, admission, membership } = this.#o;
    return encodeClusterAnswer({
      clusterId,
      memberId: self,
      members: admission.members(),
      removed: membership.removed(),
      version,
      etcdVersion,
    });
  }
}
