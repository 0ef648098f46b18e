/**
 * What a request asks for, as far as an audit is to tell it: keys, names, ids. Never a value, a
 * password or a token: each field is named here, so that a new one stays out.
 */

import { idToHex, type KeyString } from '../../common/index.js';
import {
  alarmRequest,
  authenticateRequest,
  authRoleAddRequest,
  authRoleDeleteRequest,
  authRoleGetRequest,
  authRoleGrantPermissionRequest,
  authRoleRevokePermissionRequest,
  authUserAddRequest,
  authUserChangePasswordRequest,
  authUserDeleteRequest,
  authUserGetRequest,
  authUserGrantRoleRequest,
  authUserRevokeRoleRequest,
  campaignRequest,
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodeLeaseGrantRequest,
  decodeLeaseRevokeRequest,
  decodeLeaseTimeToLiveRequest,
  decodePutRequest,
  decodeRangeRequest,
  decodeTxnRequest,
  downgradeRequest,
  leaderRequest,
  lockRequest,
  memberAddRequest,
  memberPromoteRequest,
  memberRemoveRequest,
  memberUpdateRequest,
  moveLeaderRequest,
  PermissionType,
  proclaimRequest,
  resignRequest,
  type TxnRequest,
  unlockRequest,
} from '../../proto/index.js';

export type AuditKind = 'read' | 'write';

/** One key, or range of keys, of a request. */
export interface AskedKey {
  readonly op: 'range' | 'put' | 'delete' | 'compare' | 'watch' | 'lock';
  readonly kind: AuditKind;
  readonly key: KeyString;
  readonly end: KeyString;
}

/** What one call asks for. */
export interface Asked {
  readonly kind: AuditKind;
  readonly keys: readonly AskedKey[];
  /** Names and ids of what is not a key. */
  readonly about: Readonly<Record<string, unknown>>;
}

const nothing = {} as const;
const noKeys: readonly AskedKey[] = [];

/** How the requests of one method are read. */
export interface AskedMethod {
  /** What it may be. */
  readonly kinds: readonly AuditKind[];
  /** Throws what a decoder throws. */
  read(request: Buffer): Asked;
}

function reading(read: (request: Buffer) => Omit<Asked, 'kind'> = unread): AskedMethod {
  return { kinds: ['read'], read: (request) => ({ kind: 'read', ...read(request) }) };
}

function writing(read: (request: Buffer) => Omit<Asked, 'kind'> = unread): AskedMethod {
  return { kinds: ['write'], read: (request) => ({ kind: 'write', ...read(request) }) };
}

function unread(): Omit<Asked, 'kind'> {
  return { keys: noKeys, about: nothing };
}

function about(fields: Readonly<Record<string, unknown>>): Omit<Asked, 'kind'> {
  return { keys: noKeys, about: fields };
}

function keyed(
  op: AskedKey['op'],
  kind: AuditKind,
  key: KeyString,
  end: KeyString = '',
): Omit<Asked, 'kind'> {
  return { keys: [{ op, kind, key, end }], about: nothing };
}

function ranged(request: Buffer): Omit<Asked, 'kind'> {
  const { key, rangeEnd } = decodeRangeRequest(request);
  return keyed('range', 'read', key, rangeEnd);
}

/** Keys of a transaction, in both branches: which of them runs is not known before it has. */
function keysOfTxn({ compare, success, failure }: TxnRequest, into: AskedKey[]): void {
  for (const { key, rangeEnd } of compare) {
    into.push({ op: 'compare', kind: 'read', key, end: rangeEnd });
  }
  for (const op of [...success, ...failure]) {
    switch (op.type) {
      case 'range':
        into.push({ op: 'range', kind: 'read', key: op.request.key, end: op.request.rangeEnd });
        break;
      case 'put':
        into.push({ op: 'put', kind: 'write', key: op.request.key, end: '' });
        break;
      case 'deleteRange':
        into.push({ op: 'delete', kind: 'write', key: op.request.key, end: op.request.rangeEnd });
        break;
      case 'txn':
        keysOfTxn(op.request, into);
        break;
      case 'none':
        break;
    }
  }
}

const txn: AskedMethod = {
  kinds: ['read', 'write'],
  read(request) {
    const keys: AskedKey[] = [];
    keysOfTxn(decodeTxnRequest(request), keys);
    const kind = keys.some((one) => one.kind === 'write') ? 'write' : 'read';
    return { kind, keys, about: nothing };
  },
};

/** 0 of AlarmRequest.action and DowngradeRequest.action, which only look. */
const looks = 0;

const alarm: AskedMethod = {
  kinds: ['read', 'write'],
  read(request) {
    const { action, alarm: kind, memberId } = alarmRequest.decode(request);
    const fields = { action, alarm: kind, member: idToHex(memberId) };
    return { kind: action === looks ? 'read' : 'write', ...about(fields) };
  },
};

const downgrade: AskedMethod = {
  kinds: ['read', 'write'],
  read(request) {
    const { action, version } = downgradeRequest.decode(request);
    return { kind: action === looks ? 'read' : 'write', ...about({ action, version }) };
  },
};

const permissionNames = new Map<number, string>(
  Object.entries(PermissionType).map(([name, number]) => [number, name]),
);

const byMethod: Readonly<Record<string, AskedMethod>> = {
  '/etcdserverpb.KV/Range': reading(ranged),
  '/etcdserverpb.KV/RangeStream': reading(ranged),
  '/etcdserverpb.KV/Put': writing((r) => keyed('put', 'write', decodePutRequest(r).key)),
  '/etcdserverpb.KV/DeleteRange': writing((r) => {
    const { key, rangeEnd } = decodeDeleteRangeRequest(r);
    return keyed('delete', 'write', key, rangeEnd);
  }),
  '/etcdserverpb.KV/Txn': txn,
  '/etcdserverpb.KV/Compact': writing((r) => about({ at: decodeCompactionRequest(r).revision })),
  // What is watched comes with each message of the stream: see watch.ts.
  '/etcdserverpb.Watch/Watch': reading(),
  '/etcdserverpb.Lease/LeaseGrant': writing((r) => {
    const { id, ttlSeconds } = decodeLeaseGrantRequest(r);
    return about({ lease: idToHex(BigInt.asUintN(64, id)), ttl: ttlSeconds });
  }),
  '/etcdserverpb.Lease/LeaseRevoke': writing((r) => leaseOf(decodeLeaseRevokeRequest(r).id)),
  '/etcdserverpb.Lease/LeaseTimeToLive': reading((r) =>
    leaseOf(decodeLeaseTimeToLiveRequest(r).id),
  ),
  '/etcdserverpb.Lease/LeaseLeases': reading(),
  '/etcdserverpb.Lease/LeaseKeepAlive': reading(),
  '/etcdserverpb.Cluster/MemberAdd': writing((r) => {
    const { peerUrls, isLearner } = memberAddRequest.decode(r);
    return about({ 'peer urls': peerUrls, learner: isLearner });
  }),
  '/etcdserverpb.Cluster/MemberRemove': writing((r) => memberOf(memberRemoveRequest.decode(r).id)),
  '/etcdserverpb.Cluster/MemberUpdate': writing((r) => {
    const { id, peerUrls } = memberUpdateRequest.decode(r);
    return about({ member: idToHex(id), 'peer urls': peerUrls });
  }),
  '/etcdserverpb.Cluster/MemberPromote': writing((r) =>
    memberOf(memberPromoteRequest.decode(r).id),
  ),
  '/etcdserverpb.Cluster/MemberList': reading(),
  '/etcdserverpb.Maintenance/Alarm': alarm,
  '/etcdserverpb.Maintenance/Status': reading(),
  '/etcdserverpb.Maintenance/Defragment': writing(),
  '/etcdserverpb.Maintenance/Hash': reading(),
  '/etcdserverpb.Maintenance/HashKV': reading(),
  '/etcdserverpb.Maintenance/Snapshot': reading(),
  '/etcdserverpb.Maintenance/MoveLeader': writing((r) =>
    memberOf(moveLeaderRequest.decode(r).targetId),
  ),
  '/etcdserverpb.Maintenance/Downgrade': downgrade,
  // It changes nothing that is stored; who comes in, and who tries to, belongs to the changes.
  '/etcdserverpb.Auth/Authenticate': writing((r) => userOf(authenticateRequest.decode(r).name)),
  '/etcdserverpb.Auth/AuthStatus': reading(),
  '/etcdserverpb.Auth/AuthEnable': writing(),
  '/etcdserverpb.Auth/AuthDisable': writing(),
  '/etcdserverpb.Auth/UserAdd': writing((r) => userOf(authUserAddRequest.decode(r).name)),
  '/etcdserverpb.Auth/UserGet': reading((r) => userOf(authUserGetRequest.decode(r).name)),
  '/etcdserverpb.Auth/UserList': reading(),
  '/etcdserverpb.Auth/UserDelete': writing((r) => userOf(authUserDeleteRequest.decode(r).name)),
  '/etcdserverpb.Auth/UserChangePassword': writing((r) =>
    userOf(authUserChangePasswordRequest.decode(r).name),
  ),
  '/etcdserverpb.Auth/UserGrantRole': writing((r) => {
    const { user, role } = authUserGrantRoleRequest.decode(r);
    return about({ name: user, role });
  }),
  '/etcdserverpb.Auth/UserRevokeRole': writing((r) => {
    const { name, role } = authUserRevokeRoleRequest.decode(r);
    return about({ name, role });
  }),
  '/etcdserverpb.Auth/RoleAdd': writing((r) => about({ role: authRoleAddRequest.decode(r).name })),
  '/etcdserverpb.Auth/RoleGet': reading((r) => about({ role: authRoleGetRequest.decode(r).role })),
  '/etcdserverpb.Auth/RoleList': reading(),
  '/etcdserverpb.Auth/RoleDelete': writing((r) =>
    about({ role: authRoleDeleteRequest.decode(r).role }),
  ),
  '/etcdserverpb.Auth/RoleGrantPermission': writing((r) => {
    const { name: role, perm } = authRoleGrantPermissionRequest.decode(r);
    const permission = permissionNames.get(perm?.type ?? 0);
    const { key = '', rangeEnd = '' } = perm ?? {};
    return about({ role, permission, 'of key': textOfKey(key), 'to key': textOfKey(rangeEnd) });
  }),
  '/etcdserverpb.Auth/RoleRevokePermission': writing((r) => {
    const { role, key, rangeEnd } = authRoleRevokePermissionRequest.decode(r);
    return about({ role, 'of key': textOfKey(key), 'to key': textOfKey(rangeEnd) });
  }),
  '/v3lockpb.Lock/Lock': writing((r) => keyed('lock', 'write', lockRequest.decode(r).name)),
  '/v3lockpb.Lock/Unlock': writing((r) => keyed('delete', 'write', unlockRequest.decode(r).key)),
  '/v3electionpb.Election/Campaign': writing((r) =>
    keyed('lock', 'write', campaignRequest.decode(r).name),
  ),
  '/v3electionpb.Election/Proclaim': writing((r) =>
    keyed('put', 'write', proclaimRequest.decode(r).leader?.key ?? ''),
  ),
  '/v3electionpb.Election/Resign': writing((r) =>
    keyed('delete', 'write', resignRequest.decode(r).leader?.key ?? ''),
  ),
  '/v3electionpb.Election/Leader': reading((r) =>
    keyed('range', 'read', leaderRequest.decode(r).name),
  ),
  '/v3electionpb.Election/Observe': reading((r) =>
    keyed('watch', 'read', leaderRequest.decode(r).name),
  ),
};

/** Methods that say nothing about anybody's data. */
const untold = /^\/grpc\./;

/** Undefined: it is no business of an audit. What is unknown here is told by its name. */
export function askedMethod(method: string): AskedMethod | undefined {
  return untold.test(method) ? undefined : (byMethod[method] ?? writing());
}

/** Text if it is UTF-8, else its bytes in base64 with a mark in front. */
export function textOfKey(key: KeyString): string {
  if (isPlain.test(key) && !key.startsWith(base64Mark)) return key;
  const bytes = Buffer.from(key, 'latin1');
  const text = bytes.toString('utf8');
  const isText = !text.includes('\ufffd') && !text.startsWith(base64Mark);
  return isText ? text : base64Mark + bytes.toString('base64');
}

const isPlain = /^[\x20-\x7e]*$/;
const base64Mark = 'base64:';

function leaseOf(id: bigint): Omit<Asked, 'kind'> {
  return about({ lease: idToHex(BigInt.asUintN(64, id)) });
}

function memberOf(id: bigint): Omit<Asked, 'kind'> {
  return about({ member: idToHex(id) });
}

function userOf(name: string): Omit<Asked, 'kind'> {
  return about({ name });
}
