/** The Cluster service. */

import type { MemberId } from '../../common/index.js';
import {
  memberAddRequest,
  memberAddResponse,
  memberListRequest,
  memberListResponse,
  memberPromoteRequest,
  memberPromoteResponse,
  memberRemoveRequest,
  memberRemoveResponse,
  memberUpdateRequest,
  memberUpdateResponse,
} from '../../proto/index.js';
import { type Caller, type CallOptions, callShape, callWithCodecs, method } from '../call/index.js';
import { EtcdClientError } from '../errors.js';
import { checkOptions, flag } from '../strict/index.js';
import type { Cluster, Member } from './types.js';

/** `db.cluster`. */
export function clusterOf(caller: Caller): Cluster {
  return {
    async members(options: CallOptions & { readonly serializable?: boolean } = {}) {
      checkOptions('cluster.members', options, { ...callShape, serializable: flag });
      const linearizable = options.serializable !== true;
      const kind = linearizable ? 'read' : 'local';
      const codecs = [memberListRequest, memberListResponse] as const;
      return (
        await callWithCodecs(caller, method.memberList, kind, codecs, { linearizable }, options)
      ).members;
    },
    async add(
      peerUrls: readonly string[],
      options: CallOptions & { readonly learner?: boolean } = {},
    ): Promise<Member> {
      checkOptions('cluster.add', options, { ...callShape, learner: flag });
      const codecs = [memberAddRequest, memberAddResponse] as const;
      const request = { peerUrls, isLearner: options.learner ?? false };
      const { member } = await callWithCodecs(
        caller,
        method.memberAdd,
        'write',
        codecs,
        request,
        options,
      );
      if (member !== undefined) return member;
      throw new EtcdClientError({
        code: 'INTERNAL',
        reason: 'OTHER',
        outcome: 'unknown',
        message: 'the server did not say which member it added',
      });
    },
    async remove(id: MemberId, options?: CallOptions) {
      checkOptions('cluster.remove', options, callShape);
      const codecs = [memberRemoveRequest, memberRemoveResponse] as const;
      return (await callWithCodecs(caller, method.memberRemove, 'write', codecs, { id }, options))
        .members;
    },
    async update(id: MemberId, peerUrls: readonly string[], options?: CallOptions) {
      checkOptions('cluster.update', options, callShape);
      const codecs = [memberUpdateRequest, memberUpdateResponse] as const;
      const request = { id, peerUrls };
      return (await callWithCodecs(caller, method.memberUpdate, 'write', codecs, request, options))
        .members;
    },
    async promote(id: MemberId, options?: CallOptions) {
      checkOptions('cluster.promote', options, callShape);
      const codecs = [memberPromoteRequest, memberPromoteResponse] as const;
      return (await callWithCodecs(caller, method.memberPromote, 'write', codecs, { id }, options))
        .members;
    },
  };
}
