/** Clients with leases, over a connection to one member until that does not answer. */

import { setTimeout as sleep } from 'node:timers/promises';
import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import {
  type HeldLease,
  type LeaseAnswer,
  type LeaseCalls,
  LeaseHolder,
} from '../workload/lease-holder.js';
import type { Connection } from './connection.js';
import type { KvClient } from './kv-client.js';
import type { World } from './world.js';

const ttlSecondsMin = 2;
const ttlSecondsMax = 4;
const pauseMsMax = 1000;
const timeoutMs = 3000;
const path = '/etcdserverpb.Lease/';

/** A holder, and its run with a connection that is closed at the end. */
export interface LeaseClient {
  readonly holder: LeaseHolder;
  run(): Promise<void>;
}

export function newLeaseClient(
  world: World,
  client: KvClient,
  number: number,
  random: SimRandom,
): LeaseClient {
  const calls = new ConnectedLeaseCalls(world, random);
  const holder = new LeaseHolder({
    ...{ number, random, workload: world.workload, calls, pauseMsMax, sleep },
    call: (request) => client.call(request),
    nowMs: () => world.nowMs(),
    isStopping: () => world.stopping,
    idOf: (count) => BigInt(number + 1) * 1_000_000n + BigInt(count),
    // Each its own, which stay on it: by them its end is seen.
    prefixOf: (count) => `lease/${number}/${count}/`,
    ttlSeconds: () => random.between(ttlSecondsMin, ttlSecondsMax),
    keysLeave: false,
  });
  const run = async (): Promise<void> => {
    await holder.run();
    calls.leave();
  };
  return { holder, run };
}

class ConnectedLeaseCalls implements LeaseCalls {
  readonly #world: World;
  readonly #random: SimRandom;
  #connection: Connection | undefined;
  #lastMember = '';

  constructor(world: World, random: SimRandom) {
    this.#world = world;
    this.#random = random;
  }

  async ask(_lease: HeldLease, method: string, bytes: Buffer): Promise<LeaseAnswer<Buffer>> {
    const connection = await this.#connect();
    const callMs = this.#world.nowMs();
    const answer = await connection?.call(`${path}${method}`, bytes, timeoutMs);
    if (answer?.ok === true) return { callMs, answer: answer.message };
    this.leave();
    return { callMs, answer: undefined };
  }

  async keepAlive(lease: HeldLease): Promise<LeaseAnswer<number>> {
    const connection = await this.#connect();
    const callMs = this.#world.nowMs();
    if (connection === undefined) return { callMs, answer: undefined };
    const answer = await new Promise<number | undefined>((resolve) => {
      const stream = connection.stream(`${path}LeaseKeepAlive`);
      const timer = setTimeout(() => stream.cancel(), timeoutMs);
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
    if (answer === undefined) this.leave();
    return { callMs, answer };
  }

  async #connect(): Promise<Connection | undefined> {
    if (this.#connection?.usable !== true) {
      this.leave();
      this.#connection = await this.#world.connect(this.#random, this.#lastMember);
    }
    this.#lastMember = this.#connection?.member ?? '';
    return this.#connection;
  }

  leave(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
