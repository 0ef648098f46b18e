/**
 * The log entries of users and roles. Their bodies are the requests, but never with a password: a
 * request that brings one leads to an entry with its hash.
 */

import { EtcdError, type KeyString, type Logger, type LogIndex } from '../../common/index.js';
import {
  authDisableRequest,
  authEnableRequest,
  authRoleAddRequest,
  authRoleDeleteRequest,
  authRoleGrantPermissionRequest,
  authRoleRevokePermissionRequest,
  authUserAddRequest,
  authUserChangePasswordRequest,
  authUserDeleteRequest,
  authUserGrantRoleRequest,
  authUserRevokeRoleRequest,
  type Codec,
  type MessageOf,
} from '../../proto/index.js';
import type { MvccWriteTxn } from '../../storage/index.js';
import { type AuthState, decodeHash, type Tokens } from '../access/index.js';
import {
  anybody,
  EntryKind,
  type EntrySpec,
  type EntryType,
  entryType,
  onlyRoot,
} from '../entry/index.js';

/** What an entry needs to make a token: see Tokens. */
export interface AuthenticateRequest {
  readonly user: string;
  /** Of the letters that were drawn. */
  readonly seal: string;
}

/** Whom a token was assigned to. */
export interface AuthenticateResult {
  readonly authRevision: number;
  readonly index: LogIndex;
  /** The password that the user had then, as a hash. */
  readonly hash: KeyString;
}

export interface AuthEntriesOptions {
  readonly state: AuthState;
  readonly tokens: Tokens;
  readonly logger: Logger;
}

export type AuthEntries = ReturnType<typeof authEntries>;

export function authEntries(options: AuthEntriesOptions) {
  return { ...switches(options), ...userEntries(options), ...roleEntries(options) };
}

type Change<Request> = (txn: MvccWriteTxn, request: Request) => void;

/** A change that is done within one call, for root only. */
function change<T>(
  kind: EntryKind,
  operation: string,
  codec: Codec<T>,
  apply: Change<T>,
): EntryType<T, true> {
  return entryType<T, true>({
    ...{ kind, operation, decode: (body) => codec.decode(body) },
    refusedWhenCorrupt: false,
    allows: onlyRoot,
    apply(txn, request) {
      apply(txn, request);
      return true;
    },
  });
}

/** The same for one that may touch any number of records. `check` throws what can't be done. */
function longChange<T>(
  kind: EntryKind,
  operation: string,
  codec: Codec<T>,
  check: (request: T) => void,
  applySteps: NonNullable<EntrySpec<T, true, true>['applySteps']>,
): EntryType<T, true> {
  return entryType<T, true, true>({
    ...{ kind, operation, decode: (body) => codec.decode(body) },
    refusedWhenCorrupt: false,
    allows: onlyRoot,
    planAtOnce: () => undefined,
    // biome-ignore lint/correctness/useYield: it has nothing to wait for.
    *plan(request) {
      check(request);
      return true;
    },
    applySteps,
  }) as EntryType<T, true>;
}

function switches({ logger, state, tokens }: AuthEntriesOptions) {
  return {
    enable: change(EntryKind.authEnable, 'AuthEnable', authEnableRequest, (txn) => {
      const isNew = state.enable(txn);
      const ignored = 'authentication is already enabled; ignored auth enable request';
      logger.info(isNew ? 'enabled authentication' : ignored);
    }),
    disable: change(EntryKind.authDisable, 'AuthDisable', authDisableRequest, (txn) => {
      if (state.disable(txn)) logger.info('disabled authentication');
    }),
    authenticate: entryType<AuthenticateRequest, AuthenticateResult>({
      kind: EntryKind.authenticate,
      operation: 'Authenticate',
      decode: decodeAuthenticate,
      refusedWhenCorrupt: false,
      // The password was checked before it was proposed.
      allows: anybody,
      apply({ index }, { seal, user: name }) {
        const { hash } = state.authenticate(name);
        tokens.assign(name, seal, index);
        logger.debug('authenticated a user', { user: name });
        return { authRevision: state.revision, index, hash };
      },
    }),
  };
}

function userEntries({ logger, state }: AuthEntriesOptions) {
  return {
    userAdd: change(EntryKind.userAdd, 'AuthUserAdd', authUserAddRequest, (txn, request) => {
      const { name, options } = request;
      const noPassword = options?.noPassword ?? false;
      state.checkAddUser(name);
      const hash = noPassword ? '' : hashOf(request);
      state.addUser(txn, { name, hash, noPassword });
      logger.info('added a user', { user: name });
    }),
    userDelete: longChange(
      ...([EntryKind.userDelete, 'AuthUserDelete', authUserDeleteRequest] as const),
      ({ name }) => state.checkRemoveUser(name),
      function* applySteps(txn, { name }, _plan, _wantAnswer, slice) {
        yield* state.removeUser(txn, name, slice);
        logger.info('deleted a user', { user: name });
        return true;
      },
    ),
    userChangePassword: change(
      ...([EntryKind.userChangePassword, 'AuthUserChangePassword'] as const),
      authUserChangePasswordRequest,
      (txn, request) => {
        const { name } = request;
        const { noPassword } = state.checkUser(name);
        state.changePassword(txn, name, noPassword ? '' : hashOf(request));
        logger.info('changed a password of a user', { user: name });
      },
    ),
    userGrantRole: change(
      ...([EntryKind.userGrantRole, 'AuthUserGrantRole', authUserGrantRoleRequest] as const),
      (txn, { role, user }) => {
        const isNew = state.grantRole(txn, user, role);
        if (isNew) logger.info('granted a role to a user', { user, role });
        else logger.warn('ignored grant role request to a user', { user, role });
      },
    ),
    userRevokeRole: change(
      ...([EntryKind.userRevokeRole, 'AuthUserRevokeRole', authUserRevokeRoleRequest] as const),
      (txn, { name: user, role }) => {
        state.revokeRole(txn, user, role);
        logger.info('revoked a role from a user', { user, role });
      },
    ),
  };
}

function roleEntries({ logger, state }: AuthEntriesOptions) {
  return {
    roleAdd: change(EntryKind.roleAdd, 'AuthRoleAdd', authRoleAddRequest, (txn, { name: role }) => {
      state.addRole(txn, role);
      logger.info('created a role', { role });
    }),
    roleDelete: longChange(
      ...([EntryKind.roleDelete, 'AuthRoleDelete', authRoleDeleteRequest] as const),
      ({ role }) => state.checkRemoveRole(role),
      function* applySteps(txn, { role }, _plan, _wantAnswer, slice) {
        yield* state.removeRole(txn, role, slice);
        logger.info('deleted a role', { role });
        return true;
      },
    ),
    roleGrantPermission: change(
      ...([EntryKind.roleGrantPermission, 'AuthRoleGrantPermission'] as const),
      authRoleGrantPermissionRequest,
      (txn, { name: role, perm }) => {
        state.grantPermission(txn, role, perm);
        logger.info('granted/updated a permission to a role', { role });
      },
    ),
    roleRevokePermission: change(
      ...([EntryKind.roleRevokePermission, 'AuthRoleRevokePermission'] as const),
      authRoleRevokePermissionRequest,
      (txn, { key, rangeEnd, role }) => {
        state.revokePermission(txn, role, key, rangeEnd);
        logger.info('revoked a permission on range', { role });
      },
    ),
  };
}

// ------------------------------------------------------------------------------------ their bodies

type WithHash = Pick<MessageOf<typeof authUserAddRequest>, 'hashedPassword'>;

/** As etcd: what is no base64 is answered like this. */
function hashOf({ hashedPassword }: WithHash): KeyString {
  const hash = decodeHash(hashedPassword);
  if (hash === undefined) throw new EtcdError('NO_PASSWORD_USER');
  return hash;
}

/** Length in one byte of the seal, that, and the name. */
export function encodeAuthenticate({ seal, user }: AuthenticateRequest): Buffer {
  return Buffer.concat([Buffer.from([seal.length]), Buffer.from(seal), Buffer.from(user)]);
}

export function decodeAuthenticate(body: Buffer): AuthenticateRequest {
  const end = 1 + (body[0] ?? 0);
  return { seal: body.toString('latin1', 1, end), user: body.toString('utf8', end) };
}
