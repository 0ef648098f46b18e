/**
 * The Cluster service (C-5). Replies carry no revision, and list the members as they
 * are after the change.
 */

import { EtcdError, memberUrlsMax } from '../../common/index.js';
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
import type { MethodHandler } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import type { Membership } from '../membership/index.js';
import { parseUrl } from '../options/index.js';
import { failCall, headerAt, type UnaryRpc, unaryMethod } from '../rpc/index.js';
import type { MemberAdmin } from './member-admin.js';

/** The part of a member that the Cluster service stands on. */
export interface ClusterNode {
  readonly membership: Membership;
  readonly memberAdmin: MemberAdmin;
}

export function clusterMethods(
  host: Host,
  { membership, memberAdmin }: ClusterNode,
): Array<readonly [string, MethodHandler]> {
  const method = (name: string, handle: UnaryRpc): readonly [string, MethodHandler] =>
    unaryMethod(host, `/etcdserverpb.Cluster/${name}`, handle);
  const header = () => headerAt(host, 0);
  return [
    method('MemberList', (bytes, call) => {
      const { linearizable } = memberListRequest.decode(bytes);
      const answer = (_context: undefined, error: Error | undefined): void => {
        if (error !== undefined) failCall(host, call, error);
        else call.reply(memberListResponse.encode({ members: membership.list() }, header()));
      };
      if (linearizable) host.read(answer, undefined);
      else answer(undefined, undefined);
    }),
    method('MemberAdd', async (bytes, call) => {
      const { peerUrls: asked, isLearner } = memberAddRequest.decode(bytes);
      const peerUrls = checkedUrls(asked);
      const id = await memberAdmin.change({ type: 'add', peerUrls, isLearner });
      const member = { id, name: '', peerUrls, clientUrls: [], isLearner };
      const members = membership.list();
      call.reply(memberAddResponse.encode({ member, members }, header()));
    }),
    method('MemberRemove', async (bytes, call) => {
      const { id } = memberRemoveRequest.decode(bytes);
      await memberAdmin.change({ type: 'remove', id });
      // This member may not have applied its own removal.
      const members = membership.list().filter((member) => member.id !== id);
      call.reply(memberRemoveResponse.encode({ members }, header()));
    }),
    method('MemberUpdate', async (bytes, call) => {
      const { id, peerUrls } = memberUpdateRequest.decode(bytes);
      // etcd takes any text here, and every other member then ends when it applies the entry.
      refuseUnusable(peerUrls);
      await memberAdmin.update({ id, peerUrls });
      call.reply(memberUpdateResponse.encode({ members: membership.list() }, header()));
    }),
    method('MemberPromote', async (bytes, call) => {
      const { id } = memberPromoteRequest.decode(bytes);
      await memberAdmin.change({ type: 'promote', id });
      call.reply(memberPromoteResponse.encode({ members: membership.list() }, header()));
    }),
  ];
}

/** Sorted, as etcd keeps them; throws MEMBER_BAD_URLS. */
function checkedUrls(asked: readonly string[]): string[] {
  if (asked.length > memberUrlsMax) throw new EtcdError('MEMBER_BAD_URLS');
  const urls = asked.map((url) => url.trim()).sort();
  refuseUnusable(urls);
  return urls;
}

/** Throws MEMBER_BAD_URLS: what all members keep and dial must be few, and addresses. */
function refuseUnusable(urls: readonly string[]): void {
  const isFew = urls.length > 0 && urls.length <= memberUrlsMax;
  if (!isFew || urls.some((url) => typeof parseUrl(url) === 'string')) {
    throw new EtcdError('MEMBER_BAD_URLS');
  }
}
