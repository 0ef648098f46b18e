import { silentLogger } from '../../src/common/index.js';
import { allMethods, openMember, type WholeMember } from '../../src/server/member.js';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { defaultConfig } from '../../src/server/options/config.js';
import {
  SimClock,
  SimDisk,
  SimKvDisk,
  type SimKvOptions,
  type SimProcessClock,
  SimRandom,
  simPasswords,
} from '../../src/sim/index.js';
import type { MethodHandler } from '../../src/transport/index.js';
import { callUnary, type Outcome } from '../helpers/in-process-call.js';

const startMsMax = 30_000;

/** One machine with its disk; processes on it come and go. */
export class SimMachine {
  readonly clock: SimClock;
  readonly disk: SimDisk;
  readonly kvDisk: SimKvDisk;
  readonly random: SimRandom;
  #running: SimProcessClock | undefined;

  constructor(
    seed: number,
    options: Pick<SimKvOptions, 'loseAllUnsynced' | 'threads' | 'readLatencyMs'> = {},
  ) {
    this.random = new SimRandom(seed);
    this.clock = new SimClock({ random: this.random.fork() });
    this.disk = new SimDisk({
      clock: this.clock,
      random: this.random.fork(),
      latencyMs: { min: 0.1, max: 2 },
      ...(options.threads === undefined ? {} : { threads: options.threads }),
    });
    this.kvDisk = new SimKvDisk({
      clock: this.clock,
      random: this.random.fork(),
      latencyMsMax: 20,
      disk: this.disk,
      ...options,
    });
  }

  /** Starts a node on what the disk holds; undefined if the disk halts before it serves. */
  async start(...flags: readonly string[]): Promise<SimProcess | undefined> {
    let started: SimProcess | undefined;
    let failure: unknown;
    this.#open(flags).then(
      (process) => {
        started = process;
      },
      (error: unknown) => {
        failure = error;
      },
    );
    const untilMs = this.clock.nowMs() + startMsMax;
    while (started === undefined && !this.disk.halted) {
      await this.clock.run(this.clock.nowMs() + 1);
      if (failure !== undefined) throw failure;
      if (this.clock.nowMs() > untilMs) throw new Error('the node does not start');
    }
    return started;
  }

  async #open(flags: readonly string[]): Promise<SimProcess> {
    const clock = this.clock.process();
    this.#running = clock;
    const fatal: unknown[] = [];
    const ports = {
      clock,
      random: this.random.fork(),
      disk: this.disk.process(),
      openKvStore: this.kvDisk.open,
      passwords: simPasswords(clock),
      logger: silentLogger,
    };
    const config = defaultConfig('--data-dir', '/data', ...flags);
    const node = await openMember(config, ports, new Metrics(), (error) => fatal.push(error));
    const process = new SimProcess(node, fatal);
    await node.start();
    return process;
  }

  /** Power loss: the process is gone, and so is what was not synced, as the seed decides. */
  crash(): void {
    this.#running?.kill();
    const unsyncedPercent = this.random.below(101);
    this.disk.crash({ unsyncedPercent, tornWrites: true });
    this.kvDisk.crash();
  }
}

/** A running node. */
export class SimProcess {
  readonly node: WholeMember;
  /** What the node reported as the reason to end. */
  readonly fatal: readonly unknown[];
  readonly #methods: ReadonlyMap<string, MethodHandler>;

  constructor(node: WholeMember, fatal: readonly unknown[]) {
    this.node = node;
    this.fatal = fatal;
    this.#methods = allMethods(node);
  }

  /** One unary call; never settles if the process dies first. */
  call(method: string, request: Uint8Array): Promise<Outcome> {
    return callUnary(this.#methods, `/etcdserverpb.${method}`, request);
  }
}
