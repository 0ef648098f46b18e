/**
 * Clients of the Lock and Election services: few names, leases that end in the middle, calls that
 * are given up, and owners that unlock, resign, or only stop.
 */

import {
  campaignRequest,
  campaignResponse,
  encodeLeaseGrantRequest,
  encodeLeaseRevokeRequest,
  lockRequest,
  lockResponse,
  resignRequest,
  unlockRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import type { Grant } from '../checkers/lock-checker.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { type ClientWorld, callWithin, judgeError } from './kv-client.js';

/** Locks and elections share the layout, so they share the names as well. */
const names = ['lock/a', 'lock/b', 'lock/c'];
/** Of all their keys. */
export const lockPrefix = 'lock/';
/** Above those of all other clients. */
const firstLease = 1n << 33n;

export class LockClient {
  readonly grants: Grant[] = [];
  readonly #world: ClientWorld;
  readonly #number: number;
  readonly #random: SimRandom;
  #leases = 0n;

  constructor(world: ClientWorld, number: number, random: SimRandom) {
    this.#world = world;
    this.#number = number;
    this.#random = random;
  }

  async run(): Promise<void> {
    const world = this.#world;
    while (!world.stopping) {
      await world.sleep(4 * world.knobs.thinkMs * this.#random.float());
      if (world.stopping) return;
      await this.#session();
    }
  }

  /** A lease, and a few calls with it. */
  async #session(): Promise<void> {
    const random = this.#random;
    this.#leases += 1n;
    const id = firstLease * BigInt(this.#number + 1) + this.#leases;
    // Now and then a lease that the server makes: where nobody unlocks it lives for the whole run.
    const lease = random.chance(0.03) ? 0n : id;
    if (lease !== 0n) {
      const ttlSeconds = random.pick([1, 1, 2]);
      const granted = await this.#ask(
        'etcdserverpb.Lease/LeaseGrant',
        encodeLeaseGrantRequest({ id, ttlSeconds }),
      );
      if (granted?.ok !== true) return;
    }
    for (let calls = 1 + random.below(4); calls > 0 && !this.#world.stopping; calls -= 1) {
      const name = random.pick(names);
      if (random.chance(0.6)) await this.#lock(name, lease);
      else await this.#campaign(name, lease);
    }
    if (lease === 0n || random.chance(0.5)) return;
    await this.#ask('etcdserverpb.Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id }));
  }

  async #lock(name: string, lease: bigint): Promise<void> {
    const outcome = await this.#ask('v3lockpb.Lock/Lock', lockRequest.encode({ name, lease }));
    if (outcome?.ok !== true) return;
    const { header, key } = lockResponse.decode(outcome.message);
    this.#granted({ kind: 'lock', name, key, create: undefined }, header?.revision ?? 0);
    await this.#hold();
    if (this.#random.chance(0.8)) {
      await this.#ask('v3lockpb.Lock/Unlock', unlockRequest.encode({ key }));
    }
  }

  async #campaign(name: string, lease: bigint): Promise<void> {
    const value = Buffer.from(this.#world.workload.value());
    const request = campaignRequest.encode({ name, lease, value });
    const outcome = await this.#ask('v3electionpb.Election/Campaign', request);
    if (outcome?.ok !== true) return;
    const { header, leader } = campaignResponse.decode(outcome.message);
    if (leader === undefined) throw new Error('elected without a key');
    const { key, rev: create } = leader;
    this.#granted({ kind: 'campaign', name, key, create }, header?.revision ?? 0);
    await this.#hold();
    if (this.#random.chance(0.8)) {
      await this.#ask('v3electionpb.Election/Resign', resignRequest.encode({ leader }));
    }
  }

  #granted(grant: Pick<Grant, 'kind' | 'name' | 'key' | 'create'>, revision: number): void {
    const world = this.#world;
    const who = `locker ${this.#number}`;
    world.trace.add(`${who} owns ${grant.key} @${revision}`);
    this.grants.push({ ...grant, revision, who, returnMs: world.nowMs() });
  }

  #hold(): Promise<void> {
    return this.#world.sleep(0.5 * this.#world.knobs.electionMs * this.#random.float());
  }

  /** Of a random member; most give up some time, and half of them say so. */
  async #ask(method: string, bytes: Buffer): Promise<Outcome | undefined> {
    const world = this.#world;
    const process = world.anyServing(this.#random);
    if (process === undefined) return undefined;
    const timeoutMs = world.knobs.electionMs * this.#random.pick([1, 5, 20]);
    const cancels = this.#random.chance(0.7);
    const outcome = await callWithin(world, process, `/${method}`, bytes, timeoutMs, cancels);
    const text = outcome?.ok === false ? outcome.text : `${outcome?.ok}`;
    world.trace.add(`locker ${this.#number} at ${process.name}: ${method} ${text}`);
    judgeError(world, outcome, () => `${method} of locker ${this.#number}`);
    return outcome;
  }
}
