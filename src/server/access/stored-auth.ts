/** Users, roles and permissions as they are read from the store, in steps: there may be very many. */

import { assert, present, ShardedMap, type Slice, type Steps } from '../../common/index.js';
import type { StoredMeta } from '../../storage/index.js';
import * as records from './records.js';
import { comparePermissions, type Permission, type UserRecord } from './records.js';

/** A user; `roles` sorted. */
export interface User extends UserRecord {
  hash: UserRecord['hash'];
  readonly roles: string[];
}

/** All that is stored of users and roles. */
export interface StoredAuth {
  readonly isEnabled: boolean;
  readonly revision: number;
  readonly users: ShardedMap<string, User>;
  /** Permissions of each role, by key and end. */
  readonly roles: ShardedMap<string, Permission[]>;
  /** Sorted. */
  readonly userNames: string[];
  readonly roleNames: string[];
  /** See AuthState. */
  readonly sum: number;
}

/** Throws StorageError. */
export function* readStoredAuth(stored: StoredMeta, slice: Slice): Steps<StoredAuth> {
  const [enabled] = stored.metaEntries(records.enabledName);
  const [revision] = stored.metaEntries(records.authRevisionName);
  const users = new ShardedMap<string, User>();
  const roles = new ShardedMap<string, Permission[]>();
  const userNames: string[] = [];
  const roleNames: string[] = [];
  // In the order of the names: each one is the last.
  const take: Record<string, (name: string, value: Uint8Array) => void> = {
    [records.userPrefix](name: string, value: Uint8Array) {
      const user = records.decodeUser(name, value);
      users.set(user.name, { ...user, roles: [] });
      userNames.push(user.name);
    },
    [records.userRolePrefix](name: string) {
      const [user, role] = records.decodeUserRole(name);
      present(users.get(user), 'the user of a grant').roles.push(role);
    },
    [records.rolePrefix](name: string) {
      const role = records.decodeRole(name);
      roles.set(role, []);
      roleNames.push(role);
    },
    [records.permissionPrefix](name: string, value: Uint8Array) {
      const [role, permission] = records.decodePermission(name, value);
      const permissions = present(roles.get(role), 'the role of a permission');
      const last = permissions.at(-1);
      const isNext = last === undefined || comparePermissions(last, permission) < 0;
      assert(isNext, 'permissions are stored in their order');
      permissions.push(permission);
    },
  };
  let sum = 0;
  for (const prefix of records.summedPrefixes) {
    for (const [name, value] of stored.metaEntries(prefix)) {
      if (!slice.next()) yield slice.rest();
      take[prefix]?.(name, value);
      sum = (sum + records.sumOf(name, value)) >>> 0;
    }
  }
  return {
    isEnabled: enabled !== undefined,
    revision: revision === undefined ? 1 : records.decodeAuthRevision(revision[1]),
    ...{ users, roles, userNames, roleNames, sum },
  };
}
