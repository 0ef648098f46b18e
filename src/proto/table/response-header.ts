/** ResponseHeader through the generated code, for the replies of the services beside the hot ones. */

import { etcdserverpb } from '../generated/etcd.js';
import { int64, message, unsignedId } from './codec.js';

export const responseHeader = message(etcdserverpb.ResponseHeader, {
  clusterId: unsignedId('cluster_id'),
  memberId: unsignedId('member_id'),
  revision: int64('revision'),
  raftTerm: int64('raft_term'),
});
