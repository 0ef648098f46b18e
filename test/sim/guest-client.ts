/**
 * A client whose rights change all the time. What it is refused is nobody's business; what it is
 * shown, and what it has changed, it must have been allowed at that moment (auth-checker.ts).
 */

import type { SimRandom } from '../../src/sim/index.js';
import type { SeenAnswer } from '../checkers/auth-checker.js';
import {
  type Condition,
  deleteRequest,
  getRequest,
  type Op,
  putRequest,
  type Request,
  txnRequest,
} from '../checkers/history.js';
import { drawSpan } from './auth-admin.js';
import type { Credentials } from './credentials.js';
import { type ClientWorld, KvClient } from './kv-client.js';
import { WatchClient } from './watch-client.js';

export class GuestClient {
  readonly answers: SeenAnswer[] = [];
  refused = 0;
  readonly watcher: WatchClient;
  readonly #world: ClientWorld;
  readonly #random: SimRandom;
  readonly #credentials: Credentials;
  readonly #client: KvClient;
  readonly #states: () => number;

  /** `states`: how many states of users and roles the log has had so far. */
  constructor(
    world: ClientWorld,
    number: number,
    credentials: Credentials,
    states: () => number,
    random: SimRandom,
  ) {
    this.#world = world;
    this.#random = random;
    this.#credentials = credentials;
    this.#states = states;
    this.#client = new KvClient(world, number, random.fork(), credentials);
    const { key, end } = drawSpan(random, world.knobs.keys);
    this.watcher = new WatchClient(world, number, random.fork(), {
      wanted: { key, end, previous: random.chance(0.5), noPut: false, noDelete: false },
      credentials,
      onCreated: (wanted, revision) => {
        const request = getRequest(wanted.key, { end: wanted.end, serializable: true });
        this.#saw(request, revision, 0);
      },
    });
  }

  async run(): Promise<void> {
    const { knobs } = this.#world;
    void this.watcher.run().catch(() => {});
    while (!this.#world.stopping) {
      await this.#world.sleep(2 * knobs.thinkMs * this.#random.float());
      if (this.#world.stopping) return;
      await this.#act();
    }
  }

  async #act(): Promise<void> {
    const request = this.#draw();
    const statesBefore = request.serializable ? 0 : this.#states();
    const response = await this.#client.call(request);
    if (response === undefined) this.refused += 1;
    else this.#saw(request, response.revision, statesBefore);
  }

  #saw(request: Request, revision: number, statesBefore: number): void {
    const { name: user } = this.#credentials;
    this.answers.push({ user, request, revision, statesBefore });
  }

  #draw(): Request {
    const random = this.#random;
    const { workload, knobs } = this.#world;
    const { key, end } = drawSpan(random, knobs.keys);
    const dice = random.below(10);
    if (dice < 4) return getRequest(key, { end, serializable: random.chance(0.4) });
    if (dice < 6) return putRequest(key, workload.value());
    // Not all behind it: while auth is off that would take lists that are only appended to.
    if (dice === 6) return deleteRequest(key, end === '\0' ? '' : end);
    const other = drawSpan(random, knobs.keys);
    // Of one key: the checker that looks at no revisions knows no others.
    const condition: Condition = { target: 'version', key, result: '>', number: 0 };
    const read: Op = { type: 'get', key: other.key, end: other.end, revision: 0 };
    if (dice < 9) return txnRequest([condition], [read], [read]);
    const write: Op = { type: 'put', key: other.key, value: workload.value(), lease: 0n };
    return txnRequest([condition], [write], [read]);
  }
}
