/** What the clients of a run share: the clock, the history, the truth so far, who may be asked. */

import { setTimeout as sleep } from 'node:timers/promises';
import { tlsOf } from '../../bench/load/identity.js';
import type { SimRandom } from '../../src/sim/index.js';
import type { History } from '../checkers/history.js';
import type { Report } from '../checkers/report.js';
import type { SeenRevision } from '../checkers/revision-checker.js';
import type { Truth } from '../checkers/truth.js';
import { Workload } from '../workload/workload.js';
import type { ChaosCluster } from './cluster.js';
import { Connection } from './connection.js';
import type { ChaosMember } from './member.js';

/** Whom a client is, where that is asked. */
export type User = 'worker' | 'root';

/** Sightings of revisions closer together than this add nothing. */
const sightingMs = 5;
const retryMs = 20;

export class World {
  readonly cluster: ChaosCluster;
  readonly history: History;
  readonly truth: Truth;
  readonly report: Report;
  readonly workload = new Workload();
  readonly seen: SeenRevision[] = [];
  /** No more operations. */
  stopping = false;
  /** Nobody is asked any more. */
  closed = false;
  /** When each revision was first seen, from revision 2 on. */
  readonly seenMs: number[] = [];
  /** When it was seen that keys of leases were deleted, by revision. */
  readonly leaseDeletesMs = new Map<number, number>();
  #lastClient = 0;

  constructor(cluster: ChaosCluster, history: History, truth: Truth, report: Report) {
    this.cluster = cluster;
    this.history = history;
    this.truth = truth;
    this.report = report;
  }

  nowMs(): number {
    return performance.now();
  }

  /** A number for a client of the history. */
  clientNumber(): number {
    this.#lastClient += 1;
    return this.#lastClient;
  }

  /** A watcher or a client has been told that `revision` exists. */
  sight(revision: number): void {
    const last = this.seen.at(-1);
    const atMs = this.nowMs();
    if (last !== undefined && (last.revision >= revision || atMs - last.atMs < sightingMs)) return;
    this.seen.push({ atMs, revision });
  }

  /** A connection to a random member; waits for one that answers. Undefined when all is over. */
  connect(random: SimRandom, not = '', as: User = 'worker'): Promise<Connection | undefined> {
    const { members } = this.cluster;
    const others = members.filter(({ name }) => name !== not);
    return this.#connect(random, as, (tries) => random.pick(tries % 3 === 2 ? members : others));
  }

  /** The same to this member only. */
  connectTo(member: ChaosMember, random: SimRandom): Promise<Connection | undefined> {
    return this.#connect(random, 'worker', () => member);
  }

  async #connect(
    random: SimRandom,
    as: User,
    pick: (tries: number) => ChaosMember,
  ): Promise<Connection | undefined> {
    for (let tries = 0; !this.closed; tries += 1) {
      const member = pick(tries);
      const connection = await Connection.open(
        member.name,
        member.clientPort,
        tlsOf(this.cluster.security?.[as]),
      );
      if (connection !== undefined) return connection;
      await sleep(retryMs * (1 + random.float()));
    }
    return undefined;
  }
}
