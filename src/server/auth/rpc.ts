/**
 * The Auth service before there are users: everything that only asks is answered as etcd answers on
 * a store without users and roles; what would make one is not there yet (UNIMPLEMENTED by the
 * transport), so authentication can't be switched on.
 */

import { EtcdError } from '../../common/index.js';
import {
  authDisableResponse,
  authRoleListResponse,
  authStatusResponse,
  authUserListResponse,
} from '../../proto/index.js';
import type { MethodHandler } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { headerAt, type UnaryRpc, unaryMethod } from '../rpc/index.js';

/** etcd's auth store begins at revision 1. */
const initialAuthRevision = 1;

export function authMethods(host: Host): Array<readonly [string, MethodHandler]> {
  const method = (name: string, handle: UnaryRpc): readonly [string, MethodHandler] =>
    unaryMethod(host, `/etcdserverpb.Auth/${name}`, handle);
  const header = () => headerAt(host, host.store.revision);
  const refuse = (reason: 'USER_NOT_FOUND' | 'ROLE_NOT_FOUND'): UnaryRpc => {
    return () => {
      throw new EtcdError(reason);
    };
  };
  return [
    method('AuthStatus', (_bytes, call) => {
      const status = { enabled: false, authRevision: initialAuthRevision };
      call.reply(authStatusResponse.encode(status, header()));
    }),
    method('Authenticate', () => {
      throw new EtcdError('AUTH_NOT_ENABLED');
    }),
    method('AuthEnable', () => {
      throw new EtcdError('ROOT_USER_NOT_EXIST');
    }),
    method('AuthDisable', (_bytes, call) => {
      call.reply(authDisableResponse.encode({}, header()));
    }),
    method('UserList', (_bytes, call) => {
      call.reply(authUserListResponse.encode({ users: [] }, header()));
    }),
    method('RoleList', (_bytes, call) => {
      call.reply(authRoleListResponse.encode({ roles: [] }, header()));
    }),
    method('UserGet', refuse('USER_NOT_FOUND')),
    method('UserDelete', refuse('USER_NOT_FOUND')),
    method('RoleGet', refuse('ROLE_NOT_FOUND')),
    method('RoleDelete', refuse('ROLE_NOT_FOUND')),
  ];
}
