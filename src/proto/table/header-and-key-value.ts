/** Messages that the other cold ones contain. */

import { etcdserverpb, mvccpb } from '../generated/etcd.js';
import { bytes, int64, key, message, signedId, unsignedId } from './codec.js';

export const responseHeader = message(etcdserverpb.ResponseHeader, {
  clusterId: unsignedId('cluster_id'),
  memberId: unsignedId('member_id'),
  revision: int64('revision'),
  raftTerm: int64('raft_term'),
});

/** mvccpb.KeyValue through the generated code; the hot one is decodeKeyValue. */
export const keyValue = message(mvccpb.KeyValue, {
  key: key('key'),
  createRevision: int64('create_revision'),
  modRevision: int64('mod_revision'),
  version: int64('version'),
  value: bytes('value'),
  lease: signedId('lease'),
});
