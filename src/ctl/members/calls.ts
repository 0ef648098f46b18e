/** The calls that changes of the members are made of. */

import { method, type RawClient } from '../../client/raw/index.js';
import { sleep } from '../../common/index.js';
import {
  memberAddRequest,
  memberAddResponse,
  memberListRequest,
  memberListResponse,
  memberPromoteRequest,
  memberRemoveRequest,
  moveLeaderRequest,
  type ProtoMember,
  statusRequest,
  statusResponse,
} from '../../proto/index.js';

export type Member = ProtoMember;

/** What a member says of itself. */
export interface MemberStatus {
  /** 0n: it knows none. */
  readonly leader: bigint;
  /** How far the cluster's log is, as it knows, and how much of it it has applied. */
  readonly raftIndex: number;
  readonly appliedIndex: number;
}

/** See the head of this file. All but `status` reject with EtcdClientError. */
export interface ClusterCalls {
  /** As a quorum knows them, by id. */
  members(): Promise<readonly Member[]>;
  /** Adds a learner. */
  add(peerUrls: readonly string[]): Promise<Member>;
  promote(id: bigint): Promise<void>;
  remove(id: bigint): Promise<void>;
  /** Undefined: it has not started, or does not answer. */
  status(member: Member): Promise<MemberStatus | undefined>;
  /** Of the member `from`, which leads. */
  moveLeader(from: Member, to: bigint): Promise<void>;
  sleep(ms: number): Promise<void>;
}

/** A member that is there answers for itself at once. */
const statusMsMax = 2_000;

export function clusterCalls(client: RawClient): ClusterCalls {
  return {
    async members() {
      const request = memberListRequest.encode({ linearizable: true });
      const answer = await client.call(method.memberList, 'read', request);
      return memberListResponse.decode(answer).members;
    },
    async add(peerUrls) {
      const request = memberAddRequest.encode({ peerUrls, isLearner: true });
      const { member } = memberAddResponse.decode(
        await client.call(method.memberAdd, 'write', request),
      );
      if (member === undefined) throw new Error('the server did not say which member it added');
      return member;
    },
    async promote(id) {
      await client.call(method.memberPromote, 'write', memberPromoteRequest.encode({ id }));
    },
    async remove(id) {
      await client.call(method.memberRemove, 'write', memberRemoveRequest.encode({ id }));
    },
    async status({ clientUrls }) {
      for (const url of clientUrls) {
        try {
          const options = { endpoint: addressOf(url), timeoutMs: statusMsMax };
          const request = statusRequest.encode({});
          const answer = await client.call(method.status, 'local', request, options);
          const { leader, raftAppliedIndex, raftIndex } = statusResponse.decode(answer);
          return { leader, raftIndex, appliedIndex: raftAppliedIndex };
        } catch {
          // Whatever it is: on this URL it can't be counted on.
        }
      }
      return undefined;
    },
    async moveLeader({ clientUrls }, targetId) {
      const endpoint = addressOf(clientUrls[0] ?? '');
      const request = moveLeaderRequest.encode({ targetId });
      await client.call(method.moveLeader, 'write', request, { endpoint });
    },
    sleep: (ms) => sleep(client.clock, ms),
  };
}

/** `host:port` of a client URL. */
function addressOf(url: string): string {
  return url.replace(/^[a-z]+:\/\//, '').replace(/\/.*$/, '');
}
