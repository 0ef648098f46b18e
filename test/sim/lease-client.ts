/** Clients with leases, each call to a random member. */

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
import { authenticate, type ClientWorld, callWithin, type KvClient } from './kv-client.js';
import { SimStream } from './stream.js';

/** Short, so that many end within a run. */
const ttlSeconds = 1;

export function newLeaseHolder(
  world: ClientWorld,
  client: KvClient,
  number: number,
  random: SimRandom,
): LeaseHolder {
  return new LeaseHolder({
    ...{ number, random, workload: world.workload, calls: new SimLeaseCalls(world, random) },
    call: (request) => client.call(request),
    nowMs: () => world.nowMs(),
    sleep: (ms) => world.sleep(ms),
    isStopping: () => world.stopping,
    pauseMsMax: world.knobs.electionMs,
    idOf: (count) => BigInt(number) * 1000n + BigInt(count),
    // The same ones again: a key may be on a lease that has ended, and move to the next.
    prefixOf: () => `lease/${number}/`,
    ttlSeconds: () => ttlSeconds,
    keysLeave: true,
  });
}

class SimLeaseCalls implements LeaseCalls {
  readonly #world: ClientWorld;
  readonly #random: SimRandom;

  constructor(world: ClientWorld, random: SimRandom) {
    this.#world = world;
    this.#random = random;
  }

  async ask(lease: HeldLease, method: string, bytes: Buffer): Promise<LeaseAnswer<Buffer>> {
    const world = this.#world;
    const callMs = world.nowMs();
    const process = world.anyServing(this.#random);
    if (process === undefined) return { callMs, answer: undefined };
    const timeoutMs = world.knobs.electionMs * 3;
    const path = `/etcdserverpb.Lease/${method}`;
    const outcome = await callWithin(world, process, path, bytes, timeoutMs);
    world.trace.add(`${lease.name} ${method} ${outcome?.ok}`);
    return { callMs, answer: outcome?.ok === true ? outcome.message : undefined };
  }

  async keepAlive(lease: HeldLease): Promise<LeaseAnswer<number>> {
    const world = this.#world;
    const callMs = world.nowMs();
    const process = world.anyServing(this.#random);
    if (process === undefined) return { callMs, answer: undefined };
    const credentials = world.credentialsFor('/etcdserverpb.Lease/LeaseKeepAlive');
    if (credentials !== undefined) await authenticate(world, process, credentials);
    const token = credentials?.token;
    const answer = await new Promise<number | undefined>((resolve) => {
      const stream = new SimStream(
        process.methods.get('/etcdserverpb.Lease/LeaseKeepAlive'),
        (message) => resolve(decodeLeaseKeepAliveResponse(message).ttlSeconds),
        (text) => {
          credentials?.heard(token, text);
          resolve(undefined);
        },
        token,
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
    world.trace.add(`${lease.name} kept alive: ${answer}`);
    return { callMs, answer };
  }
}
