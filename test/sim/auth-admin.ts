/**
 * Who switches auth on, and changes what guests may do for as long as the run goes on. What came of
 * his calls he need not know: the log tells it to the checkers.
 */

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
  PermissionType,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { Credentials } from './credentials.js';
import { type ClientWorld, callWithin, judgeError } from './kv-client.js';

/** Roles that guests are given and lose; what they allow changes. */
const guestRoles = ['r0', 'r1', 'r2'];

/** A range of keys, as in a request. */
export interface KeySpan {
  readonly key: string;
  readonly end: string;
}

/** Anything between one key of the clients and all there is. */
export function drawSpan(random: SimRandom, keys: number): KeySpan {
  const at = random.below(keys);
  const key = `k${at}`;
  const dice = random.below(10);
  if (dice < 4) return { key, end: '' };
  if (dice < 8) return { key, end: `k${at + 1 + random.below(keys)}` };
  return dice < 9 ? { key, end: '\0' } : { key: 'k', end: 'l' };
}

export class AuthAdmin {
  readonly root = new Credentials('root', 'the password of root', 'root');
  /** All clients that are to be let do what they want. */
  readonly worker = new Credentials('worker', 'the password of worker');
  readonly guests = [
    new Credentials('guest0', 'first password'),
    new Credentials('guest1', 'first password'),
  ];
  /** Changes that were answered with success. */
  changes = 0;
  readonly #world: ClientWorld;
  readonly #random: SimRandom;
  #passwords = 0;

  constructor(world: ClientWorld, random: SimRandom) {
    this.#world = world;
    this.#random = random;
  }

  async run(): Promise<void> {
    await this.#setUp();
    const { knobs } = this.#world;
    while (!this.#world.stopping) {
      await this.#world.sleep(6 * knobs.thinkMs * this.#random.float());
      if (this.#world.stopping) return;
      if (await this.#change()) this.changes += 1;
    }
  }

  async #setUp(): Promise<void> {
    for (const { name, password } of [this.root, this.worker, ...this.guests]) {
      await this.#insist('UserAdd', authUserAddRequest.encode({ name, password }));
    }
    for (const name of ['root', 'all', ...guestRoles]) {
      await this.#insist('RoleAdd', authRoleAddRequest.encode({ name }));
    }
    const everything = { key: '\0', rangeEnd: '\0', type: PermissionType.READWRITE };
    const all = authRoleGrantPermissionRequest.encode({ name: 'all', perm: everything });
    await this.#insist('RoleGrantPermission', all);
    for (const [user, role] of [
      ['root', 'root'],
      ['worker', 'all'],
      ['guest0', 'r0'],
      ['guest1', 'r1'],
    ] as const) {
      await this.#insist('UserGrantRole', authUserGrantRoleRequest.encode({ user, role }));
    }
    await this.#insist('AuthEnable', authEnableRequest.encode({}));
  }

  /** Until it is done, whether by this call or by one before it that nobody answered. */
  async #insist(name: string, bytes: Buffer): Promise<void> {
    while (!this.#world.stopping) {
      if (await this.#ask(name, bytes)) return;
      await this.#world.sleep(this.#world.knobs.electionMs * this.#random.float());
    }
  }

  async #ask(name: string, bytes: Buffer): Promise<boolean> {
    const world = this.#world;
    const process = world.anyServing(this.#random);
    if (process === undefined) return false;
    const path = `/etcdserverpb.Auth/${name}`;
    const outcome = await callWithin(world, process, path, bytes, world.knobs.electionMs * 5);
    world.trace.add(`admin ${name} at ${process.name}: ${outcome?.ok ?? 'no answer'}`);
    judgeError(world, outcome, () => name);
    if (outcome === undefined) return false;
    return outcome.ok || outcome.text.includes('already exists');
  }

  /** One change; false: it was not done, or nobody knows. */
  #change(): Promise<boolean> {
    const random = this.#random;
    const guest = random.pick(this.guests);
    const role = random.pick(guestRoles);
    const { name } = guest;
    const dice = random.below(20);
    if (dice < 7) {
      const { key, end: rangeEnd } = drawSpan(random, this.#world.knobs.keys);
      const type = random.pick(Object.values(PermissionType));
      const perm = { key, rangeEnd, type };
      const grant = authRoleGrantPermissionRequest.encode({ name: role, perm });
      return this.#ask('RoleGrantPermission', grant);
    }
    if (dice < 11) {
      const { key, end: rangeEnd } = drawSpan(random, this.#world.knobs.keys);
      const revoke = authRoleRevokePermissionRequest.encode({ role, key, rangeEnd });
      return this.#ask('RoleRevokePermission', revoke);
    }
    if (dice < 14) {
      return this.#ask('UserGrantRole', authUserGrantRoleRequest.encode({ user: name, role }));
    }
    if (dice < 16) {
      return this.#ask('UserRevokeRole', authUserRevokeRoleRequest.encode({ name, role }));
    }
    if (dice === 16) return this.#replace(guest);
    if (dice === 17) return this.#renew(role);
    if (dice === 18) return this.#changePassword(guest);
    return this.#pause();
  }

  /** The user is another one from now on, without roles. */
  async #replace({ name, password }: Credentials): Promise<boolean> {
    await this.#ask('UserDelete', authUserDeleteRequest.encode({ name }));
    await this.#insist('UserAdd', authUserAddRequest.encode({ name, password }));
    return this.#ask('UserGrantRole', authUserGrantRoleRequest.encode({ user: name, role: 'r0' }));
  }

  async #renew(role: string): Promise<boolean> {
    await this.#ask('RoleDelete', authRoleDeleteRequest.encode({ role }));
    await this.#insist('RoleAdd', authRoleAddRequest.encode({ name: role }));
    return true;
  }

  async #changePassword(guest: Credentials): Promise<boolean> {
    this.#passwords += 1;
    const { name } = guest;
    const password = `password ${this.#passwords}`;
    const change = authUserChangePasswordRequest.encode({ name, password });
    await this.#insist('UserChangePassword', change);
    guest.password = password;
    return true;
  }

  /** Auth is off for a moment. */
  async #pause(): Promise<boolean> {
    await this.#ask('AuthDisable', authDisableRequest.encode({}));
    await this.#world.sleep(this.#world.knobs.electionMs * this.#random.float());
    await this.#insist('AuthEnable', authEnableRequest.encode({}));
    return true;
  }
}
