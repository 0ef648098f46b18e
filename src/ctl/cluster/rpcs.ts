/** What is asked of the Cluster and the Maintenance service. */

import { method } from '../../client/raw/index.js';
import {
  alarmRequest,
  alarmResponse,
  defragmentRequest,
  defragmentResponse,
  downgradeRequest,
  downgradeResponse,
  hashKvRequest,
  hashKvResponse,
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
  moveLeaderRequest,
  moveLeaderResponse,
  statusRequest,
  statusResponse,
} from '../../proto/index.js';

export const memberAdd = {
  method: method.memberAdd,
  kind: 'write',
  request: memberAddRequest,
  response: memberAddResponse,
} as const;

export const memberRemove = {
  method: method.memberRemove,
  kind: 'write',
  request: memberRemoveRequest,
  response: memberRemoveResponse,
} as const;

export const memberUpdate = {
  method: method.memberUpdate,
  kind: 'write',
  request: memberUpdateRequest,
  response: memberUpdateResponse,
} as const;

export const memberPromote = {
  method: method.memberPromote,
  kind: 'write',
  request: memberPromoteRequest,
  response: memberPromoteResponse,
} as const;

export const memberList = {
  method: method.memberList,
  kind: 'read',
  request: memberListRequest,
  response: memberListResponse,
} as const;

export const status = {
  method: method.status,
  kind: 'local',
  request: statusRequest,
  response: statusResponse,
} as const;

export const hashKv = {
  method: method.hashKv,
  kind: 'local',
  request: hashKvRequest,
  response: hashKvResponse,
} as const;

/** Lists them, too: then it is a read. */
export const alarm = {
  method: method.alarm,
  kind: 'write',
  request: alarmRequest,
  response: alarmResponse,
} as const;

/** Doing it twice is harmless, but blocks a member of etcd's twice. */
export const defragment = {
  method: method.defragment,
  kind: 'write',
  request: defragmentRequest,
  response: defragmentResponse,
} as const;

export const moveLeader = {
  method: method.moveLeader,
  kind: 'write',
  request: moveLeaderRequest,
  response: moveLeaderResponse,
} as const;

export const downgrade = {
  method: method.downgrade,
  kind: 'write',
  request: downgradeRequest,
  response: downgradeResponse,
} as const;
