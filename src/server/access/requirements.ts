/**
 * What each RPC requires of its caller while auth is on, before anybody looks at the request. What
 * is not listed is refused to everybody (docs/auth-matrix.md shows what comes of it).
 */

/**
 * `open`: nothing. `user`: anybody known. `root`: the role root. `request`: it depends on what the
 * request asks for; its handler and its entry say so.
 */
export type Requirement = 'open' | 'user' | 'root' | 'request';

const byService: Readonly<Record<string, Readonly<Record<string, Requirement>>>> = {
  'etcdserverpb.KV': {
    Range: 'request',
    RangeStream: 'request',
    Put: 'request',
    DeleteRange: 'request',
    Txn: 'request',
    Compact: 'root',
  },
  // Asked again for each watch that is created.
  'etcdserverpb.Watch': { Watch: 'request' },
  'etcdserverpb.Lease': {
    LeaseGrant: 'user',
    LeaseRevoke: 'user',
    LeaseKeepAlive: 'request',
    LeaseTimeToLive: 'user',
    LeaseLeases: 'user',
  },
  'etcdserverpb.Cluster': {
    MemberAdd: 'root',
    MemberRemove: 'root',
    MemberUpdate: 'root',
    MemberPromote: 'root',
    MemberList: 'user',
  },
  'etcdserverpb.Maintenance': {
    // Looking needs a user, raising and clearing root.
    Alarm: 'request',
    Status: 'user',
    Defragment: 'root',
    Hash: 'root',
    HashKV: 'root',
    Snapshot: 'root',
    MoveLeader: 'root',
    Downgrade: 'root',
  },
  'etcdserverpb.Auth': {
    Authenticate: 'open',
    AuthStatus: 'open',
    AuthEnable: 'root',
    AuthDisable: 'root',
    UserAdd: 'root',
    // A user may look at itself, and at the roles that it has.
    UserGet: 'request',
    RoleGet: 'request',
    UserList: 'root',
    UserDelete: 'root',
    UserChangePassword: 'root',
    UserGrantRole: 'root',
    UserRevokeRole: 'root',
    RoleAdd: 'root',
    RoleList: 'root',
    RoleDelete: 'root',
    RoleGrantPermission: 'root',
    RoleRevokePermission: 'root',
  },
  // They make calls of the services above on behalf of their caller, who is asked there: also who
  // he is, for as in etcd a refusal comes as theirs, with the code UNKNOWN.
  'v3lockpb.Lock': { Lock: 'open', Unlock: 'open' },
  'v3electionpb.Election': {
    Campaign: 'open',
    Proclaim: 'open',
    Leader: 'open',
    Observe: 'open',
    Resign: 'open',
  },
  // They tell what is published with the source, to whoever can reach the port: among it how to
  // authenticate, for who has no token yet.
  'grpc.reflection.v1.ServerReflection': { ServerReflectionInfo: 'open' },
  'grpc.reflection.v1alpha.ServerReflection': { ServerReflectionInfo: 'open' },
  'grpc.health.v1.Health': { Check: 'open', Watch: 'open', List: 'open' },
};

const byMethod = new Map(
  Object.entries(byService).flatMap(([service, methods]) =>
    Object.entries(methods).map(([name, requirement]) => [`/${service}/${name}`, requirement]),
  ),
);

/** Of a full method name; undefined: the method is refused to everybody. */
export function requirementOf(method: string): Requirement | undefined {
  return byMethod.get(method);
}
