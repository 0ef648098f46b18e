/**
 * A cluster, its machines, clients and troubles, all from one seed: see run.ts for how a run goes.
 * Nothing here depends on anything but the seed, so the same seed is the same run, event by event.
 */

import { type MemberId, sleep } from '../../src/common/index.js';
import { type StateTracer, TraceLines } from '../../src/raft/index.js';
import { memberIdOf } from '../../src/server/membership/identity.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import { History } from '../checkers/history.js';
import { Report } from '../checkers/report.js';
import type { LeaseHolder } from '../workload/lease-holder.js';
import { Workload } from '../workload/workload.js';
import { AuthAdmin } from './auth-admin.js';
import { type Credentials, isForRoot } from './credentials.js';
import { GuestClient } from './guest-client.js';
import { HostileClient } from './hostile-client.js';
import { configOf, drawKnobs, type Knobs } from './knobs.js';
import { type ClientWorld, KvClient } from './kv-client.js';
import { newLeaseHolder } from './lease-client.js';
import { LockClient } from './lock-client.js';
import { SimMachine, type SimProcess } from './machine.js';
import { MemberChecks } from './member-checks.js';
import { MemberChanges } from './members.js';
import { Observer } from './observer.js';
import { Trace } from './trace.js';
import { WatchClient } from './watch-client.js';
import { SimWire } from './wire.js';

export interface WorldOptions {
  readonly seed: number;
  readonly size?: number;
  /** Instead of what the seed draws. */
  readonly knobs?: Partial<Knobs>;
  /** Keeps the lines of the trace, for a timeline. */
  readonly keepTrace?: boolean;
  /** Keeps {@link World.raftLines} if it is set. */
  readonly raftTrace?: string;
}

/** What a member says that joins with another list of members than the cluster has. */
const staleList = 'error validating peerURLs';

export class World implements ClientWorld {
  readonly seed: number;
  readonly random: SimRandom;
  readonly clock: SimClock;
  readonly knobs: Knobs;
  readonly wire: SimWire;
  readonly trace: Trace;
  readonly history = new History();
  readonly report = new Report();
  readonly observer: Observer;
  readonly machines: SimMachine[] = [];
  readonly members: MemberChanges;
  readonly memberChecks: MemberChecks;
  readonly workload = new Workload();
  readonly clients: KvClient[] = [];
  readonly watchers: WatchClient[] = [];
  readonly leaseHolders: LeaseHolder[] = [];
  readonly hostiles: HostileClient[] = [];
  /** Undefined: auth is off. */
  readonly admin: AuthAdmin | undefined;
  readonly guests: GuestClient[] = [];
  readonly lockers: LockClient[] = [];
  /** No more calls. */
  stopping = false;
  /** No more faults: everybody is to come back. */
  healed = false;
  /** How fast the fastest clock of a member ever was. */
  clockRateMax = 1;
  clockRateMin = 1;
  /** Processes that ended by themselves for a reason that was no fault of theirs. */
  excusedEnds = 0;
  /** What the Raft of all members did, in order. */
  readonly raftLines: string[] = [];
  readonly #raftTracer: StateTracer | undefined;
  #initialCluster = '';

  constructor({ seed, size, knobs, keepTrace = false, raftTrace }: WorldOptions) {
    this.seed = seed;
    this.random = new SimRandom(seed);
    this.knobs = { ...drawKnobs(this.random.fork(), size), ...knobs };
    this.clock = new SimClock({ random: this.random.fork() });
    this.trace = new Trace(() => this.clock.nowMs(), keepTrace);
    const { latencyMs, loss, duplication, electionMs } = this.knobs;
    const { clock } = this;
    const random = this.random.fork();
    this.wire = new SimWire({ clock, random, latencyMs, loss, duplication, electionMs });
    this.observer = new Observer(() => this.clock.nowMs(), this.trace);
    this.members = new MemberChanges(this);
    this.memberChecks = new MemberChecks({
      ...{ report: this.report, electionMs, nowMs: () => this.clock.nowMs() },
    });
    if (this.knobs.auth) this.admin = new AuthAdmin(this, this.random.fork());
    if (raftTrace !== undefined) {
      const write = (line: string): void => void this.raftLines.push(line);
      this.#raftTracer = new TraceLines(() => this.clock.wallMs(), write);
    }
    this.trace.add(`knobs ${JSON.stringify(this.knobs)}`);
  }

  /** Founds the cluster and lets the clients loose. */
  begin(): void {
    const { knobs } = this;
    const founders = Array.from({ length: knobs.size }, () => this.newMachine());
    this.#initialCluster = founders.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join();
    for (const machine of founders) {
      const { name, peerUrl } = machine;
      const initialCluster = this.#initialCluster;
      machine.config = configOf(knobs, { name, peerUrl, initialCluster, isJoining: false });
      this.wire.settle(name, memberIdOf([peerUrl], machine.config.initialClusterToken));
      this.startNow(machine);
    }
    for (let i = 0; i < knobs.clients; i += 1) {
      this.clients.push(new KvClient(this, i, this.random.fork()));
    }
    for (let i = 0; i < knobs.watchers; i += 1) {
      this.watchers.push(new WatchClient(this, i, this.random.fork()));
    }
    for (let i = 0; i < knobs.leaseHolders; i += 1) {
      const client = new KvClient(this, knobs.clients + i, this.random.fork());
      this.leaseHolders.push(newLeaseHolder(this, client, i + 1, this.random.fork()));
    }
    for (let i = 0; i < knobs.hostiles; i += 1) {
      const number = knobs.clients + knobs.leaseHolders + i;
      const client = new KvClient(this, number, this.random.fork());
      this.hostiles.push(new HostileClient(this, client, i, this.random.fork()));
    }
    this.#inviteGuests();
    for (let i = 0; i < knobs.lockers; i += 1) {
      this.lockers.push(new LockClient(this, i, this.random.fork()));
    }
    const all = [
      ...[...this.clients, ...this.watchers, ...this.leaseHolders, ...this.hostiles],
      ...[...this.lockers, ...this.guests, ...(this.admin === undefined ? [] : [this.admin])],
    ];
    for (const one of all) {
      one.run().catch((error: unknown) => this.broke('client', error));
    }
  }

  #inviteGuests(): void {
    const { knobs } = this;
    const states = (): number => this.observer.log.auth.states.length;
    for (const [i, credentials] of (this.admin?.guests ?? []).entries()) {
      const number = knobs.clients + knobs.leaseHolders + knobs.hostiles + i;
      const guest = new GuestClient(this, number, credentials, states, this.random.fork());
      this.guests.push(guest);
    }
  }

  // ------------------------------------------------------------------------------ for clients

  credentialsFor(path: string): Credentials | undefined {
    return isForRoot(path) ? this.admin?.root : this.admin?.worker;
  }

  nowMs(): number {
    return this.clock.nowMs();
  }

  sleep(ms: number): Promise<void> {
    return sleep(this.clock, ms);
  }

  anyServing(random: SimRandom): SimProcess | undefined {
    const serving = this.machines.filter(
      ({ process, retired }) => process?.serving === true && !(retired && this.healed),
    );
    return serving.length === 0 ? undefined : random.pick(serving).process;
  }

  // ------------------------------------------------------------------------------- machines

  /** The process that leads in the newest term. */
  leader(): SimProcess | undefined {
    let best: SimProcess | undefined;
    for (const { process } of this.machines) {
      if (process?.isLeader !== true) continue;
      if (best === undefined || process.node.raft.term > best.node.raft.term) best = process;
    }
    return best;
  }

  newMachine(): SimMachine {
    const name = `m${this.machines.length + 1}`;
    const { clock, wire, knobs } = this;
    const random = this.random.fork();
    const peerUrl = `http://${name}.test:2380`;
    const raftTracer = this.#raftTracer;
    const machine = new SimMachine({ name, peerUrl, clock, random, wire, knobs, raftTracer });
    this.machines.push(machine);
    return machine;
  }

  /** A machine that was made and is not needed. */
  forget(machine: SimMachine): void {
    machine.retired = true;
  }

  /** The first start of a member that was added to a cluster. */
  join(machine: SimMachine, id: MemberId, initialCluster: string): void {
    const { isReader, name, peerUrl } = machine;
    this.wire.settle(name, id);
    const member = { name, peerUrl, initialCluster, isJoining: true, isReader };
    machine.config = configOf(this.knobs, member);
    this.startNow(machine);
  }

  startNow(machine: SimMachine): void {
    if (machine.config === undefined || machine.process !== undefined || machine.retired) return;
    machine.disk.clearFaults();
    machine.start(machine.config, {
      opened: (process) => {
        this.trace.add(`${process.name} opened`);
        this.observer.attach(process);
        this.memberChecks.opened(process);
      },
      ended: (process, error) => this.processEnded(process, error),
    });
  }

  startLater(machine: SimMachine, delayMs: number): void {
    this.clock.after(delayMs, () => this.startNow(machine));
  }

  later(delayMs: number, act: () => void): void {
    this.clock.after(delayMs, act);
  }

  /** A process ended by itself: was that a fault of the disk, or one of its own? */
  processEnded(process: SimProcess, error: unknown): void {
    const { machine } = process;
    const text = error instanceof Error ? error.message : String(error);
    this.trace.add(`${process.name} ended: ${text}`);
    if (this.#isExcused(machine, error, text)) this.excusedEnds += 1;
    else this.broke(`process ${process.name}`, error);
    if (!process.alive) return;
    machine.kill();
    // Between the list that it was given and its start the members changed once more.
    if (text.includes(staleList)) {
      this.members.rejoin(machine);
      return;
    }
    if (machine.damaged === undefined) this.startLater(machine, this.knobs.electionMs);
  }

  #isExcused(machine: SimMachine, error: unknown, text: string): boolean {
    // What failed is often told as the cause of what could not go on.
    for (let at: unknown = error; at instanceof Error; at = at.cause) {
      if (at.message.includes('simulated')) return true;
    }
    if (machine.damaged !== undefined) return true;
    if (text.includes('has been removed') || text.includes('permanently removed')) {
      // The answer to the one who removed it may have been lost.
      if (machine.removalAsked) machine.retired = true;
      return machine.retired;
    }
    if (text.includes(staleList)) return machine.config?.initialClusterState === 'existing';
    // It could not ask anybody, and tries again.
    return text.includes('cannot fetch cluster info') || text.includes('server stopped');
  }

  /** Something is broken that no checker has a rule for. */
  broke(where: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.trace.add(`${where} broke: ${text.split('\n')[0]}`);
    this.report.violate('program', `${where}: ${text}`, this.clock.nowMs());
  }

  /** Looks for machines whose time has come in the middle of a disk operation. */
  checkHalts(random: SimRandom): void {
    for (const machine of this.machines) {
      if (!machine.disk.halted) continue;
      this.trace.add(`${machine.name} dies in a disk operation`);
      if (random.chance(0.5)) machine.crash(random);
      else machine.kill();
      this.startLater(machine, this.knobs.electionMs * random.float());
    }
  }
}
