/** The Cluster service. */

import {
  type Codec,
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
import type { Caller } from '../call/caller.js';
import { EtcdClientError } from '../call/errors.js';
import { method } from '../call/methods.js';
import type { CallKind } from '../call/outcome.js';
import type { CallOptions, EndpointOptions, MemberId } from '../types.js';
import type { Cluster, Member } from './types.js';

/** One unary call of a service whose messages have table-driven codecs. */
export async function coldCall<Request, Response>(
  caller: Caller,
  name: string,
  kind: CallKind,
  codecs: readonly [Codec<Request>, Codec<Response>],
  request: Partial<Request>,
  options: EndpointOptions | undefined,
): Promise<Response> {
  const [encode, decode] = codecs;
  return decode.decode(await caller.call(name, kind, encode.encode(request), options));
}

/** `db.cluster`. */
export function clusterOf(caller: Caller): Cluster {
  return {
    async members(options: CallOptions & { readonly serializable?: boolean } = {}) {
      const linearizable = options.serializable !== true;
      const kind = linearizable ? 'read' : 'local';
      const codecs = [memberListRequest, memberListResponse] as const;
      return (await coldCall(caller, method.memberList, kind, codecs, { linearizable }, options))
        .members;
    },
    async add(
      peerUrls: readonly string[],
      options: CallOptions & { readonly learner?: boolean } = {},
    ): Promise<Member> {
      const codecs = [memberAddRequest, memberAddResponse] as const;
      const request = { peerUrls, isLearner: options.learner ?? false };
      const { member } = await coldCall(
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
      const codecs = [memberRemoveRequest, memberRemoveResponse] as const;
      return (await coldCall(caller, method.memberRemove, 'write', codecs, { id }, options))
        .members;
    },
    async update(id: MemberId, peerUrls: readonly string[], options?: CallOptions) {
      const codecs = [memberUpdateRequest, memberUpdateResponse] as const;
      const request = { id, peerUrls };
      return (await coldCall(caller, method.memberUpdate, 'write', codecs, request, options))
        .members;
    },
    async promote(id: MemberId, options?: CallOptions) {
      const codecs = [memberPromoteRequest, memberPromoteResponse] as const;
      return (await coldCall(caller, method.memberPromote, 'write', codecs, { id }, options))
        .members;
    },
  };
}
