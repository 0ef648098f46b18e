/** The Auth service (C-4): changes are entries of the log, questions linearizable reads. */

import { EtcdError, nobody } from '../../common/index.js';
import {
  authDisableRequest,
  authDisableResponse,
  authEnableRequest,
  authEnableResponse,
  authenticateRequest,
  authenticateResponse,
  authRoleAddRequest,
  authRoleAddResponse,
  authRoleDeleteRequest,
  authRoleDeleteResponse,
  authRoleGetRequest,
  authRoleGetResponse,
  authRoleGrantPermissionRequest,
  authRoleGrantPermissionResponse,
  authRoleListResponse,
  authRoleRevokePermissionRequest,
  authRoleRevokePermissionResponse,
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
  authUserListResponse,
  authUserRevokeRoleRequest,
  authUserRevokeRoleResponse,
  type Codec,
} from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { WorkQueue } from '../access/index.js';
import { type EntryType, newEntry } from '../entry/index.js';
import type { Host } from '../feature/index.js';
import { failCall, headerAt, type UnaryRpc, unaryMethod } from '../rpc/index.js';
import { Authenticator } from './authenticator.js';
import type { AuthEntries } from './entries.js';
import { replyInPieces } from './long-lists.js';
import { hashedPassword, passwordQueue } from './passwords.js';

type Methods = Array<readonly [string, MethodHandler]>;

export function authMethods(host: Host, entries: AuthEntries): Methods {
  const passwords = passwordQueue();
  return [
    ...switchMethods(host, entries, passwords),
    ...userChanges(host, entries, passwords),
    ...roleChanges(host, entries),
    ...questions(host),
  ];
}

function named(host: Host, name: string, handle: UnaryRpc): readonly [string, MethodHandler] {
  return unaryMethod(host, `/etcdserverpb.Auth/${name}`, handle);
}

/** A handler that puts what it was sent into the log, and answers with a header only. */
function changing<T>(
  host: Host,
  entry: EntryType<T, true>,
  request: Codec<T>,
  response: Codec<object>,
): UnaryRpc {
  return (bytes, call) => propose(host, entry, request, request.decode(bytes), response, call);
}

function propose<T>(
  host: Host,
  entry: EntryType<T, true>,
  codec: Codec<T>,
  request: T,
  response: Codec<object>,
  call: ServerCall,
): void {
  const data = newEntry(entry.kind, codec.encode(request), call.caller);
  if (data.length > host.requestBytesMax) throw new EtcdError('REQUEST_TOO_LARGE');
  host.propose(entry, data, request, answerChange, { host, call, response });
}

interface ChangeContext {
  readonly host: Host;
  readonly call: ServerCall;
  readonly response: Codec<object>;
}

function answerChange(
  { call, host, response }: ChangeContext,
  _request: unknown,
  error: Error | undefined,
): void {
  if (error !== undefined) failCall(host, call, error);
  else call.reply(response.encode({}, headerAt(host, host.store.revision)));
}

// ---------------------------------------------------------------------------------------- switches

function switchMethods(host: Host, entries: AuthEntries, passwords: WorkQueue): Methods {
  const { access, authState } = host;
  const authenticator = new Authenticator(host, entries.authenticate, passwords);
  return [
    named(
      ...([host, 'AuthEnable'] as const),
      changing(host, entries.enable, authEnableRequest, authEnableResponse),
    ),
    named(
      ...([host, 'AuthDisable'] as const),
      changing(host, entries.disable, authDisableRequest, authDisableResponse),
    ),
    named(host, 'AuthStatus', async (_bytes, call) => {
      // It needs no token; but one that is none is told so, as by etcd.
      const caller = access.isEnabled ? await access.identify(call) : nobody;
      if (caller.refusal !== undefined) throw new EtcdError(caller.refusal);
      await host.readBarrier();
      const { isEnabled: enabled, revision: authRevision } = authState;
      const header = headerAt(host, host.store.revision);
      call.reply(authStatusResponse.encode({ enabled, authRevision }, header));
    }),
    named(host, 'Authenticate', async (bytes, call) => {
      const { name, password } = authenticateRequest.decode(bytes);
      const token = await authenticator.tokenFor(name, password, call);
      call.reply(authenticateResponse.encode({ token }, headerAt(host, host.store.revision)));
    }),
  ];
}

// ------------------------------------------------------------------------------------------- users

function userChanges(host: Host, entries: AuthEntries, passwords: WorkQueue): Methods {
  return [
    named(host, 'UserAdd', async (bytes, call) => {
      const { name, options, password } = authUserAddRequest.decode(bytes);
      const hash =
        options?.noPassword === true ? '' : await hashedPassword(host, passwords, password, call);
      const request = { name, options, password: '', hashedPassword: hash };
      propose(host, entries.userAdd, authUserAddRequest, request, authUserAddResponse, call);
    }),
    named(
      ...([host, 'UserDelete'] as const),
      changing(host, entries.userDelete, authUserDeleteRequest, authUserDeleteResponse),
    ),
    named(host, 'UserChangePassword', async (bytes, call) => {
      const given = authUserChangePasswordRequest.decode(bytes);
      const { name, password } = given;
      // Without a password the hash that root brings along is taken as it is, as by etcd.
      const hash =
        password === ''
          ? given.hashedPassword
          : await hashedPassword(host, passwords, password, call);
      propose(
        ...([host, entries.userChangePassword, authUserChangePasswordRequest] as const),
        { name, password: '', hashedPassword: hash },
        ...([authUserChangePasswordResponse, call] as const),
      );
    }),
    named(
      ...([host, 'UserGrantRole'] as const),
      changing(host, entries.userGrantRole, authUserGrantRoleRequest, authUserGrantRoleResponse),
    ),
    named(
      ...([host, 'UserRevokeRole'] as const),
      changing(host, entries.userRevokeRole, authUserRevokeRoleRequest, authUserRevokeRoleResponse),
    ),
  ];
}

// ------------------------------------------------------------------------------------------- roles

function roleChanges(host: Host, entries: AuthEntries): Methods {
  return [
    named(
      ...([host, 'RoleAdd'] as const),
      changing(host, entries.roleAdd, authRoleAddRequest, authRoleAddResponse),
    ),
    named(
      ...([host, 'RoleDelete'] as const),
      changing(host, entries.roleDelete, authRoleDeleteRequest, authRoleDeleteResponse),
    ),
    named(
      ...([host, 'RoleGrantPermission'] as const),
      changing(
        ...([host, entries.roleGrantPermission] as const),
        ...([authRoleGrantPermissionRequest, authRoleGrantPermissionResponse] as const),
      ),
    ),
    named(
      ...([host, 'RoleRevokePermission'] as const),
      changing(
        ...([host, entries.roleRevokePermission] as const),
        ...([authRoleRevokePermissionRequest, authRoleRevokePermissionResponse] as const),
      ),
    ),
  ];
}

// --------------------------------------------------------------------------------------- questions

function questions(host: Host): Methods {
  const { access, authState } = host;
  /** Why only root may be told; undefined: it is root, or auth is off. */
  const refusal = (call: ServerCall) =>
    access.isEnabled ? access.rootRefusal(call.caller ?? nobody) : undefined;
  return [
    named(host, 'UserGet', async (bytes, call) => {
      const { name } = authUserGetRequest.decode(bytes);
      await host.readBarrier();
      const refused = refusal(call);
      if (refused !== undefined && name !== call.caller?.name) throw new EtcdError(refused);
      const user = authState.user(name);
      if (user === undefined) throw new EtcdError('USER_NOT_FOUND');
      await replyInPieces(host, call, user.roles, (roles, header) =>
        authUserGetResponse.encode({ roles }, header),
      );
    }),
    named(host, 'RoleGet', async (bytes, call) => {
      const { role } = authRoleGetRequest.decode(bytes);
      await host.readBarrier();
      const refused = refusal(call);
      const isOwn = access.hasRole(call.caller?.name ?? '', role);
      if (refused !== undefined && !isOwn) throw new EtcdError(refused);
      const permissions = authState.shownPermissions(role);
      if (permissions === undefined) throw new EtcdError('ROLE_NOT_FOUND');
      await replyInPieces(host, call, permissions, (perm, header) =>
        authRoleGetResponse.encode({ perm }, header),
      );
    }),
    named(host, 'UserList', async (_bytes, call) => {
      await host.readBarrier();
      const refused = refusal(call);
      if (refused !== undefined) throw new EtcdError(refused);
      await replyInPieces(host, call, authState.userNames, (users, header) =>
        authUserListResponse.encode({ users }, header),
      );
    }),
    named(host, 'RoleList', async (_bytes, call) => {
      await host.readBarrier();
      const refused = refusal(call);
      if (refused !== undefined) throw new EtcdError(refused);
      await replyInPieces(host, call, authState.roleNames, (roles, header) =>
        authRoleListResponse.encode({ roles }, header),
      );
    }),
  ];
}
