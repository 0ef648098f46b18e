/**
 * Users, roles and their permissions, and whether all this is asked at all: replicated state, equal
 * on all members at the same place in the log. Changes come from applied entries only; each method
 * that takes a transaction checks everything before it changes anything, and throws the EtcdError
 * of what can't be done (etcd server/auth/store.go, facts only).
 */

import {
  authNameBytesMax,
  type Clock,
  EtcdError,
  type KeyString,
  type Lane,
  present,
  ShardedMap,
  type Slice,
  type Steps,
} from '../../common/index.js';
import { PermissionType } from '../../proto/index.js';
import type { MvccWriteTxn, StoredMeta } from '../../storage/index.js';
import { hasName, insertName, removeName } from './names.js';
import { PermissionCache } from './permission-cache.js';
import * as records from './records.js';
import {
  comparePermissions,
  type Permission,
  type PermittedRange,
  type UserRecord,
} from './records.js';
import { readStoredAuth, type StoredAuth, type User } from './stored-auth.js';

/** What changes are written with. */
export type AuthTxn = Pick<MvccWriteTxn, 'setMeta'>;

/** A user; `roles` sorted. */
export interface AuthUser extends UserRecord {
  readonly roles: readonly string[];
}

/** Has every right while auth is on, and can't be deleted or lose its role then. */
export const rootUser = 'root';
/** Whoever has it may do everything; it can be granted without having been made. */
export const rootRole = 'root';

const rootPermissions: readonly Permission[] = [
  { type: PermissionType.READWRITE, key: '', rangeEnd: '\0' },
];

/** Told of what ends tokens. */
export interface AuthListener {
  /** Deleted, or its password has changed. */
  userChanged(name: string): void;
  /** Auth was switched off, or nobody knows what has changed: a snapshot was installed. */
  reset(): void;
}

export class AuthState {
  #users = new ShardedMap<string, User>();
  /** Permissions of each role, by key and end. */
  #roles = new ShardedMap<string, Permission[]>();
  /** Sorted. */
  #userNames: string[] = [];
  #roleNames: string[] = [];
  #isEnabled = false;
  #revision = 1;
  #sum = 0;
  /** In steps: the revision is that of the end, the records are not yet. */
  #isRemoving = false;
  readonly #cache: PermissionCache;
  readonly #listeners: AuthListener[] = [];

  constructor(clock: Clock) {
    this.#cache = new PermissionCache(clock, (name) => this.#permissionsOf(name));
  }

  listen(listener: AuthListener): void {
    this.#listeners.push(listener);
  }

  /**
   * Reads what is stored; what it returns puts that in the place of what was known, at once. Throws
   * StorageError.
   */
  *restore(stored: StoredMeta, slice: Slice): Steps<() => void> {
    const read = yield* readStoredAuth(stored, slice);
    return () => this.#take(read);
  }

  #take(stored: StoredAuth): void {
    this.#users = stored.users;
    this.#roles = stored.roles;
    this.#userNames = stored.userNames;
    this.#roleNames = stored.roleNames;
    this.#isEnabled = stored.isEnabled;
    this.#revision = stored.revision;
    this.#sum = stored.sum;
    this.#isRemoving = false;
    this.#cache.forget();
    for (const listener of this.#listeners) listener.reset();
  }

  // ------------------------------------------------------------------------------- what there is

  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  /** See Permissions. */
  get revision(): number {
    return this.#revision;
  }

  /**
   * Of all records of users and roles, in 32 bits: equal on all members at the same revision. Kept
   * up as they change. Whether auth is on is not in it: that has no revision of its own. Undefined
   * while something is being removed.
   */
  get sum(): number | undefined {
    return this.#isRemoving ? undefined : this.#sum;
  }

  /** Undefined: there is no such user. */
  user(name: string): AuthUser | undefined {
    return this.#users.get(name);
  }

  /** By key; undefined: there is no such role. */
  permissions(role: string): readonly Permission[] | undefined {
    return this.#roles.get(role);
  }

  /** The same as RoleGet tells it: the role root has all that there is. */
  shownPermissions(role: string): readonly Permission[] | undefined {
    return role === rootRole && this.#roles.has(role) ? rootPermissions : this.#roles.get(role);
  }

  /** Sorted; changes with the next change of users. */
  get userNames(): readonly string[] {
    return this.#userNames;
  }

  /** Sorted; changes with the next change of roles. */
  get roleNames(): readonly string[] {
    return this.#roleNames;
  }

  isRoot(user: AuthUser): boolean {
    return hasName(user.roles, rootRole);
  }

  /** Whether a user that there is may read, or write, all keys of a range (as in requests). */
  mayRead(user: AuthUser, key: KeyString, rangeEnd: KeyString): boolean {
    return this.#cache.of(user.name).read.covers(key, rangeEnd);
  }

  mayWrite(user: AuthUser, key: KeyString, rangeEnd: KeyString): boolean {
    return this.#cache.of(user.name).write.covers(key, rangeEnd);
  }

  /** Makes {@link mayRead} and mayWrite quick; see PermissionCache. */
  prepare(name: string, lane: Lane): Promise<void> | undefined {
    const user = this.#users.get(name);
    if (user === undefined || this.isRoot(user)) return undefined;
    return this.#cache.prepare(name, lane);
  }

  // ------------------------------------------------------------------------------------ switches

  /** False: it is on already, and nothing has changed. */
  enable(txn: AuthTxn): boolean {
    if (this.#isEnabled) return false;
    const root = this.#users.get(rootUser);
    if (root === undefined) throw new EtcdError('ROOT_USER_NOT_EXIST');
    if (!this.isRoot(root)) throw new EtcdError('ROOT_ROLE_NOT_EXIST');
    this.#isEnabled = true;
    txn.setMeta(records.enabledName, records.isThere);
    // As in etcd: the revision stays.
    this.#cache.forget();
    return true;
  }

  /** False: it is off already, and nothing has changed. */
  disable(txn: AuthTxn): boolean {
    if (!this.#isEnabled) return false;
    this.#isEnabled = false;
    txn.setMeta(records.enabledName, undefined);
    this.#changed(txn);
    for (const listener of this.#listeners) listener.reset();
    return true;
  }

  // --------------------------------------------------------------------------------------- users

  /** The user as it is when it is authenticated. */
  authenticate(name: string): AuthUser {
    if (!this.#isEnabled) throw new EtcdError('AUTH_NOT_ENABLED');
    const user = this.#users.get(name);
    if (user === undefined || user.noPassword) throw new EtcdError('AUTH_FAILED');
    return user;
  }

  /** Throws if there can't be another user of this name. */
  checkAddUser(name: string): void {
    if (name === '') throw new EtcdError('USER_EMPTY');
    checkLength(name);
    if (this.#users.has(name)) throw new EtcdError('USER_EXISTS');
  }

  addUser(txn: AuthTxn, record: UserRecord): void {
    this.checkAddUser(record.name);
    const user = { ...record, roles: [] };
    this.#users.set(user.name, user);
    insertName(this.#userNames, user.name);
    this.#write(txn, records.userName(user.name), records.encodeUser(user), undefined);
    this.#changed(txn);
  }

  /** Throws what {@link removeUser} can't do. */
  checkRemoveUser(name: string): void {
    if (this.#isEnabled && name === rootUser) throw new EtcdError('INVALID_AUTH_MANAGEMENT');
    this.#userOf(name);
  }

  /** In steps: it may have any number of roles. */
  *removeUser(txn: AuthTxn, name: string, slice: Slice): Steps<AuthUser> {
    const user = this.#userOf(name);
    this.#users.delete(name);
    removeName(this.#userNames, name);
    this.#write(txn, records.userName(name), undefined, records.encodeUser(user));
    this.#changed(txn);
    for (const listener of this.#listeners) listener.userChanged(name);
    this.#isRemoving = true;
    for (const role of user.roles) {
      if (!slice.next()) yield slice.rest();
      this.#write(txn, records.userRoleName(name, role), undefined, records.isThere);
    }
    this.#isRemoving = false;
    return user;
  }

  /** The user of this name; throws if there is none. */
  checkUser(name: string): AuthUser {
    return this.#userOf(name);
  }

  /** `hash`: see UserRecord; a user without password keeps none. */
  changePassword(txn: AuthTxn, name: string, hash: KeyString): AuthUser {
    const user = this.#userOf(name);
    const old = records.encodeUser(user);
    user.hash = user.noPassword ? '' : hash;
    this.#write(txn, records.userName(name), records.encodeUser(user), old);
    this.#changed(txn);
    for (const listener of this.#listeners) listener.userChanged(name);
    return user;
  }

  /** False: it has the role already, and nothing has changed. */
  grantRole(txn: AuthTxn, name: string, role: string): boolean {
    const user = this.#userOf(name);
    if (role !== rootRole && !this.#roles.has(role)) throw new EtcdError('ROLE_NOT_FOUND');
    if (!insertName(user.roles, role)) return false;
    this.#write(txn, records.userRoleName(name, role), records.isThere, undefined);
    this.#changed(txn);
    return true;
  }

  revokeRole(txn: AuthTxn, name: string, role: string): void {
    const isRoots = name === rootUser && role === rootRole;
    if (this.#isEnabled && isRoots) throw new EtcdError('INVALID_AUTH_MANAGEMENT');
    const user = this.#userOf(name);
    if (!removeName(user.roles, role)) throw new EtcdError('ROLE_NOT_GRANTED');
    this.#write(txn, records.userRoleName(name, role), undefined, records.isThere);
    this.#changed(txn);
  }

  // --------------------------------------------------------------------------------------- roles

  addRole(txn: AuthTxn, role: string): void {
    if (role === '') throw new EtcdError('ROLE_EMPTY');
    checkLength(role);
    if (this.#roles.has(role)) throw new EtcdError('ROLE_EXISTS');
    this.#roles.set(role, []);
    insertName(this.#roleNames, role);
    this.#write(txn, records.roleName(role), records.isThere, undefined);
    this.#changed(txn);
  }

  /** Throws what {@link removeRole} can't do. */
  checkRemoveRole(role: string): void {
    if (this.#isEnabled && role === rootRole) throw new EtcdError('INVALID_AUTH_MANAGEMENT');
    this.#roleOf(role);
  }

  /** In steps: it may have any number of permissions and of users. */
  *removeRole(txn: AuthTxn, role: string, slice: Slice): Steps<void> {
    const permissions = this.#roleOf(role);
    this.#roles.delete(role);
    removeName(this.#roleNames, role);
    this.#write(txn, records.roleName(role), undefined, records.isThere);
    // At once for all that ask meanwhile: no user has it any more.
    this.#changed(txn);
    this.#isRemoving = true;
    for (const permission of permissions) {
      if (!slice.next()) yield slice.rest();
      this.#writePermission(txn, role, undefined, permission);
    }
    for (const user of this.#users.values()) {
      if (!slice.next()) yield slice.rest();
      if (!removeName(user.roles, role)) continue;
      this.#write(txn, records.userRoleName(user.name, role), undefined, records.isThere);
    }
    this.#isRemoving = false;
    // A user may have been asked for who had it still.
    this.#cache.forget();
  }

  /** One with the same range is replaced. */
  grantPermission(txn: AuthTxn, role: string, permission: Permission | undefined): void {
    if (permission === undefined) throw new EtcdError('PERMISSION_NOT_GIVEN');
    if (!isValidRange(permission)) throw new EtcdError('INVALID_AUTH_MANAGEMENT');
    const permissions = this.#roleOf(role);
    const place = placeOfRange(permissions, permission);
    const old = isAt(permissions, place, permission) ? permissions[place] : undefined;
    permissions.splice(place, old === undefined ? 0 : 1, permission);
    this.#writePermission(txn, role, permission, old);
    this.#changed(txn);
  }

  revokePermission(txn: AuthTxn, role: string, key: KeyString, rangeEnd: KeyString): void {
    const permissions = this.#roleOf(role);
    const range = { key, rangeEnd };
    const place = placeOfRange(permissions, range);
    if (!isAt(permissions, place, range)) throw new EtcdError('PERMISSION_NOT_GRANTED');
    const [old] = permissions.splice(place, 1);
    this.#writePermission(txn, role, undefined, old);
    this.#changed(txn);
  }

  // ------------------------------------------------------------------------------------- private

  /** What callers were told before is old; what was known of their permissions is too. */
  #changed(txn: AuthTxn): void {
    this.#revision += 1;
    txn.setMeta(records.authRevisionName, records.encodeAuthRevision(this.#revision));
    this.#cache.forget();
  }

  #write(txn: AuthTxn, name: string, value: Buffer | undefined, old: Buffer | undefined): void {
    txn.setMeta(name, value);
    this.#sum = (this.#sum + records.sumOf(name, value) - records.sumOf(name, old)) >>> 0;
  }

  /** `permission` takes the place of `old`, on the same range. */
  #writePermission(
    txn: AuthTxn,
    role: string,
    permission: Permission | undefined,
    old: Permission | undefined,
  ): void {
    const { key, rangeEnd } = present(permission ?? old, 'a permission');
    const name = records.permissionName(role, key, rangeEnd);
    const encode = (one: Permission | undefined) => one && records.encodePermission(one);
    this.#write(txn, name, encode(permission), encode(old));
  }

  #userOf(name: string): User {
    const user = this.#users.get(name);
    if (user === undefined) throw new EtcdError('USER_NOT_FOUND');
    return user;
  }

  #roleOf(role: string): Permission[] {
    const permissions = this.#roles.get(role);
    if (permissions === undefined) throw new EtcdError('ROLE_NOT_FOUND');
    return permissions;
  }

  #permissionsOf(name: string): Permission[][] {
    const { roles } = this.#userOf(name);
    return roles.flatMap((role) => {
      const permissions = this.#roles.get(role);
      return permissions === undefined || permissions.length === 0 ? [] : [permissions];
    });
  }
}

/** A key, a range that is not empty, or all from a key on. */
function isValidRange({ key, rangeEnd }: PermittedRange): boolean {
  return key !== '' && (rangeEnd === '' || rangeEnd === '\0' || key < rangeEnd);
}

/** The number of permissions before it. */
function placeOfRange(permissions: readonly Permission[], range: PermittedRange): number {
  let low = 0;
  let high = permissions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (comparePermissions(permissions[middle] as Permission, range) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isAt(permissions: readonly Permission[], place: number, range: PermittedRange): boolean {
  const found = permissions[place];
  return found !== undefined && comparePermissions(found, range) === 0;
}

function checkLength(name: string): void {
  if (Buffer.byteLength(name) > authNameBytesMax) throw new EtcdError('REQUEST_TOO_LARGE');
}
