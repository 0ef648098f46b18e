/**
 * The Cluster service (contract section 5), as far as a cluster of one has it: MemberList, and the
 * checks of the changes. The changes themselves come with the second member.
 */

import { EtcdError, GrpcCode } from '../common/index.js';
import {
  memberAddRequest,
  memberListRequest,
  memberListResponse,
  memberPromoteRequest,
  memberRemoveRequest,
  memberUpdateRequest,
} from '../proto/index.js';
import type { MethodHandler, ServerCall } from '../transport/index.js';
import type { Node } from './node.js';
import { failCall, headerAt, linearizableRead, type RpcContext } from './rpc-context.js';
import { type UnaryRpc, unaryMethod } from './rpc-unary.js';
import { parseUrl } from './urls.js';

export function clusterMethods(
  rpc: RpcContext,
  node: Node,
): Array<readonly [string, MethodHandler]> {
  const method = (name: string, handle: UnaryRpc): readonly [string, MethodHandler] =>
    unaryMethod(rpc, `/etcdserverpb.Cluster/${name}`, handle);
  const change = (id: bigint, call: ServerCall): void => {
    if (node.membership.get(id) === undefined) throw new EtcdError('MEMBER_NOT_FOUND');
    refuseChange(call);
  };
  return [
    method('MemberList', (bytes, call) => {
      const { linearizable } = memberListRequest.decode(bytes);
      const answer = (_context: undefined, error: Error | undefined): void => {
        if (error !== undefined) {
          failCall(rpc, call, error);
          return;
        }
        // Replies of this service carry no revision.
        const header = headerAt(rpc, 0);
        call.reply(memberListResponse.encode({ members: node.membership.list() }, header));
      };
      if (linearizable) linearizableRead(rpc, answer, undefined);
      else answer(undefined, undefined);
    }),
    method('MemberAdd', (bytes, call) => {
      const { peerUrls } = memberAddRequest.decode(bytes);
      const valid =
        peerUrls.length > 0 && peerUrls.every((url) => typeof parseUrl(url) !== 'string');
      if (!valid) throw new EtcdError('MEMBER_BAD_URLS');
      refuseChange(call);
    }),
    method('MemberRemove', (bytes, call) => change(memberRemoveRequest.decode(bytes).id, call)),
    method('MemberUpdate', (bytes, call) => change(memberUpdateRequest.decode(bytes).id, call)),
    method('MemberPromote', (bytes, call) => change(memberPromoteRequest.decode(bytes).id, call)),
  ];
}

function refuseChange(call: ServerCall): void {
  call.fail(GrpcCode.UNIMPLEMENTED, 'this version of kvorum runs one member, which stays alone');
}
