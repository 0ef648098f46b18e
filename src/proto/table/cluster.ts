/** The Cluster service. Replies have header.revision 0 (C-1.3.5). */

import { etcdserverpb } from '../generated/etcd.js';
import {
  flag,
  type MessageOf,
  message,
  submessage,
  submessages,
  text,
  texts,
  unsignedId,
} from './codec.js';
import { responseHeader } from './response-header.js';

const header = submessage('header', responseHeader);

export const member = message(etcdserverpb.Member, {
  id: unsignedId('ID'),
  name: text('name'),
  peerUrls: texts('peerURLs'),
  clientUrls: texts('clientURLs'),
  isLearner: flag('isLearner'),
});
/** etcdserverpb.Member as data. */
export type ProtoMember = MessageOf<typeof member>;

const members = submessages('members', member);

export const memberAddRequest = message(etcdserverpb.MemberAddRequest, {
  peerUrls: texts('peerURLs'),
  isLearner: flag('isLearner'),
});
export const memberAddResponse = message(etcdserverpb.MemberAddResponse, {
  header,
  member: submessage('member', member),
  members,
});
export const memberRemoveRequest = message(etcdserverpb.MemberRemoveRequest, {
  id: unsignedId('ID'),
});
export const memberRemoveResponse = message(etcdserverpb.MemberRemoveResponse, {
  header,
  members,
});
export const memberUpdateRequest = message(etcdserverpb.MemberUpdateRequest, {
  id: unsignedId('ID'),
  peerUrls: texts('peerURLs'),
});
export const memberUpdateResponse = message(etcdserverpb.MemberUpdateResponse, {
  header,
  members,
});
export const memberListRequest = message(etcdserverpb.MemberListRequest, {
  linearizable: flag('linearizable'),
});
export const memberListResponse = message(etcdserverpb.MemberListResponse, { header, members });
export const memberPromoteRequest = message(etcdserverpb.MemberPromoteRequest, {
  id: unsignedId('ID'),
});
export const memberPromoteResponse = message(etcdserverpb.MemberPromoteResponse, {
  header,
  members,
});
