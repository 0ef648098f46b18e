/**
 * Clients that try what members stand. No member may end of it, all must agree on what it did, and
 * every answer is judged: of workload/hostile-requests.ts by the checkers, of hostile-calls.ts at
 * once.
 */

import {
  decodeLeaseKeepAliveResponse,
  encodeLeaseKeepAliveRequest,
} from '../../src/proto/index.js';
import type { SimRandom } from '../../src/sim/index.js';
import { drawHostileCall, wrongAnswer } from '../workload/hostile-calls.js';
import { HostileRequests } from '../workload/hostile-requests.js';
import { requestTimeoutMs } from './knobs.js';
import { type ClientWorld, callWithin, judgeError, type KvClient } from './kv-client.js';
import { SimStream } from './stream.js';

/** Ids at the ends of what there is, and one that is nobody's but these clients'. */
const leaseIds: readonly bigint[] = [2n ** 63n - 1n, -(2n ** 63n), -2n, 2n ** 40n];

export class HostileClient {
  /** Calls so far. */
  count = 0;
  readonly #world: ClientWorld;
  readonly #client: KvClient;
  readonly #number: number;
  readonly #random: SimRandom;
  readonly #requests: HostileRequests;

  constructor(world: ClientWorld, client: KvClient, number: number, random: SimRandom) {
    this.#world = world;
    this.#client = client;
    this.#number = number;
    this.#random = random;
    this.#requests = new HostileRequests({
      random,
      tokenKey: `}${number}`,
      token: () => world.workload.value(),
      keys: world.knobs.hostileKeys,
      revision: () => world.workload.newestRevision,
      leases: leaseIds,
    });
  }

  async run(): Promise<void> {
    const { knobs } = this.#world;
    while (!this.#world.stopping) {
      await this.#world.sleep(8 * knobs.thinkMs * this.#random.float());
      if (this.#world.stopping) return;
      this.count += 1;
      const dice = this.#random.below(10);
      if (dice === 0) this.#keepAlive();
      else if (dice < 4) await this.#odd();
      else await this.#client.call(this.#requests.draw());
    }
  }

  /** A call that is not recorded: nothing may come of it. */
  async #odd(): Promise<void> {
    const world = this.#world;
    const process = world.anyServing(this.#random);
    if (process === undefined) return;
    const call = drawHostileCall(this.#random, world.workload.newestRevision, leaseIds);
    const timeoutMs = requestTimeoutMs(world.knobs);
    const outcome = await callWithin(world, process, call.path, call.bytes, timeoutMs);
    world.trace.add(`hostile ${this.#number} at ${process.name}: ${call.name}`);
    if (outcome === undefined) return;
    judgeError(world, outcome, () => call.name);
    const wrong = wrongAnswer(call, outcome);
    world.report.check('hostile: answered as it should be', wrong === undefined, () => wrong ?? '');
  }

  /** Of a lease that may never have been; nobody waits for the answer. */
  #keepAlive(): void {
    const world = this.#world;
    const process = world.anyServing(this.#random);
    if (process === undefined) return;
    const id = this.#random.pick(leaseIds);
    const stream = new SimStream(
      process.methods.get('/etcdserverpb.Lease/LeaseKeepAlive'),
      (message) => {
        const { ttlSeconds } = decodeLeaseKeepAliveResponse(message);
        world.trace.add(`hostile ${this.#number} kept ${id} alive for ${ttlSeconds}`);
      },
      () => {},
      world.credentialsFor('/etcdserverpb.Lease/LeaseKeepAlive')?.token,
    );
    process.clock.afterTurn(() => {
      stream.open();
      stream.send(encodeLeaseKeepAliveRequest({ id }));
    });
    world.sleep(requestTimeoutMs(world.knobs)).then(() => {
      process.clock.afterTurn(() => stream.cancel());
    });
  }
}
