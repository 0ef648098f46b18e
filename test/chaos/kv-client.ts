/**
 * A client that reads and writes: one call at a time, at a steady pace, through one member until
 * that does not answer any more. Nothing is sent again; what has no answer has an unknown outcome.
 *
 * Some are stubborn: they know one member only, and go on asking it while it is stopped or cut off.
 * Without them nobody would be there to hear what a leader of yesterday says when it wakes up.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { SimRandom } from '../../src/sim/index.js';
import type { Request, Response } from '../checkers/history.js';
import { type KvKeys, type KvMix, KvOperations } from '../workload/kv-operations.js';
import { isDefinite, settleOperation } from '../workload/outcome.js';
import { toWire } from '../workload/request-codec.js';
import type { Connection } from './connection.js';
import type { ChaosMember } from './member.js';
import type { User, World } from './world.js';

const path = '/etcdserverpb.KV/';
const keyCount = 32;
const timeoutMsMin = 500;
const timeoutMsMax = 3000;
const stubbornMs = 400;
/** Of a thousand. */
const mix: KvMix = {
  ...{ ring: 20, append: 20, swap: 80, put: 310, get: 350, stale: 90, range: 20 },
  // Somebody else compacts, where everything has been seen.
  ...{ past: 30, delete: 30, compact: 0, several: 50 },
};
/** Keys that a range, or a delete of several, takes. */
const spanKeys = 3;
/** A list longer than this is left alone; another begins. */
const listItemsMax = 60;

export const keys: KvKeys = {
  count: keyCount,
  key: keyOf,
  deleteEnd: (at) => keyOf(at + spanKeys),
  range: (at) => ({ key: keyOf(at), end: keyOf(at + spanKeys) }),
  glance: (at) => ({ key: keyOf(at), end: '' }),
  // Some of the past, and now and then so much of it that it may be compacted away.
  pastMax: (random) => (random.chance(0.1) ? 4000 : 50),
};

function keyOf(at: number): string {
  return `k${String(at).padStart(2, '0')}`;
}

export class KvClient {
  readonly number: number;
  readonly #world: World;
  readonly #random: SimRandom;
  readonly #intervalMs: number;
  readonly #only: ChaosMember | undefined;
  readonly #operations: KvOperations;
  readonly #as: User;
  #connection: Connection | undefined;
  #lastMember = '';

  /** `only`: the one member that a stubborn one knows. */
  constructor(
    world: World,
    random: SimRandom,
    intervalMs: number,
    only?: ChaosMember,
    as: User = 'worker',
  ) {
    this.#world = world;
    this.#as = as;
    this.#only = only;
    this.#random = random;
    this.#intervalMs = intervalMs;
    this.number = world.clientNumber();
    const { workload, report } = world;
    this.#operations = new KvOperations({
      ...{ client: this.number, random, workload, report, mix, keys },
      ...{ lists: 1, listItemsMax },
      call: (request) => this.call(request),
    });
  }

  async run(): Promise<void> {
    const world = this.#world;
    let dueMs = world.nowMs() + this.#intervalMs * this.#random.float();
    while (!world.stopping) {
      const waitMs = dueMs - world.nowMs();
      if (waitMs > 0) await sleep(waitMs);
      // After a pause the load does not rise to make up for it.
      dueMs = Math.max(dueMs, world.nowMs() - this.#intervalMs) + this.#intervalMs;
      if (world.stopping) break;
      await this.#operations.act();
    }
    this.#connection?.close();
  }

  /** Undefined if it did not succeed, as far as anybody knows. */
  async call(request: Request): Promise<Response | undefined> {
    const world = this.#world;
    if (this.#connection?.usable !== true) {
      this.#connection?.close();
      this.#connection = await (this.#only === undefined
        ? world.connect(this.#random, this.#lastMember, this.#as)
        : world.connectTo(this.#only, this.#random));
    }
    const connection = this.#connection;
    if (connection === undefined) return undefined;
    this.#lastMember = connection.member;
    const { method, bytes } = toWire(request);
    const timeoutMs =
      this.#only === undefined ? this.#random.between(timeoutMsMin, timeoutMsMax) : stubbornMs;
    const id = world.history.begin(this.number, world.nowMs(), request);
    const answer = await connection.call(`${path}${method}`, bytes, timeoutMs);
    const response = settleOperation(world.history, id, request, answer, world.nowMs());
    if (response !== undefined) this.#operations.learn(request, response);
    // One that can't answer now may not for a while.
    else if (!isDefinite(answer) && this.#only === undefined) this.#leave();
    return response;
  }

  #leave(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}
