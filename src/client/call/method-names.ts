/** Full names of the methods that are called. */

const kv = '/etcdserverpb.KV/';
const lease = '/etcdserverpb.Lease/';
const cluster = '/etcdserverpb.Cluster/';
const maintenance = '/etcdserverpb.Maintenance/';
const auth = '/etcdserverpb.Auth/';

export const method = {
  range: `${kv}Range`,
  rangeStream: `${kv}RangeStream`,
  put: `${kv}Put`,
  deleteRange: `${kv}DeleteRange`,
  txn: `${kv}Txn`,
  compact: `${kv}Compact`,
  watch: '/etcdserverpb.Watch/Watch',
  leaseGrant: `${lease}LeaseGrant`,
  leaseRevoke: `${lease}LeaseRevoke`,
  leaseKeepAlive: `${lease}LeaseKeepAlive`,
  leaseTimeToLive: `${lease}LeaseTimeToLive`,
  leaseLeases: `${lease}LeaseLeases`,
  memberAdd: `${cluster}MemberAdd`,
  memberRemove: `${cluster}MemberRemove`,
  memberUpdate: `${cluster}MemberUpdate`,
  memberList: `${cluster}MemberList`,
  memberPromote: `${cluster}MemberPromote`,
  alarm: `${maintenance}Alarm`,
  status: `${maintenance}Status`,
  defragment: `${maintenance}Defragment`,
  hashKv: `${maintenance}HashKV`,
  snapshot: `${maintenance}Snapshot`,
  moveLeader: `${maintenance}MoveLeader`,
  downgrade: `${maintenance}Downgrade`,
  authEnable: `${auth}AuthEnable`,
  authDisable: `${auth}AuthDisable`,
  authStatus: `${auth}AuthStatus`,
  authenticate: `${auth}Authenticate`,
  userAdd: `${auth}UserAdd`,
  userGet: `${auth}UserGet`,
  userList: `${auth}UserList`,
  userDelete: `${auth}UserDelete`,
  userChangePassword: `${auth}UserChangePassword`,
  userGrantRole: `${auth}UserGrantRole`,
  userRevokeRole: `${auth}UserRevokeRole`,
  roleAdd: `${auth}RoleAdd`,
  roleGet: `${auth}RoleGet`,
  roleList: `${auth}RoleList`,
  roleDelete: `${auth}RoleDelete`,
  roleGrantPermission: `${auth}RoleGrantPermission`,
  roleRevokePermission: `${auth}RoleRevokePermission`,
} as const;
