/** The Maintenance service. */

import { etcdserverpb } from '../generated/etcd.js';
import {
  bytes,
  flag,
  int32,
  int64,
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

/** etcdserverpb.AlarmType by name. */
export const AlarmType = { NONE: 0, NOSPACE: 1, CORRUPT: 2 } as const;
/** AlarmRequest.AlarmAction by name. */
export const AlarmAction = { GET: 0, ACTIVATE: 1, DEACTIVATE: 2 } as const;
/** DowngradeRequest.DowngradeAction by name. */
export const DowngradeAction = { VALIDATE: 0, ENABLE: 1, CANCEL: 2 } as const;

export const alarmRequest = message(etcdserverpb.AlarmRequest, {
  /** See {@link AlarmAction}. */
  action: int32('action'),
  memberId: unsignedId('memberID'),
  /** See {@link AlarmType}. */
  alarm: int32('alarm'),
});
export const alarmMember = message(etcdserverpb.AlarmMember, {
  memberId: unsignedId('memberID'),
  alarm: int32('alarm'),
});
/** One raised alarm. */
export type ProtoAlarm = MessageOf<typeof alarmMember>;
export const alarmResponse = message(etcdserverpb.AlarmResponse, {
  header,
  alarms: submessages('alarms', alarmMember),
});

export const statusRequest = message(etcdserverpb.StatusRequest, {});
export const downgradeInfo = message(etcdserverpb.DowngradeInfo, {
  enabled: flag('enabled'),
  targetVersion: text('targetVersion'),
});
export const statusResponse = message(etcdserverpb.StatusResponse, {
  header,
  version: text('version'),
  dbSizeBytes: int64('dbSize'),
  leader: unsignedId('leader'),
  raftIndex: int64('raftIndex'),
  raftTerm: int64('raftTerm'),
  raftAppliedIndex: int64('raftAppliedIndex'),
  errors: texts('errors'),
  dbSizeInUseBytes: int64('dbSizeInUse'),
  isLearner: flag('isLearner'),
  storageVersion: text('storageVersion'),
  dbSizeQuotaBytes: int64('dbSizeQuota'),
  downgradeInfo: submessage('downgradeInfo', downgradeInfo),
});

export const defragmentRequest = message(etcdserverpb.DefragmentRequest, {});
export const defragmentResponse = message(etcdserverpb.DefragmentResponse, { header });

export const hashRequest = message(etcdserverpb.HashRequest, {});
export const hashResponse = message(etcdserverpb.HashResponse, { header, hash: int32('hash') });
export const hashKvRequest = message(etcdserverpb.HashKVRequest, {
  revision: int64('revision'),
});
export const hashKvResponse = message(etcdserverpb.HashKVResponse, {
  header,
  hash: int32('hash'),
  compactRevision: int64('compact_revision'),
  hashRevision: int64('hash_revision'),
});

export const snapshotRequest = message(etcdserverpb.SnapshotRequest, {});
export const snapshotResponse = message(etcdserverpb.SnapshotResponse, {
  header,
  remainingBytes: int64('remaining_bytes'),
  blob: bytes('blob'),
  version: text('version'),
});

export const moveLeaderRequest = message(etcdserverpb.MoveLeaderRequest, {
  targetId: unsignedId('targetID'),
});
export const moveLeaderResponse = message(etcdserverpb.MoveLeaderResponse, { header });

export const downgradeRequest = message(etcdserverpb.DowngradeRequest, {
  /** See {@link DowngradeAction}. */
  action: int32('action'),
  version: text('version'),
});
export const downgradeResponse = message(etcdserverpb.DowngradeResponse, {
  header,
  version: text('version'),
});
