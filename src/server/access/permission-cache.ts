/**
 * What users may read and write, joined over all their roles (coverage.ts). Made when somebody asks
 * for the first time, and thrown away, all of it, at each change of users, roles or permissions:
 * what is older than the newest change must never be asked.
 *
 * Whoever has very many permissions is prepared for in slices, before anybody asks.
 */

import {
  type Clock,
  grantsAtOnceMax,
  type KeyString,
  type Lane,
  runSteps,
  ShardedMap,
  Slice,
  type Steps,
} from '../../common/index.js';
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
  readonly #clock: Clock;
  readonly #byUser = new ShardedMap<string, Grants>();
  /** Under way, by lane and user. */
  readonly #preparing = new Map<string, Promise<void>>();
  /** How often all was thrown away. */
  #age = 0;

  constructor(clock: Clock, permissionsOf: PermissionsOf) {
    this.#clock = clock;
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

  /**
   * Undefined: `of` takes no time. Else resolves once that is so, or users and roles have changed
   * meanwhile.
   */
  prepare(user: string, lane: Lane): Promise<void> | undefined {
    if (this.#byUser.has(user)) return undefined;
    const name = `${lane} ${user}`;
    const running = this.#preparing.get(name);
    if (running !== undefined) return running;
    const lists = this.#permissionsOf(user);
    if (countOf(lists) <= grantsAtOnceMax) {
      this.of(user);
      return undefined;
    }
    const done = runSteps(this.#make(user, lists, new Slice(this.#clock, lane)));
    if (!(done instanceof Promise)) return undefined;
    const ended = done.finally(() => this.#preparing.delete(name));
    this.#preparing.set(name, ended);
    return ended;
  }

  /** Users, roles or permissions have changed. */
  forget(): void {
    this.#age += 1;
    this.#byUser.clear();
  }

  *#make(user: string, lists: ReturnType<PermissionsOf>, slice: Slice): Steps<void> {
    const age = this.#age;
    let rows = lists;
    const grants = { read: new Coverage(), write: new Coverage() };
    // Two and two together, until one is left: all of them by key.
    while (rows.length > 1) {
      const merged: Array<readonly Permission[]> = [];
      for (let i = 0; i < rows.length; i += 2) {
        const merge = mergeOf(rows[i] ?? [], rows[i + 1] ?? []);
        while (!merge.run(slice)) {
          yield slice.rest();
          // The lists may be others now.
          if (age !== this.#age) return;
        }
        merged.push(merge.result);
      }
      rows = merged;
    }
    for (const permission of rows[0] ?? []) {
      add(grants, permission);
      if (slice.next()) continue;
      yield slice.rest();
      if (age !== this.#age) return;
    }
    this.#byUser.set(user, grants);
  }
}

function joined(lists: ReadonlyArray<readonly Permission[]>): Grants {
  const [only = []] = lists;
  const sorted = lists.length <= 1 ? only : lists.flat().sort(byKey);
  const grants = { read: new Coverage(), write: new Coverage() };
  for (const permission of sorted) add(grants, permission);
  return grants;
}

function add({ read, write }: Grants, permission: Permission): void {
  const { READ, READWRITE, WRITE } = PermissionType;
  if (permission.type === READ || permission.type === READWRITE) read.add(permission);
  if (permission.type === WRITE || permission.type === READWRITE) write.add(permission);
}

/** Two sorted lists on their way to one. */
function mergeOf(a: readonly Permission[], b: readonly Permission[]) {
  const result: Permission[] = [];
  let i = 0;
  let j = 0;
  return {
    result,
    /** Goes on until the slice is spent; true: all is merged. */
    run(slice: Slice): boolean {
      for (;;) {
        const x = a[i];
        const y = b[j];
        if (x !== undefined && (y === undefined || x.key <= y.key)) {
          result.push(x);
          i += 1;
        } else if (y !== undefined) {
          result.push(y);
          j += 1;
        } else return true;
        if (!slice.next()) return false;
      }
    },
  };
}

function countOf(lists: ReadonlyArray<readonly Permission[]>): number {
  return lists.reduce((count, list) => count + list.length, 0);
}

function byKey(a: { readonly key: KeyString }, b: { readonly key: KeyString }): number {
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
