/**
 * Who may attach keys to a lease, renew it and revoke it, while auth is on: whoever may write every
 * key that is attached to it, for its end deletes them (C-4). To be shown the keys he must be able
 * to read them.
 *
 * A lease may have a million keys, and each put that names it asks. So a verdict on a lease with
 * many keys is kept, and kept true: for each key that is attached later its users are looked at
 * once. What comes out never depends on what was kept, so all members agree.
 */

import {
  assert,
  type Caller,
  type Clock,
  type ErrorReason,
  type KeyString,
  type LeaseId,
  leaseVerdictsMax,
  runSteps,
  Slice,
  type Steps,
} from '../../common/index.js';
import type { MvccPresent } from '../../storage/index.js';
import type { Permissions } from '../access/index.js';

/** Leases with no more keys than these are looked at each time. */
const fewKeysMax = 64;

export interface LeaseKeyRightsOptions {
  readonly permissions: Permissions;
  readonly clock: Clock;
  /** Of the present state; asked anew each time. */
  readonly keys: Pick<MvccPresent, 'keysOf' | 'lease'>;
}

/** `true`: may write all keys of the lease; a key: that one it may not. */
type Verdict = true | KeyString;

export class LeaseKeyRights {
  readonly #o: LeaseKeyRightsOptions;
  /** By lease and user; all of one auth revision. */
  readonly #verdicts = new Map<LeaseId, Map<string, Verdict>>();
  #authRevision = 0;
  /** Keys that have been given a lease. */
  #attachedTotal = 0;
  /** Looks at many keys that clients wait for: those who ask the same share one. */
  readonly #looks = new Map<string, Promise<ErrorReason | undefined>>();

  constructor(options: LeaseKeyRightsOptions) {
    this.#o = options;
  }

  /** Why the caller may not write all keys of the lease; of a lease without keys anybody may. */
  *writeRefusal(caller: Caller, id: LeaseId, slice: Slice): Steps<ErrorReason | undefined> {
    const { permissions } = this.#o;
    if (permissions.isRoot(caller)) return undefined;
    const known = this.#known(caller, id);
    if (known !== 'unknown') return known;
    const { revision } = permissions;
    const attachedBefore = this.#attachedTotal;
    for (const key of this.#o.keys.keysOf(id)) {
      if (!slice.next()) yield slice.rest();
      const refusal = permissions.writeRefusal(caller, key, '');
      if (refusal === undefined) continue;
      if (refusal === 'PERMISSION_DENIED') this.#keep(caller, id, key, revision);
      return refusal;
    }
    // Whoever does not look while an entry is applied may have missed a key.
    if (this.#attachedTotal === attachedBefore) this.#keep(caller, id, true, revision);
    return undefined;
  }

  /** The same for who waits outside of apply: at once where it can be. */
  askWrite(
    caller: Caller,
    id: LeaseId,
  ): ErrorReason | undefined | Promise<ErrorReason | undefined> {
    return this.#ask(`write ${id} ${caller.authRevision} ${caller.name}`, (slice) =>
      this.writeRefusal(caller, id, slice),
    );
  }

  /** Why the caller may not read all of these keys. */
  askRead(
    caller: Caller,
    keys: readonly KeyString[],
  ): ErrorReason | undefined | Promise<ErrorReason | undefined> {
    const slice = new Slice(this.#o.clock);
    return runSteps(this.#readRefusal(caller, keys, slice));
  }

  /** Why the caller may not read the keys of all of these leases. */
  askReadAll(
    caller: Caller,
    ids: () => Iterable<LeaseId>,
  ): ErrorReason | undefined | Promise<ErrorReason | undefined> {
    return this.#ask(`read all ${caller.authRevision} ${caller.name}`, (slice) =>
      this.#readAllRefusal(caller, ids(), slice),
    );
  }

  /** A key has been given the lease; told while an entry is applied. */
  attached(id: LeaseId, key: KeyString): void {
    this.#attachedTotal += 1;
    if (this.#verdicts.size === 0) return;
    // Whose permissions have changed would be looked through here, in one piece.
    this.#forgetOld();
    const verdicts = this.#verdicts.get(id);
    if (verdicts === undefined) return;
    const { permissions } = this.#o;
    for (const [name, verdict] of verdicts) {
      if (verdict !== true) continue;
      const caller = {
        name,
        authRevision: permissions.revision,
        refusal: undefined,
        isMember: false,
      };
      if (permissions.writeRefusal(caller, key, '') !== undefined) verdicts.set(name, key);
    }
  }

  /** Another state takes the place of the present one. */
  restore(): void {
    this.#verdicts.clear();
  }

  /** The lease is gone. */
  forget(id: LeaseId): void {
    this.#verdicts.delete(id);
  }

  #ask(
    what: string,
    look: (slice: Slice) => Steps<ErrorReason | undefined>,
  ): ErrorReason | undefined | Promise<ErrorReason | undefined> {
    const running = this.#looks.get(what);
    if (running !== undefined) return running;
    const found = runSteps(look(new Slice(this.#o.clock)));
    if (!(found instanceof Promise)) return found;
    const shared = found.finally(() => this.#looks.delete(what));
    this.#looks.set(what, shared);
    return shared;
  }

  *#readRefusal(
    caller: Caller,
    keys: Iterable<KeyString>,
    slice: Slice,
  ): Steps<ErrorReason | undefined> {
    const { permissions } = this.#o;
    if (permissions.isRoot(caller)) return undefined;
    for (const key of keys) {
      if (!slice.next()) yield slice.rest();
      const refusal = permissions.readRefusal(caller, key, '');
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  *#readAllRefusal(
    caller: Caller,
    ids: Iterable<LeaseId>,
    slice: Slice,
  ): Steps<ErrorReason | undefined> {
    if (this.#o.permissions.isRoot(caller)) return undefined;
    for (const id of ids) {
      if (!slice.next()) yield slice.rest();
      const refusal = yield* this.#readRefusal(caller, this.#o.keys.keysOf(id), slice);
      if (refusal !== undefined) return refusal;
    }
    return undefined;
  }

  #known(caller: Caller, id: LeaseId): ErrorReason | undefined | 'unknown' {
    const { keys, permissions } = this.#o;
    this.#forgetOld();
    if (caller.authRevision !== permissions.revision) return 'unknown';
    const verdict = this.#verdicts.get(id)?.get(caller.name);
    if (verdict === true) return undefined;
    // Unless that one has left the lease since.
    if (verdict !== undefined && keys.lease(verdict) === id) return 'PERMISSION_DENIED';
    return 'unknown';
  }

  /** `revision`: of the users and roles when the look began. */
  #keep(caller: Caller, id: LeaseId, verdict: Verdict, revision: number): void {
    const { permissions } = this.#o;
    if (permissions.revision !== revision || caller.authRevision !== revision) return;
    if (!hasMany(this.#o.keys.keysOf(id))) return;
    this.#forgetOld();
    let verdicts = this.#verdicts.get(id);
    if (verdicts === undefined) {
      verdicts = new Map();
      this.#verdicts.set(id, verdicts);
    } else if (verdicts.size >= leaseVerdictsMax) {
      for (const oldest of verdicts.keys()) {
        verdicts.delete(oldest);
        break;
      }
    }
    verdicts.set(caller.name, verdict);
    assert(verdicts.size <= leaseVerdictsMax, 'few users share a lease');
  }

  /** A verdict is of the users and roles at that time. */
  #forgetOld(): void {
    const { revision } = this.#o.permissions;
    if (revision === this.#authRevision) return;
    this.#authRevision = revision;
    this.#verdicts.clear();
  }
}

function hasMany(keys: Iterable<KeyString>): boolean {
  let count = 0;
  for (const _key of keys) {
    count += 1;
    if (count > fewKeysMax) return true;
  }
  return false;
}
