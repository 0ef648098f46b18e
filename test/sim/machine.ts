/**
 * Machines and the processes that run on them. A machine has a disk that outlives its processes,
 * and a clock; a process is a member of the cluster: the real server code from openNode on, with
 * rpc handlers that clients call without a network in between.
 */

import {
  type Clock,
  type Logger,
  present,
  silentLogger,
  type Timer,
} from '../../src/common/index.js';
import type { StateTracer } from '../../src/raft/index.js';
import { allMethods, openMember, type WholeMember } from '../../src/server/member.js';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { helloOf } from '../../src/server/node/member-links.js';
import type { ServerConfig } from '../../src/server/options/config.js';
import type { PeerHello } from '../../src/server/peers/types.js';
import {
  type SimClock,
  SimDisk,
  SimKvDisk,
  type SimProcessClock,
  type SimRandom,
  simPasswords,
} from '../../src/sim/index.js';
import { type MethodHandler, type RoomUser, SendRoom } from '../../src/transport/index.js';
import type { Knobs } from './knobs.js';
import type { FaultKind } from './schedule.js';
import type { SimWire } from './wire.js';

/** The clock of a machine: that of the process that runs on it. */
class MachineClock implements Clock {
  process: Clock;

  constructor(clock: Clock) {
    this.process = clock;
  }
  nowMs(): number {
    return this.process.nowMs();
  }
  wallMs(): number {
    return this.process.wallMs();
  }
  after(delayMs: number, fire: () => void): Timer {
    return this.process.after(delayMs, fire);
  }
  afterTurn(fire: () => void): void {
    this.process.afterTurn(fire);
  }
}

export interface MachineOptions {
  readonly name: string;
  readonly peerUrl: string;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly wire: SimWire;
  readonly knobs: Knobs;
  /** One for all machines. */
  readonly raftTracer?: StateTracer | undefined;
}

/** Of the memory for answers of a process. */
export const answerLimits = {
  serverBacklogBytesMax: 8 * 1024 * 1024,
  connectionBacklogBytesMax: 256 * 1024,
  stalledReaderMs: 1000,
};

/** The connection of a client: what it is answered it has read. */
export function readingUser(): RoomUser {
  return { queuedBytes: 0, dequeuedBytes: 0, onStalled() {} };
}

/** What a machine tells the world. */
export interface MachineEvents {
  /** The node is open and about to start: the moment to look inside. */
  opened(process: SimProcess): void;
  /** The process ended by itself, or could not start. */
  ended(process: SimProcess, error: unknown): void;
}

export class SimMachine {
  readonly name: string;
  readonly peerUrl: string;
  readonly disk: SimDisk;
  readonly kvDisk: SimKvDisk;
  readonly #clock: MachineClock;
  readonly #o: MachineOptions;
  process: SimProcess | undefined;
  /** It is not coming back: removed from the cluster, or its disk is damaged. */
  retired = false;
  /** Its member stays a learner, and serves what it has. */
  isReader = false;
  /** Somebody wants it out of the cluster. */
  removalAsked = false;
  /** Its disk was; what it does from then on is excused. */
  damaged: FaultKind | undefined;
  /** Faults of its clock outlive its processes. */
  rate = 1;
  wallOffsetMs = 0;
  /** How it joined: from the first start on the disk knows. */
  config: ServerConfig | undefined;
  starts = 0;
  /** When its last process ended. */
  endedMs = Number.NEGATIVE_INFINITY;
  /** Of each of its processes. */
  readonly metrics: Metrics[] = [];

  constructor(options: MachineOptions) {
    const { clock, random, knobs } = options;
    this.#o = options;
    this.name = options.name;
    this.peerUrl = options.peerUrl;
    this.#clock = new MachineClock(clock);
    this.disk = new SimDisk({
      clock: this.#clock,
      random: random.fork(),
      latencyMs: { min: knobs.diskLatencyMsMax / 10, max: knobs.diskLatencyMsMax },
    });
    this.kvDisk = new SimKvDisk({
      clock: this.#clock,
      random: random.fork(),
      latencyMsMax: knobs.kvLatencyMsMax,
      disk: this.disk,
    });
  }

  /** Starts a process, unless one runs. */
  start(config: ServerConfig, events: MachineEvents): void {
    if (this.process !== undefined) return;
    const { clock, random, wire, knobs, raftTracer } = this.#o;
    const own = clock.process();
    if (this.rate !== 1) own.setRate(this.rate);
    own.jumpWall(this.wallOffsetMs);
    this.#clock.process = own;
    this.starts += 1;
    const process = new SimProcess(this, own, this.starts);
    const metrics = new Metrics();
    this.metrics.push(metrics);
    this.process = process;
    const peers = wire.connect(this.name, this.peerUrl, own, () =>
      present(process.hello, 'who this member is'),
    );
    process.cut = () => peers.vanish();
    const ports = {
      clock: own,
      random: random.fork(),
      disk: this.disk.process(),
      openKvStore: this.kvDisk.open,
      passwords: simPasswords(own),
      logger: process.logger,
      peers,
      raftTracer,
      tuning: knobs.tuning,
    };
    const ended = (error: unknown): void => {
      if (process.alive && process.endedBy === undefined) {
        process.endedBy = { error };
        events.ended(process, error);
      }
    };
    openMember(config, ports, metrics, ended)
      .then(async (node) => {
        process.open(node);
        events.opened(process);
        await node.start();
        process.serving = true;
      })
      .catch(ended);
  }

  /** kill -9: the process is gone, the machine stays. */
  kill(): void {
    if (this.process === undefined) return;
    this.#end(this.process);
    this.disk.kill();
    this.kvDisk.kill();
  }

  /** Power loss: what was not synced may be gone, and nobody tells the others. */
  crash(random: SimRandom): void {
    this.#o.wire.powerOff(this.name);
    if (this.process !== undefined) this.#end(this.process);
    const unsyncedPercent = random.pick([0, 0, 50, random.below(101), 100]);
    this.disk.crash({ unsyncedPercent, tornWrites: random.chance(0.7) });
    this.kvDisk.crash();
  }

  /** The data directory is gone. */
  wipe(): void {
    this.kill();
    this.disk.unplant('/data');
  }

  #end(process: SimProcess): void {
    process.alive = false;
    process.serving = false;
    process.clock.kill();
    process.cut();
    this.process = undefined;
    this.endedMs = this.#o.clock.nowMs();
    // Until the next start, what the disk does goes by the time of the world.
    this.#clock.process = this.#o.clock;
  }
}

/** A running member. */
export class SimProcess {
  readonly machine: SimMachine;
  readonly clock: SimProcessClock;
  /** `m1#2`: its second start. */
  readonly name: string;
  alive = true;
  /** Clients can reach it. */
  serving = false;
  frozen = false;
  endedBy: { readonly error: unknown } | undefined;
  hello: PeerHello | undefined;
  cut: () => void = () => {};
  readonly logger: Logger = silentLogger;
  /** What answers take of its memory: so little that they wait for one another. */
  readonly room: SendRoom;
  /** Calls under way that may have some of it. */
  callsOpen = 0;
  #node: WholeMember | undefined;
  #methods: ReadonlyMap<string, MethodHandler> = new Map();

  constructor(machine: SimMachine, clock: SimProcessClock, start: number) {
    this.machine = machine;
    this.clock = clock;
    this.name = `${machine.name}#${start}`;
    this.room = new SendRoom(clock, answerLimits);
  }

  open(node: WholeMember): void {
    this.#node = node;
    this.hello = helloOf(node);
    this.#methods = allMethods(node);
  }

  get isOpen(): boolean {
    return this.#node !== undefined;
  }

  get node(): WholeMember {
    if (this.#node === undefined) throw new Error(`${this.name} is not open yet`);
    return this.#node;
  }

  get methods(): ReadonlyMap<string, MethodHandler> {
    return this.#methods;
  }

  get isLeader(): boolean {
    const node = this.#node;
    return this.alive && node !== undefined && node.raft.leader === node.memberId;
  }

  freeze(): void {
    this.frozen = true;
    this.clock.freeze();
  }

  unfreeze(): void {
    this.frozen = false;
    this.clock.unfreeze();
  }
}
