/** A simulated cluster whose members can be lost for good, for force-new-cluster.test.ts. */

import type { MemberId } from '../../src/common/index.js';
import {
  encodePutRequest,
  memberAddRequest,
  memberAddResponse,
  memberRemoveRequest,
} from '../../src/proto/index.js';
import { memberIdOf } from '../../src/server/membership/identity.js';
import type { ServerConfig } from '../../src/server/options/config.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import { callUnary, type Outcome } from '../helpers/in-process-call.js';
import { configOf, type Knobs } from '../sim/knobs.js';
import { SimMachine, type SimProcess } from '../sim/machine.js';
import { SimWire } from '../sim/wire.js';

const knobs: Knobs = {
  size: 3,
  heartbeatMs: 20,
  electionMs: 200,
  preVote: true,
  snapshotCount: 1000,
  snapshotCatchUpEntries: 5,
  compactionBatch: 10,
  flushIntervalMs: 50,
  leaseCheckpoints: false,
  progressIntervalMs: 1000,
  diskLatencyMsMax: 1,
  kvLatencyMsMax: 2,
  latencyMs: { min: 0.1, max: 0.5 },
  loss: 0,
  duplication: 0,
  clients: 0,
  watchers: 0,
  leaseHolders: 0,
  thinkMs: 1,
  hostiles: 0,
  lockers: 0,
  autoPromote: false,
  hostileKeys: 0,
  auth: false,
  keys: 1,
  tuning: {
    appendBytesMax: 64 * 1024,
    inflightAppendsMax: 100,
    applyBytesMax: 1024 * 1024,
    lookEntries: 10,
    walSegmentBytes: 1024 * 1024,
    requestTimeoutBaseMs: 5000,
  },
};

/** After so long without a fault the members may be changed. */
const healthyMs = 6000;

/** What can be told of a member's data. */
export interface Contents {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: number;
  readonly hash: number;
  readonly leases: number;
}

export class LostMajority {
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly machines: SimMachine[] = [];
  /** Why a process ended by itself, newest last. */
  readonly ended: unknown[] = [];
  readonly #wire: SimWire;
  readonly #knobs: Knobs;

  constructor(seed: number, tuned: Partial<Knobs> = {}) {
    this.random = new SimRandom(seed);
    this.#knobs = { ...knobs, ...tuned };
    this.clock = new SimClock({ random: this.random.fork() });
    const { latencyMs, loss, duplication, electionMs } = this.#knobs;
    const { clock } = this;
    const random = this.random.fork();
    this.#wire = new SimWire({ clock, random, latencyMs, loss, duplication, electionMs });
    this.#wire.heal();
  }

  newMachine(): SimMachine {
    const name = `m${this.machines.length + 1}`;
    const peerUrl = `http://${name}.test:2380`;
    const { clock } = this;
    const random = this.random.fork();
    const machine = new SimMachine({
      ...{ name, peerUrl, clock, random },
      ...{ wire: this.#wire, knobs: this.#knobs },
    });
    this.machines.push(machine);
    return machine;
  }

  async found(size: number): Promise<void> {
    const machines = Array.from({ length: size }, () => this.newMachine());
    const initialCluster = machines.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
    for (const machine of machines) {
      const { name, peerUrl } = machine;
      machine.config = configOf(this.#knobs, { name, peerUrl, initialCluster, isJoining: false });
      this.#wire.settle(name, memberIdOf([peerUrl], machine.config.initialClusterToken));
      this.start(machine);
    }
    for (const machine of machines) await this.serving(machine);
  }

  /** Adds a machine through `by`, and starts it. */
  async add(by: SimMachine, isLearner: boolean): Promise<SimMachine> {
    const machine = this.newMachine();
    const { name, peerUrl } = machine;
    const bytes = memberAddRequest.encode({ peerUrls: [peerUrl], isLearner });
    await this.clock.run(this.clock.nowMs() + healthyMs);
    const outcome = await this.call(by, 'Cluster/MemberAdd', bytes);
    if (!outcome.ok) throw new Error(outcome.text);
    const { members, member } = memberAddResponse.decode(outcome.message);
    const id = member?.id ?? 0n;
    const cluster = members.map((one) => `${one.id === id ? name : one.name}=${one.peerUrls[0]}`);
    const initialCluster = cluster.join();
    machine.config = configOf(this.#knobs, { name, peerUrl, initialCluster, isJoining: true });
    this.#wire.settle(name, id);
    this.start(machine);
    await this.serving(machine);
    return machine;
  }

  async remove(by: SimMachine, id: MemberId): Promise<void> {
    await this.clock.run(this.clock.nowMs() + healthyMs);
    const outcome = await this.call(by, 'Cluster/MemberRemove', memberRemoveRequest.encode({ id }));
    if (!outcome.ok) throw new Error(outcome.text);
  }

  start(machine: SimMachine, change: Partial<ServerConfig> = {}): void {
    if (machine.config === undefined) throw new Error('it was never founded');
    machine.start(
      { ...machine.config, ...change },
      {
        opened() {},
        ended: (_process, error) => this.ended.push(error),
      },
    );
  }

  /** Resolves when it serves; false: its disk halted, or it ended before. */
  async serving(machine: SimMachine): Promise<boolean> {
    const ended = this.ended.length;
    const isUp = () => machine.process?.serving === true;
    await this.until(
      () => isUp() || machine.disk.halted || machine.kvDisk.halted || this.ended.length > ended,
      `${machine.name} serves`,
    );
    return isUp() && !machine.disk.halted && !machine.kvDisk.halted;
  }

  async until(isTrue: () => boolean, what: string): Promise<void> {
    const lateMs = this.clock.nowMs() + 60_000;
    while (!isTrue()) {
      if (this.clock.nowMs() > lateMs) throw new Error(`it never happens: ${what}`);
      await this.clock.run(this.clock.nowMs() + 1);
    }
  }

  process(machine: SimMachine): SimProcess {
    if (machine.process === undefined) throw new Error(`${machine.name} does not run`);
    return machine.process;
  }

  call(machine: SimMachine, method: string, bytes: Buffer | Uint8Array): Promise<Outcome> {
    const { methods } = this.process(machine);
    return this.clock.runUntil(callUnary(methods, `/etcdserverpb.${method}`, bytes), 60_000);
  }

  async put(machine: SimMachine, key: string, value: string, lease = 0n): Promise<void> {
    const bytes = encodePutRequest({ key, value: Buffer.from(value), lease });
    const outcome = await this.call(machine, 'KV/Put', bytes);
    if (!outcome.ok) throw new Error(outcome.text);
  }

  /** All machines have applied the same. */
  async settle(): Promise<void> {
    await this.until(() => {
      const applied = this.machines.map(({ process }) => process?.node.store.applied.index ?? 0);
      return applied.every((index) => index > 0 && index === applied[0]);
    }, 'all have applied the same');
  }

  async contents(machine: SimMachine): Promise<Contents> {
    const { clusterId, memberId, store } = this.process(machine).node;
    const { revision } = store;
    const { hash } = await this.clock.runUntil(store.hashKv(revision));
    const leases = [...store.metaEntries('lease/')].length;
    return { clusterId, memberId, revision, hash, leases };
  }

  memberIds(machine: SimMachine): MemberId[] {
    return this.process(machine)
      .node.membership.list()
      .map(({ id }) => id);
  }
}
