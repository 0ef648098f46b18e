/**
 * What users may read and write, joined over all their roles (coverage.ts). Made when somebody asks
 * for the first time, and thrown away, all of it, at each change of users, roles or permissions:
 * what is older than the newest change must never be asked.
 */

import type { KeyString } from '../../common/index.js';
import { PermissionType } from '../../proto/index.js';
import { Coverage } from './coverage.js';
import type { Permission } from './records.js';

/** A user's permissions, joined. */
export interface Grants {
  readonly read: Coverage;
  readonly write: Coverage;
}

/** The permissions of the roles of a user, each role's sorted by key. */
export type PermissionsOf = (user: string) => ReadonlyArray<readonly Permission[]>;

export class PermissionCache {
  readonly #permissionsOf: PermissionsOf;
  readonly #byUser = new Map<string, Grants>();

  constructor(permissionsOf: PermissionsOf) {
    this.#permissionsOf = permissionsOf;
  }

  /** Of a user that there is. */
  of(user: string): Grants {
    let grants = this.#byUser.get(user);
    if (grants === undefined) {
      grants = joined(this.#permissionsOf(user));
      this.#byUser.set(user, grants);
    }
    return grants;
  }

  /** Users, roles or permissions have changed. */
  forget(): void {
    this.#byUser.clear();
  }
}

function joined(lists: ReadonlyArray<readonly Permission[]>): Grants {
  const [only = []] = lists;
  const sorted = lists.length <= 1 ? only : lists.flat().sort(byKey);
  const read = new Coverage();
  const write = new Coverage();
  for (const permission of sorted) {
    const { READ, READWRITE, WRITE } = PermissionType;
    if (permission.type === READ || permission.type === READWRITE) read.add(permission);
    if (permission.type === WRITE || permission.type === READWRITE) write.add(permission);
  }
  return { read, write };
}

function byKey(a: { readonly key: KeyString }, b: { readonly key: KeyString }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
