/**
 * Users, roles and permissions as the log has them, with rules of its own, written without a look
 * at the server's: what each entry may do, and what each user may have been shown at each revision.
 */

import {
  authRoleAddRequest,
  authRoleDeleteRequest,
  authRoleGrantPermissionRequest,
  authRoleRevokePermissionRequest,
  authUserAddRequest,
  authUserChangePasswordRequest,
  authUserDeleteRequest,
  authUserGrantRoleRequest,
  authUserRevokeRoleRequest,
  type DeleteRangeRequest,
  PermissionType,
  type PutRequest,
  type RequestOp,
  type TxnRequest,
} from '../../src/proto/index.js';
import { EntryKind, entryBody, entryCaller } from '../../src/server/entry/index.js';
import type { Condition, Op, Request } from './history.js';

/** A right that something needs: to all keys of [key, end), with `end` as on the wire. */
export interface Need {
  readonly writes: boolean;
  readonly key: string;
  readonly end: string;
}

interface Grant extends Need {
  readonly reads: boolean;
}

/** Who asks, as the log has it. */
export type Asking = ReturnType<typeof entryCaller>;

/** Users and roles at one place of the log; never changed. */
export interface AuthState {
  readonly enabled: boolean;
  /** etcd's auth revision. */
  readonly authRevision: number;
  /** Of the store, when it came into force. */
  readonly revision: number;
  /** Users, and the roles of each. */
  readonly users: ReadonlyMap<string, ReadonlySet<string>>;
  readonly roles: ReadonlyMap<string, readonly Grant[]>;
}

const founding: AuthState = {
  enabled: false,
  authRevision: 1,
  revision: 1,
  users: new Map(),
  roles: new Map(),
};

/** What is needed of the keys of a lease is asked of whoever keeps this. */
export type KeysOfLease = (lease: bigint) => readonly string[];

export class AuthModel {
  /** All that there ever were, oldest first. */
  readonly states: AuthState[] = [founding];

  get now(): AuthState {
    return this.states[this.states.length - 1] as AuthState;
  }

  /** True if the entry is about users and roles; it has been done, unless it could not be. */
  apply(kind: EntryKind, data: Uint8Array, revision: number): boolean {
    const change = changes.get(kind);
    if (change === undefined) return kind === EntryKind.authenticate;
    const { now } = this;
    if (now.enabled && !isRoot(now, entryCaller(data))) return true;
    const next = change(now, entryBody(data));
    if (next !== undefined) this.states.push({ ...now, ...next, revision });
    return true;
  }

  /** The entry must have no effect, because of who asked for it. */
  refuses(asking: Asking, needs: readonly Need[]): boolean {
    return !mayDo(this.now, asking, needs);
  }

  /** The same of what needs the role root. */
  refusesAllButRoot(asking: Asking): boolean {
    return this.now.enabled && !isRoot(this.now, asking);
  }

  /**
   * Whether `user` may have been shown, at `revision` of the store, what needs this; `from`: the
   * place in {@link states} before which it can't have been.
   */
  mayHaveShown(user: string, needs: readonly Need[], revision: number, from: number): boolean {
    const { states } = this;
    for (let at = from; at < states.length; at += 1) {
      const state = states[at] as AuthState;
      if (state.revision > revision) return false;
      const after = states[at + 1];
      if (after !== undefined && after.revision < revision) continue;
      const { authRevision } = state;
      const asking = { name: user, authRevision, refusal: undefined, isMember: false };
      if (mayDo(state, asking, needs)) return true;
    }
    return false;
  }
}

export function needsOfPut(put: PutRequest, keysOf: KeysOfLease): Need[] {
  const needs: Need[] = [{ writes: true, key: put.key, end: '' }];
  if (put.prevKv) needs.push({ writes: false, key: put.key, end: '' });
  return [...needs, ...needsOfLease(put.lease, keysOf)];
}

export function needsOfLease(lease: bigint, keysOf: KeysOfLease): Need[] {
  return lease === 0n ? [] : keysOf(lease).map((key) => ({ writes: true, key, end: '' }));
}

export function needsOfDelete({ key, rangeEnd: end, prevKv }: DeleteRangeRequest): Need[] {
  const needs: Need[] = [{ writes: true, key, end }];
  return prevKv ? [...needs, { writes: false, key, end }] : needs;
}

export function needsOfTxn(txn: TxnRequest, keysOf: KeysOfLease): Need[] {
  const { compare, failure, success } = txn;
  const compared = compare.map(({ key, rangeEnd: end }) => ({ writes: false, key, end }));
  const needsOfOp = (op: RequestOp): Need[] => {
    if (op.type === 'put') return needsOfPut(op.request, keysOf);
    if (op.type === 'deleteRange') return needsOfDelete(op.request);
    if (op.type === 'txn') return needsOfTxn(op.request, keysOf);
    if (op.type === 'none') return [];
    return [{ writes: false, key: op.request.key, end: op.request.rangeEnd }];
  };
  return [...compared, ...success.flatMap(needsOfOp), ...failure.flatMap(needsOfOp)];
}

/** Of a request of the history; what it takes for the keys of leases is not in it. */
export function needsOfRequest({ conditions, failure, success }: Request): Need[] {
  const ofCondition = ({ key, end = '' }: Condition): Need => ({ writes: false, key, end });
  const ofOp = (op: Op): Need[] => {
    if (op.type === 'txn') return needsOfRequest(op.request);
    if (op.type === 'put') return [{ writes: true, key: op.key, end: '' }];
    return [{ writes: op.type === 'delete', key: op.key, end: op.end }];
  };
  return [...conditions.map(ofCondition), ...success.flatMap(ofOp), ...failure.flatMap(ofOp)];
}

// ------------------------------------------------------------------------------- who may what

function isRoot({ users }: AuthState, { isMember, name }: Asking): boolean {
  return isMember || users.get(name)?.has('root') === true;
}

function mayDo(state: AuthState, asking: Asking, needs: readonly Need[]): boolean {
  if (!state.enabled || asking.isMember) return true;
  if (asking.name === '') return false;
  if (needs.length === 0) return true;
  const roles = state.users.get(asking.name);
  // Credentials that are older than the newest change are none, for who asks for keys.
  if (asking.authRevision < state.authRevision) return false;
  if (roles === undefined) return false;
  if (roles.has('root')) return true;
  const grants = [...roles].flatMap((role) => state.roles.get(role) ?? []);
  return needs.every((need) => {
    const fitting = grants.filter((grant) => (need.writes ? grant.writes : grant.reads));
    return isCovered(need, fitting);
  });
}

/** Goes from key to key: whatever grant has the next one leads on to its end. */
function isCovered({ key, end }: Need, grants: readonly Grant[]): boolean {
  let at = key;
  const last = end === '' ? `${key}\0` : end;
  const isEndless = end === '\0';
  for (let steps = 0; steps <= grants.length; steps += 1) {
    let reached = at;
    for (const grant of grants) {
      if (grant.key > at) continue;
      if (grant.end === '\0') return true;
      const grantEnd = grant.end === '' ? `${grant.key}\0` : grant.end;
      if (grantEnd > reached) reached = grantEnd;
    }
    if (!isEndless && reached >= last && reached > at) return true;
    if (reached === at) return false;
    at = reached;
  }
  return false;
}

// ------------------------------------------------------------------------- what entries change

/** Undefined: it can't be done, or changes nothing. */
type Change = (state: AuthState, body: Buffer) => Partial<AuthState> | undefined;

function next(state: AuthState, changed: Partial<AuthState>): Partial<AuthState> {
  return { ...changed, authRevision: state.authRevision + 1 };
}

function withUser(
  state: AuthState,
  name: string,
  roles: ReadonlySet<string> | undefined,
): Partial<AuthState> {
  const users = new Map(state.users);
  if (roles === undefined) users.delete(name);
  else users.set(name, roles);
  return next(state, { users });
}

function withRole(
  state: AuthState,
  name: string,
  grants: readonly Grant[] | undefined,
): Partial<AuthState> {
  const roles = new Map(state.roles);
  if (grants === undefined) roles.delete(name);
  else roles.set(name, grants);
  return next(state, { roles });
}

const changes: ReadonlyMap<EntryKind, Change> = new Map<EntryKind, Change>([
  [
    EntryKind.authEnable,
    (state) => {
      if (state.enabled || state.users.get('root')?.has('root') !== true) return undefined;
      return { enabled: true };
    },
  ],
  [EntryKind.authDisable, (state) => (state.enabled ? next(state, { enabled: false }) : undefined)],
  [
    EntryKind.userAdd,
    (state, body) => {
      const { name } = authUserAddRequest.decode(body);
      return name === '' || state.users.has(name) ? undefined : withUser(state, name, new Set());
    },
  ],
  [
    EntryKind.userDelete,
    (state, body) => {
      const { name } = authUserDeleteRequest.decode(body);
      if (!state.users.has(name) || (state.enabled && name === 'root')) return undefined;
      return withUser(state, name, undefined);
    },
  ],
  [
    EntryKind.userChangePassword,
    (state, body) => {
      const { name } = authUserChangePasswordRequest.decode(body);
      return state.users.has(name) ? next(state, {}) : undefined;
    },
  ],
  [
    EntryKind.userGrantRole,
    (state, body) => {
      const { user, role } = authUserGrantRoleRequest.decode(body);
      const roles = state.users.get(user);
      const isKnown = role === 'root' || state.roles.has(role);
      if (roles === undefined || !isKnown || roles.has(role)) return undefined;
      return withUser(state, user, new Set([...roles, role]));
    },
  ],
  [
    EntryKind.userRevokeRole,
    (state, body) => {
      const { name, role } = authUserRevokeRoleRequest.decode(body);
      const roles = state.users.get(name);
      if (roles?.has(role) !== true) return undefined;
      if (state.enabled && name === 'root' && role === 'root') return undefined;
      return withUser(state, name, new Set([...roles].filter((one) => one !== role)));
    },
  ],
  [
    EntryKind.roleAdd,
    (state, body) => {
      const { name } = authRoleAddRequest.decode(body);
      return name === '' || state.roles.has(name) ? undefined : withRole(state, name, []);
    },
  ],
  [
    EntryKind.roleDelete,
    (state, body) => {
      const { role } = authRoleDeleteRequest.decode(body);
      if (!state.roles.has(role) || (state.enabled && role === 'root')) return undefined;
      const users = new Map<string, ReadonlySet<string>>();
      for (const [name, roles] of state.users) {
        users.set(name, new Set([...roles].filter((one) => one !== role)));
      }
      return { ...withRole(state, role, undefined), users };
    },
  ],
  [
    EntryKind.roleGrantPermission,
    (state, body) => {
      const { name, perm } = authRoleGrantPermissionRequest.decode(body);
      const grants = state.roles.get(name);
      if (grants === undefined || perm === undefined) return undefined;
      const { key, rangeEnd: end, type } = perm;
      // What ends before it begins is no range; the end of one key and of all keys is said otherwise.
      if (end !== '' && end !== '\0' && end <= key) return undefined;
      const reads = type !== PermissionType.WRITE;
      const writes = type !== PermissionType.READ;
      const others = grants.filter((grant) => grant.key !== key || grant.end !== end);
      return withRole(state, name, [...others, { key, end, reads, writes }]);
    },
  ],
  [
    EntryKind.roleRevokePermission,
    (state, body) => {
      const { role, key, rangeEnd: end } = authRoleRevokePermissionRequest.decode(body);
      const grants = state.roles.get(role);
      if (grants === undefined) return undefined;
      const left = grants.filter((grant) => grant.key !== key || grant.end !== end);
      return left.length === grants.length ? undefined : withRole(state, role, left);
    },
  ],
]);
