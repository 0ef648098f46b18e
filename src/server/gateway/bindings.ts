/**
 * Which path is which method. What a method takes and answers, and whether it streams, the
 * descriptors of the .proto files say; this is what etcd's say in `google.api.http` options, which
 * ours leave out, because every reader of a file would need Google's files, too.
 */

import { jsonRpcs, type RpcDescriptor } from '../../proto/index.js';

/** Methods by what they belong to: path below it, and name of the method. */
const paths: Readonly<Record<string, ReadonlyArray<readonly [path: string, method: string]>>> = {
  '/etcdserverpb.KV/': [
    ['/v3/kv/range', 'Range'],
    ['/v3/kv/put', 'Put'],
    ['/v3/kv/deleterange', 'DeleteRange'],
    ['/v3/kv/txn', 'Txn'],
    ['/v3/kv/compaction', 'Compact'],
  ],
  '/etcdserverpb.Watch/': [['/v3/watch', 'Watch']],
  '/etcdserverpb.Lease/': [
    ['/v3/lease/grant', 'LeaseGrant'],
    ['/v3/lease/revoke', 'LeaseRevoke'],
    ['/v3/lease/keepalive', 'LeaseKeepAlive'],
    ['/v3/lease/timetolive', 'LeaseTimeToLive'],
    ['/v3/lease/leases', 'LeaseLeases'],
    // Names of before etcd 3.3.
    ['/v3/kv/lease/revoke', 'LeaseRevoke'],
    ['/v3/kv/lease/timetolive', 'LeaseTimeToLive'],
    ['/v3/kv/lease/leases', 'LeaseLeases'],
  ],
  '/etcdserverpb.Cluster/': [
    ['/v3/cluster/member/add', 'MemberAdd'],
    ['/v3/cluster/member/remove', 'MemberRemove'],
    ['/v3/cluster/member/update', 'MemberUpdate'],
    ['/v3/cluster/member/list', 'MemberList'],
    ['/v3/cluster/member/promote', 'MemberPromote'],
  ],
  '/etcdserverpb.Maintenance/': [
    ['/v3/maintenance/alarm', 'Alarm'],
    ['/v3/maintenance/status', 'Status'],
    ['/v3/maintenance/defragment', 'Defragment'],
    ['/v3/maintenance/hash', 'Hash'],
    ['/v3/maintenance/hashkv', 'HashKV'],
    ['/v3/maintenance/snapshot', 'Snapshot'],
    ['/v3/maintenance/transfer-leadership', 'MoveLeader'],
    ['/v3/maintenance/downgrade', 'Downgrade'],
  ],
  '/etcdserverpb.Auth/': [
    ['/v3/auth/enable', 'AuthEnable'],
    ['/v3/auth/disable', 'AuthDisable'],
    ['/v3/auth/status', 'AuthStatus'],
    ['/v3/auth/authenticate', 'Authenticate'],
    ['/v3/auth/user/add', 'UserAdd'],
    ['/v3/auth/user/get', 'UserGet'],
    ['/v3/auth/user/list', 'UserList'],
    ['/v3/auth/user/delete', 'UserDelete'],
    ['/v3/auth/user/changepw', 'UserChangePassword'],
    ['/v3/auth/user/grant', 'UserGrantRole'],
    ['/v3/auth/user/revoke', 'UserRevokeRole'],
    ['/v3/auth/role/add', 'RoleAdd'],
    ['/v3/auth/role/get', 'RoleGet'],
    ['/v3/auth/role/list', 'RoleList'],
    ['/v3/auth/role/delete', 'RoleDelete'],
    ['/v3/auth/role/grant', 'RoleGrantPermission'],
    ['/v3/auth/role/revoke', 'RoleRevokePermission'],
  ],
  '/v3lockpb.Lock/': [
    ['/v3/lock/lock', 'Lock'],
    ['/v3/lock/unlock', 'Unlock'],
  ],
  '/v3electionpb.Election/': [
    ['/v3/election/campaign', 'Campaign'],
    ['/v3/election/proclaim', 'Proclaim'],
    ['/v3/election/leader', 'Leader'],
    ['/v3/election/observe', 'Observe'],
    ['/v3/election/resign', 'Resign'],
  ],
};

/** Methods that have no path, as in etcd, and why. */
export const unbound: Readonly<Record<string, string>> = {
  '/etcdserverpb.KV/RangeStream': 'etcd gives it no path: /v3/kv/range answers in pieces anyway',
};

/** The methods by path; throws if the .proto files do not know one of them. */
export function bindings(): ReadonlyMap<string, RpcDescriptor> {
  const rpcs = new Map(jsonRpcs().map((rpc) => [rpc.name, rpc]));
  const bound = new Map<string, RpcDescriptor>();
  for (const [service, methods] of Object.entries(paths)) {
    for (const [path, method] of methods) {
      const rpc = rpcs.get(service + method);
      if (rpc === undefined) throw new Error(`${path}: no method ${service}${method}`);
      bound.set(path, rpc);
    }
  }
  return bound;
}
