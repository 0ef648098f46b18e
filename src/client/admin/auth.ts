/** The Auth service: users, roles, permissions, and switching it on. */

import { keyToBytes } from '../../common/index.js';
import * as proto from '../../proto/index.js';
import {
  type Caller,
  type CallKind,
  type CallOptions,
  callShape,
  callWithCodecs,
  method,
} from '../call/index.js';
import { type KeyRange, rangeOf, spanOf } from '../keyspace/index.js';
import { checkOneOf, checkOptions } from '../strict/index.js';
import type { AuthAdmin, GrantedPermission, Permission, PermissionKind } from './types.js';

const permissionTypes = {
  read: proto.PermissionType.READ,
  write: proto.PermissionType.WRITE,
  readwrite: proto.PermissionType.READWRITE,
} as const satisfies Record<PermissionKind, number>;

/** `db.auth`. */
export function authOf(caller: Caller): AuthAdmin {
  const call = async <Request, Response>(
    name: string,
    kind: CallKind,
    codecs: readonly [proto.Codec<Request>, proto.Codec<Response>],
    request: Partial<Request>,
    options: CallOptions | undefined,
  ): Promise<Response> => {
    checkOptions('auth', options, callShape);
    return callWithCodecs(caller, name, kind, codecs, request, options);
  };
  const write = async <Request, Response>(
    name: string,
    codecs: readonly [proto.Codec<Request>, proto.Codec<Response>],
    request: Partial<Request>,
    options: CallOptions | undefined,
  ): Promise<void> => {
    await call(name, 'write', codecs, request, options);
  };
  return {
    ...usersOf(caller, call, write),
    ...rolesOf(call, write),
    enable: (options) =>
      write(method.authEnable, [proto.authEnableRequest, proto.authEnableResponse], {}, options),
    disable: (options) =>
      write(method.authDisable, [proto.authDisableRequest, proto.authDisableResponse], {}, options),
    async status(options) {
      const codecs = [proto.authStatusRequest, proto.authStatusResponse] as const;
      const { enabled, authRevision } = await call(method.authStatus, 'read', codecs, {}, options);
      return { enabled, authRevision };
    },
  };
}

type Call = <Request, Response>(
  name: string,
  kind: CallKind,
  codecs: readonly [proto.Codec<Request>, proto.Codec<Response>],
  request: Partial<Request>,
  options: CallOptions | undefined,
) => Promise<Response>;
type Write = <Request, Response>(
  name: string,
  codecs: readonly [proto.Codec<Request>, proto.Codec<Response>],
  request: Partial<Request>,
  options: CallOptions | undefined,
) => Promise<void>;

type UserAdmin = Pick<
  AuthAdmin,
  'users' | 'user' | 'addUser' | 'deleteUser' | 'changePassword' | 'grantRole' | 'revokeRole'
>;

function usersOf(caller: Caller, call: Call, write: Write): UserAdmin {
  return {
    async users(options) {
      const codecs = [proto.authUserListRequest, proto.authUserListResponse] as const;
      return (await call(method.userList, 'read', codecs, {}, options)).users;
    },
    async user(name, options) {
      const codecs = [proto.authUserGetRequest, proto.authUserGetResponse] as const;
      return (await call(method.userGet, 'read', codecs, { name }, options)).roles;
    },
    addUser(name, password, options) {
      const codecs = [proto.authUserAddRequest, proto.authUserAddResponse] as const;
      const request =
        password === undefined ? { name, options: { noPassword: true } } : { name, password };
      return write(method.userAdd, codecs, request, options);
    },
    deleteUser(name, options) {
      const codecs = [proto.authUserDeleteRequest, proto.authUserDeleteResponse] as const;
      return write(method.userDelete, codecs, { name }, options);
    },
    async changePassword(name, password, options) {
      const codecs = [
        proto.authUserChangePasswordRequest,
        proto.authUserChangePasswordResponse,
      ] as const;
      await write(method.userChangePassword, codecs, { name, password }, options);
      caller.tokens.passwordChanged(name, password);
    },
    grantRole(user, role, options) {
      const codecs = [proto.authUserGrantRoleRequest, proto.authUserGrantRoleResponse] as const;
      return write(method.userGrantRole, codecs, { user, role }, options);
    },
    revokeRole(user, role, options) {
      const codecs = [proto.authUserRevokeRoleRequest, proto.authUserRevokeRoleResponse] as const;
      return write(method.userRevokeRole, codecs, { name: user, role }, options);
    },
  };
}

type RoleAdmin = Pick<
  AuthAdmin,
  'roles' | 'role' | 'addRole' | 'deleteRole' | 'grantPermission' | 'revokePermission'
>;

function rolesOf(call: Call, write: Write): RoleAdmin {
  return {
    async roles(options) {
      const codecs = [proto.authRoleListRequest, proto.authRoleListResponse] as const;
      return (await call(method.roleList, 'read', codecs, {}, options)).roles;
    },
    async role(name, options) {
      const codecs = [proto.authRoleGetRequest, proto.authRoleGetResponse] as const;
      const reply = await call(method.roleGet, 'read', codecs, { role: name }, options);
      return reply.perm.map(grantedOf);
    },
    addRole(name, options) {
      const codecs = [proto.authRoleAddRequest, proto.authRoleAddResponse] as const;
      return write(method.roleAdd, codecs, { name }, options);
    },
    deleteRole(name, options) {
      const codecs = [proto.authRoleDeleteRequest, proto.authRoleDeleteResponse] as const;
      return write(method.roleDelete, codecs, { role: name }, options);
    },
    async grantPermission(role: string, permission: Permission, options?: CallOptions) {
      checkOneOf('the kind of a permission', permission.kind, Object.keys(permissionTypes));
      const codecs = [
        proto.authRoleGrantPermissionRequest,
        proto.authRoleGrantPermissionResponse,
      ] as const;
      const perm = { type: permissionTypes[permission.kind], ...spanOf('', permission.range) };
      await write(method.roleGrantPermission, codecs, { name: role, perm }, options);
    },
    async revokePermission(role: string, range: KeyRange, options?: CallOptions) {
      const codecs = [
        proto.authRoleRevokePermissionRequest,
        proto.authRoleRevokePermissionResponse,
      ] as const;
      const request = { role, ...spanOf('', range) };
      await write(method.roleRevokePermission, codecs, request, options);
    },
  };
}

function grantedOf(permission: proto.ProtoPermission): GrantedPermission {
  const kinds: readonly PermissionKind[] = ['read', 'write', 'readwrite'];
  return {
    kind: kinds[permission.type] ?? 'read',
    range: rangeOf(permission),
    key: keyToBytes(permission.key),
    rangeEnd: keyToBytes(permission.rangeEnd),
  };
}
