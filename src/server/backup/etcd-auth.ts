/**
 * Users and roles between our records (access/records.ts) and the buckets auth, authUsers and
 * authRoles of an etcd snapshot (etcd server/storage/schema, facts only). Passwords go along as
 * their hashes, which both sides read.
 */

import { authNameBytesMax } from '../../common/index.js';
import { authRole, authUser, PermissionType, ProtoError } from '../../proto/index.js';
import type { ImageEntry } from '../../storage/index.js';
import { authRecords, compareNames, type Permission, type UserRecord } from '../access/index.js';

/** Of bucket auth. */
export const enabledKey = 'authEnabled';
export const revisionKey = 'authRevision';

// ------------------------------------------------------------------------------------ to etcd

/** Gathers the records of a store in their order, and makes the buckets of them. */
export class AuthBuckets {
  #isEnabled = false;
  #revision = authRecords.encodeAuthRevision(1);
  readonly #users = new Map<string, UserRecord & { readonly roles: string[] }>();
  /** What a role is in etcd, in parts: permissions one after the other. */
  readonly #roles = new Map<string, Buffer[]>();
  /** Records come by name: those of a user's roles may be before the user. */
  readonly #grants: Array<readonly [string, string]> = [];

  /** False: the record is not about users and roles. */
  take(name: string, value: Buffer): boolean {
    if (!name.startsWith(authRecords.authMetaPrefix)) return false;
    if (name === authRecords.enabledName) this.#isEnabled = true;
    else if (name === authRecords.authRevisionName) this.#revision = Buffer.from(value);
    else if (name.startsWith(authRecords.userPrefix)) {
      const user = authRecords.decodeUser(name, value);
      this.#users.set(user.name, { ...user, roles: [] });
    } else if (name.startsWith(authRecords.userRolePrefix)) {
      this.#grants.push(authRecords.decodeUserRole(name));
    } else if (name.startsWith(authRecords.rolePrefix)) this.#role(authRecords.decodeRole(name));
    else if (name.startsWith(authRecords.permissionPrefix)) {
      const [role, permission] = authRecords.decodePermission(name, value);
      this.#role(role).push(authRole.encode({ permissions: [permission] }));
    }
    return true;
  }

  /** Each bucket, its entries in the order of their keys. */
  entries(): Readonly<Record<'auth' | 'authRoles' | 'authUsers', readonly ImageEntry[]>> {
    for (const [user, role] of this.#grants) this.#users.get(user)?.roles.push(role);
    const users = [...this.#users.values()].sort((a, b) => compareNames(a.name, b.name));
    const roles = [...this.#roles].sort(([a], [b]) => compareNames(a, b));
    return {
      auth: [
        [Buffer.from(enabledKey), Buffer.from([this.#isEnabled ? 1 : 0])],
        [Buffer.from(revisionKey), this.#revision],
      ],
      authRoles: roles.map(([name, parts]) => [Buffer.from(name), Buffer.concat(parts)]),
      authUsers: users.map((user) => [
        Buffer.from(user.name),
        authRecords.encodeUser(user, user.roles),
      ]),
    };
  }

  #role(name: string): Buffer[] {
    let parts = this.#roles.get(name);
    if (parts === undefined) {
      parts = [authRole.encode({ name: Buffer.from(name) })];
      this.#roles.set(name, parts);
    }
    return parts;
  }
}

// ---------------------------------------------------------------------------------- from etcd

/** A record of ours. */
export type AuthRecord = readonly [name: string, value: Buffer];

/** The records of a user in bucket authUsers; undefined: it is not what it should be. */
export function recordsOfUser(key: Buffer, value: Buffer): AuthRecord[] | undefined {
  return unlessDamaged(() => {
    const { name: nameBytes, options, password, roles } = authUser.decode(value);
    if (!isName(key, nameBytes)) return undefined;
    const name = nameBytes.toString();
    const noPassword = options?.noPassword ?? false;
    const user = { name, hash: password.toString('latin1'), noPassword };
    return [
      [authRecords.userName(name), authRecords.encodeUser(user)],
      ...[...new Set(roles)].map(
        (role): AuthRecord => [authRecords.userRoleName(name, role), authRecords.isThere],
      ),
    ];
  });
}

/** The records of a role in bucket authRoles. */
export function recordsOfRole(key: Buffer, value: Buffer): AuthRecord[] | undefined {
  return unlessDamaged(() => {
    const { name: nameBytes, permissions } = authRole.decode(value);
    if (!isName(key, nameBytes)) return undefined;
    const name = nameBytes.toString();
    const byRange = new Map<string, Permission>();
    for (const one of permissions) {
      const record = authRecords.permissionName(name, one.key, one.rangeEnd);
      byRange.set(record, both(byRange.get(record), one));
    }
    return [
      [authRecords.roleName(name), authRecords.isThere],
      ...[...byRange].map(
        ([record, permission]): AuthRecord => [record, authRecords.encodePermission(permission)],
      ),
    ];
  });
}

/** The records of an entry of bucket auth. */
export function recordsOfAuth(key: Buffer, value: Buffer): AuthRecord[] | undefined {
  switch (key.toString('latin1')) {
    case enabledKey:
      if (value.length !== 1) return undefined;
      return value[0] === 1 ? [[authRecords.enabledName, authRecords.isThere]] : [];
    case revisionKey:
      return isRevision(value) ? [[authRecords.authRevisionName, Buffer.from(value)]] : undefined;
    default:
      return [];
  }
}

/** etcd may have a range twice, with different types: the user then has both. */
function both(a: Permission | undefined, b: Permission): Permission {
  if (a === undefined || a.type === b.type) return b;
  return { ...b, type: PermissionType.READWRITE };
}

function isRevision(value: Buffer): boolean {
  if (value.length !== 8) return false;
  const revision = value.readBigUInt64BE();
  return revision >= 1n && revision <= BigInt(Number.MAX_SAFE_INTEGER);
}

function isName(key: Buffer, name: Buffer): boolean {
  return name.length > 0 && name.length <= authNameBytesMax && name.equals(key);
}

function unlessDamaged<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtoError) return undefined;
    throw error;
  }
}
