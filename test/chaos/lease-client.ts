/** Clients that hold leases: they grant one, put keys on it, keep it alive for a while, and stop. */

import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { putRequest } from '../checkers/history.js';
import type { LeaseRecord } from '../checkers/lease-checker.js';
import { type Connection, sleep } from './connection.js';
import type { KvClient } from './kv-client.js';
import type { World } from './world.js';

const ttlSecondsMin = 2;
const ttlSecondsMax = 4;
const path = '/etcdserverpb.Lease/';

/** A lease, and whether a client asked to end it. */
export interface HeldLease extends LeaseRecord {
  askedToEnd: boolean;
  /** Under which its keys are. */
  readonly prefix: string;
}

export class LeaseHolder {
  readonly leases: HeldLease[] = [];
  readonly #world: World;
  readonly #client: KvClient;
  readonly #random: SimRandom;
  readonly #number: number;
  #connection: Connection | undefined;
  #lastMember = '';

  constructor(world: World, client: KvClient, number: number, random: SimRandom) {
    this.#world = world;
    this.#client = client;
    this.#number = number;
    this.#random = random;
  }

  async run(): Promise<void> {
    while (!this.#world.stopping) {
      await sleep(1000 * this.#random.float());
      if (!this.#world.stopping) await this.#hold();
    }
    this.#connection?.close();
  }

  async #hold(): Promise<void> {
    const random = this.#random;
    const count = this.leases.length + 1;
    const id = BigInt(this.#number + 1) * 1_000_000n + BigInt(count);
    const prefix = `lease/${this.#number}/${count}/`;
    const lease: HeldLease = {
      ...{ id, prefix, renewals: [], goneCallsMs: [], end: undefined, askedToEnd: false },
    };
    this.leases.push(lease);
    const ttlSeconds = random.between(ttlSecondsMin, ttlSecondsMax);
    const granted = await this.#ask('LeaseGrant', encodeLeaseGrantRequest({ id, ttlSeconds }));
    if (granted.message === undefined) return;
    const { ttlSeconds: given } = decodeLeaseGrantResponse(granted.message);
    lease.renewals.push({ callMs: granted.callMs, returnMs: performance.now(), ttlSeconds: given });
    for (let i = 0; i < 1 + random.below(2); i += 1) {
      await this.#client.call(putRequest(`${prefix}${i}`, this.#world.value(), id));
    }
    const renewals = random.below(6);
    for (let i = 0; i < renewals && !this.#world.stopping; i += 1) {
      await sleep(given * 1000 * random.pick([0.1, 0.3, 0.3, 0.9, 1.1]));
      await this.#keepAlive(lease);
    }
    if (random.chance(0.3)) {
      lease.askedToEnd = true;
      await this.#ask('LeaseRevoke', encodeLeaseRevokeRequest({ id }));
    }
  }

  async #keepAlive(lease: HeldLease): Promise<void> {
    const connection = await this.#connect();
    if (connection === undefined) return;
    const callMs = performance.now();
    const ttlSeconds = await new Promise<number | undefined>((resolve) => {
      const stream = connection.stream(`${path}LeaseKeepAlive`);
      const timer = setTimeout(() => stream.cancel(), 3000);
      stream.onMessage = (message) => {
        clearTimeout(timer);
        resolve(decodeLeaseKeepAliveResponse(message).ttlSeconds);
        stream.end();
      };
      stream.onStatus = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
      stream.send(encodeLeaseKeepAliveRequest({ id: lease.id }));
    });
    const returnMs = performance.now();
    if (ttlSeconds === undefined) this.#leave();
    else if (ttlSeconds > 0) lease.renewals.push({ callMs, returnMs, ttlSeconds });
    else lease.goneCallsMs.push(callMs);
  }

  async #ask(method: string, bytes: Buffer) {
    const connection = await this.#connect();
    const callMs = performance.now();
    const answer = await connection?.call(`${path}${method}`, bytes, 3000);
    if (answer?.ok === true) return { callMs, message: answer.message };
    this.#leave();
    return { callMs, message: undefined };
  }

  async #connect(): Promise<Connection | undefined> {
    if (this.#connection?.usable !== true) {
      this.#leave();
      this.#connection = await this.#world.connect(this.#random, this.#lastMember);
    }
    this.#lastMember = this.#connection?.member ?? '';
    return this.#connection;
  }

  #leave(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
