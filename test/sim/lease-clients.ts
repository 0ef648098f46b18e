/** Clients with leases: they grant one, put keys on it, keep it alive for a while, and stop. */

import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { deleteRequest, putRequest } from '../checkers/history.js';
import type { LeaseRecord } from '../checkers/lease-checker.js';
import { SimStream } from './calls.js';
import { type Client, type ClientWorld, callWithin, type Workload } from './clients.js';

/** A lease, and whether a client asked to end it. */
export interface HeldLease extends LeaseRecord {
  askedToEnd: boolean;
}

export class LeaseHolder {
  readonly leases: HeldLease[] = [];
  readonly #world: ClientWorld;
  readonly #client: Client;
  readonly #shared: Workload;
  readonly #number: number;
  readonly #random: SimRandom;
  #count = 0;

  constructor(
    world: ClientWorld,
    client: Client,
    shared: Workload,
    number: number,
    random: SimRandom,
  ) {
    this.#world = world;
    this.#client = client;
    this.#shared = shared;
    this.#number = number;
    this.#random = random;
  }

  async run(): Promise<void> {
    const { knobs } = this.#world;
    while (!this.#world.stopping) {
      await this.#world.sleep(knobs.electionMs * this.#random.float());
      if (this.#world.stopping) return;
      await this.#hold();
    }
  }

  async #hold(): Promise<void> {
    const random = this.#random;
    this.#count += 1;
    const id = BigInt(this.#number) * 1000n + BigInt(this.#count);
    const lease: HeldLease = {
      id,
      renewals: [],
      goneCallsMs: [],
      end: undefined,
      askedToEnd: false,
    };
    this.leases.push(lease);
    if (!(await this.#grant(lease))) return;
    const keys = Array.from(
      { length: 1 + random.below(2) },
      (_, i) => `lease/${this.#number}/${i}`,
    );
    for (const key of keys) await this.#client.call(putRequest(key, this.#shared.value(), id));
    const ttlMs = (lease.renewals[0]?.ttlSeconds ?? 1) * 1000;
    const renewals = random.below(6);
    for (let i = 0; i < renewals && !this.#world.stopping; i += 1) {
      await this.#world.sleep(ttlMs * random.pick([0.1, 0.3, 0.3, 0.9, 1.1]));
      await this.#keepAlive(lease);
      // A key may leave its lease by a put without one, or a delete.
      const dice = random.below(10);
      if (dice === 0) await this.#client.call(putRequest(keys[0] ?? '', this.#shared.value()));
      if (dice === 1) await this.#client.call(deleteRequest(keys[0] ?? ''));
    }
    if (random.chance(0.3)) await this.#revoke(lease);
  }

  async #grant(lease: HeldLease): Promise<boolean> {
    const bytes = encodeLeaseGrantRequest({ id: lease.id, ttlSeconds: 1 });
    const { callMs, outcome } = await this.#call('LeaseGrant', bytes);
    if (outcome?.ok !== true) return false;
    const { ttlSeconds } = decodeLeaseGrantResponse(outcome.message);
    lease.renewals.push({ callMs, returnMs: this.#world.nowMs(), ttlSeconds });
    return true;
  }

  async #revoke(lease: HeldLease): Promise<void> {
    lease.askedToEnd = true;
    await this.#call('LeaseRevoke', encodeLeaseRevokeRequest({ id: lease.id }));
  }

  async #call(name: string, bytes: Buffer) {
    const world = this.#world;
    const callMs = world.nowMs();
    const process = world.anyServing(this.#random);
    if (process === undefined) return { callMs, outcome: undefined };
    const timeoutMs = world.knobs.electionMs * 3;
    const path = `/etcdserverpb.Lease/${name}`;
    const outcome = await callWithin(world, process, path, bytes, timeoutMs);
    world.trace.add(`lease ${this.#number}/${this.#count} ${name} ${outcome?.ok}`);
    return { callMs, outcome };
  }

  async #keepAlive(lease: HeldLease): Promise<void> {
    const world = this.#world;
    const callMs = world.nowMs();
    const process = world.anyServing(this.#random);
    if (process === undefined) return;
    const ttlSeconds = await new Promise<number | undefined>((resolve) => {
      const stream = new SimStream(
        process.methods.get('/etcdserverpb.Lease/LeaseKeepAlive'),
        (message) => resolve(decodeLeaseKeepAliveResponse(message).ttlSeconds),
        () => resolve(undefined),
      );
      world.sleep(world.knobs.electionMs * 3).then(() => {
        resolve(undefined);
        process.clock.afterTurn(() => stream.cancel());
      });
      process.clock.afterTurn(() => {
        stream.open();
        stream.send(encodeLeaseKeepAliveRequest({ id: lease.id }));
      });
    });
    world.trace.add(`lease ${this.#number}/${this.#count} kept alive: ${ttlSeconds}`);
    if (ttlSeconds === undefined) return;
    if (ttlSeconds > 0) lease.renewals.push({ callMs, returnMs: world.nowMs(), ttlSeconds });
    else lease.goneCallsMs.push(callMs);
  }
}
