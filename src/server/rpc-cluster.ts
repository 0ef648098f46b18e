/** The Cluster service (contract section 5), as far as a cluster of one has it: MemberList. */

import { memberListRequest, memberListResponse } from '../proto/index.js';
import type { MethodHandler } from '../transport/index.js';
import type { Node } from './node.js';
import { failCall, headerAt, linearizableRead, type RpcContext } from './rpc-context.js';
import { unaryMethod } from './rpc-unary.js';

export function clusterMethods(
  rpc: RpcContext,
  node: Node,
): Array<readonly [string, MethodHandler]> {
  return [
    unaryMethod(rpc, '/etcdserverpb.Cluster/MemberList', (bytes, call) => {
      const { linearizable } = memberListRequest.decode(bytes);
      const answer = (_context: undefined, error: Error | undefined): void => {
        if (error !== undefined) return failCall(rpc, call, error);
        // Replies of this service carry no revision.
        const header = headerAt(rpc, 0);
        call.reply(memberListResponse.encode({ members: node.membership.list() }, header));
      };
      if (linearizable) linearizableRead(rpc, answer, undefined);
      else answer(undefined, undefined);
    }),
  ];
}
