/**
 * The Auth service as long as authentication can't be switched on: its state can be asked for, and
 * clients with credentials get the error that lets them go on without a token.
 */

import { EtcdError } from '../common/index.js';
import { authStatusResponse } from '../proto/index.js';
import type { MethodHandler } from '../transport/index.js';
import { headerAt, type RpcContext } from './rpc-context.js';
import { unaryMethod } from './rpc-unary.js';

/** etcd's auth store begins at revision 1. */
const initialAuthRevision = 1;

export function authMethods(rpc: RpcContext): Array<readonly [string, MethodHandler]> {
  return [
    unaryMethod(rpc, '/etcdserverpb.Auth/AuthStatus', (_bytes, call) => {
      const status = { enabled: false, authRevision: initialAuthRevision };
      call.reply(authStatusResponse.encode(status, headerAt(rpc, rpc.store.revision)));
    }),
    unaryMethod(rpc, '/etcdserverpb.Auth/Authenticate', () => {
      throw new EtcdError('AUTH_NOT_ENABLED');
    }),
  ];
}
