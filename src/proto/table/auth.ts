/** The Auth service. */

import { authpb, etcdserverpb as pb } from '../generated/etcd.js';
import {
  bytes,
  flag,
  int32,
  int64,
  key,
  type MessageOf,
  message,
  submessage,
  submessages,
  text,
  texts,
} from './codec.js';
import { responseHeader } from './response-header.js';

const header = submessage('header', responseHeader);

/** authpb.Permission.Type by name. */
export const PermissionType = { READ: 0, WRITE: 1, READWRITE: 2 } as const;

export const permission = message(authpb.Permission, {
  /** See {@link PermissionType}. */
  type: int32('permType'),
  key: key('key'),
  rangeEnd: key('range_end'),
});
/** authpb.Permission as data. */
export type ProtoPermission = MessageOf<typeof permission>;

export const userAddOptions = message(authpb.UserAddOptions, {
  noPassword: flag('no_password'),
});

/** As etcd stores one. */
export const authUser = message(authpb.User, {
  name: bytes('name'),
  password: bytes('password'),
  roles: texts('roles'),
  options: submessage('options', userAddOptions),
});
/** As etcd stores one. */
export const authRole = message(authpb.Role, {
  name: bytes('name'),
  permissions: submessages('keyPermission', permission),
});

export const authEnableRequest = message(pb.AuthEnableRequest, {});
export const authEnableResponse = message(pb.AuthEnableResponse, { header });
export const authDisableRequest = message(pb.AuthDisableRequest, {});
export const authDisableResponse = message(pb.AuthDisableResponse, { header });
export const authStatusRequest = message(pb.AuthStatusRequest, {});
export const authStatusResponse = message(pb.AuthStatusResponse, {
  header,
  enabled: flag('enabled'),
  authRevision: int64('authRevision'),
});
export const authenticateRequest = message(pb.AuthenticateRequest, {
  name: text('name'),
  password: text('password'),
});
export const authenticateResponse = message(pb.AuthenticateResponse, {
  header,
  token: text('token'),
});

export const authUserAddRequest = message(pb.AuthUserAddRequest, {
  name: text('name'),
  password: text('password'),
  options: submessage('options', userAddOptions),
  hashedPassword: text('hashedPassword'),
});
export const authUserAddResponse = message(pb.AuthUserAddResponse, { header });
export const authUserGetRequest = message(pb.AuthUserGetRequest, { name: text('name') });
export const authUserGetResponse = message(pb.AuthUserGetResponse, {
  header,
  roles: texts('roles'),
});
export const authUserListRequest = message(pb.AuthUserListRequest, {});
export const authUserListResponse = message(pb.AuthUserListResponse, {
  header,
  users: texts('users'),
});
export const authUserDeleteRequest = message(pb.AuthUserDeleteRequest, { name: text('name') });
export const authUserDeleteResponse = message(pb.AuthUserDeleteResponse, { header });
export const authUserChangePasswordRequest = message(pb.AuthUserChangePasswordRequest, {
  name: text('name'),
  password: text('password'),
  hashedPassword: text('hashedPassword'),
});
export const authUserChangePasswordResponse = message(pb.AuthUserChangePasswordResponse, {
  header,
});
export const authUserGrantRoleRequest = message(pb.AuthUserGrantRoleRequest, {
  user: text('user'),
  role: text('role'),
});
export const authUserGrantRoleResponse = message(pb.AuthUserGrantRoleResponse, { header });
export const authUserRevokeRoleRequest = message(pb.AuthUserRevokeRoleRequest, {
  name: text('name'),
  role: text('role'),
});
export const authUserRevokeRoleResponse = message(pb.AuthUserRevokeRoleResponse, { header });

export const authRoleAddRequest = message(pb.AuthRoleAddRequest, { name: text('name') });
export const authRoleAddResponse = message(pb.AuthRoleAddResponse, { header });
export const authRoleGetRequest = message(pb.AuthRoleGetRequest, { role: text('role') });
export const authRoleGetResponse = message(pb.AuthRoleGetResponse, {
  header,
  perm: submessages('perm', permission),
});
export const authRoleListRequest = message(pb.AuthRoleListRequest, {});
export const authRoleListResponse = message(pb.AuthRoleListResponse, {
  header,
  roles: texts('roles'),
});
export const authRoleDeleteRequest = message(pb.AuthRoleDeleteRequest, { role: text('role') });
export const authRoleDeleteResponse = message(pb.AuthRoleDeleteResponse, { header });
export const authRoleGrantPermissionRequest = message(pb.AuthRoleGrantPermissionRequest, {
  name: text('name'),
  perm: submessage('perm', permission),
});
export const authRoleGrantPermissionResponse = message(pb.AuthRoleGrantPermissionResponse, {
  header,
});
export const authRoleRevokePermissionRequest = message(pb.AuthRoleRevokePermissionRequest, {
  role: text('role'),
  key: key('key'),
  rangeEnd: key('range_end'),
});
export const authRoleRevokePermissionResponse = message(pb.AuthRoleRevokePermissionResponse, {
  header,
});
