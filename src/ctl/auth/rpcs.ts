/** What is asked of the Auth service. */

import { method } from '../../client/raw/index.js';
import {
  authDisableRequest,
  authDisableResponse,
  authEnableRequest,
  authEnableResponse,
  authRoleAddRequest,
  authRoleAddResponse,
  authRoleDeleteRequest,
  authRoleDeleteResponse,
  authRoleGetRequest,
  authRoleGetResponse,
  authRoleGrantPermissionRequest,
  authRoleGrantPermissionResponse,
  authRoleListRequest,
  authRoleListResponse,
  authRoleRevokePermissionRequest,
  authRoleRevokePermissionResponse,
  authStatusRequest,
  authStatusResponse,
  authUserAddRequest,
  authUserAddResponse,
  authUserChangePasswordRequest,
  authUserChangePasswordResponse,
  authUserDeleteRequest,
  authUserDeleteResponse,
  authUserGetRequest,
  authUserGetResponse,
  authUserGrantRoleRequest,
  authUserGrantRoleResponse,
  authUserListRequest,
  authUserListResponse,
  authUserRevokeRoleRequest,
  authUserRevokeRoleResponse,
  type Codec,
} from '../../proto/index.js';
import type { Rpc } from '../connect/index.js';

const read = <Request, Response>(
  name: string,
  request: Codec<Request>,
  response: Codec<Response>,
): Rpc<Request, Response> => ({ method: name, kind: 'read', request, response });

const write: typeof read = (name, request, response) => {
  return { method: name, kind: 'write', request, response };
};

export const rpc = {
  enable: write(method.authEnable, authEnableRequest, authEnableResponse),
  disable: write(method.authDisable, authDisableRequest, authDisableResponse),
  status: read(method.authStatus, authStatusRequest, authStatusResponse),
  userAdd: write(method.userAdd, authUserAddRequest, authUserAddResponse),
  userGet: read(method.userGet, authUserGetRequest, authUserGetResponse),
  userList: read(method.userList, authUserListRequest, authUserListResponse),
  userDelete: write(method.userDelete, authUserDeleteRequest, authUserDeleteResponse),
  userChangePassword: write(
    method.userChangePassword,
    authUserChangePasswordRequest,
    authUserChangePasswordResponse,
  ),
  userGrantRole: write(method.userGrantRole, authUserGrantRoleRequest, authUserGrantRoleResponse),
  userRevokeRole: write(
    method.userRevokeRole,
    authUserRevokeRoleRequest,
    authUserRevokeRoleResponse,
  ),
  roleAdd: write(method.roleAdd, authRoleAddRequest, authRoleAddResponse),
  roleGet: read(method.roleGet, authRoleGetRequest, authRoleGetResponse),
  roleList: read(method.roleList, authRoleListRequest, authRoleListResponse),
  roleDelete: write(method.roleDelete, authRoleDeleteRequest, authRoleDeleteResponse),
  roleGrant: write(
    method.roleGrantPermission,
    authRoleGrantPermissionRequest,
    authRoleGrantPermissionResponse,
  ),
  roleRevoke: write(
    method.roleRevokePermission,
    authRoleRevokePermissionRequest,
    authRoleRevokePermissionResponse,
  ),
} as const;
