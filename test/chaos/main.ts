/**
 * `npm run chaos`: real members under load, one fault after the other, then the checkers on all
 * that clients saw. Prints a summary; the exit code is 1 if a promise was broken or too little
 * happened to say so.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { makeSecurity } from '../../bench/security.js';
import { SimRandom } from '../../src/sim/index.js';
import { History } from '../checkers/history.js';
import { Report } from '../checkers/report.js';
import { Truth } from '../checkers/truth.js';
import { ChaosCluster } from './cluster.js';
import { compactNowAndThen } from './compactor.js';
import { type FaultContext, faults, heal } from './faults.js';
import { comeToRest, compareMembers, completeWatches, judge, killAllOnceMore } from './judge.js';
import { KvClient } from './kv-client.js';
import { type LeaseClient, newLeaseClient } from './lease-client.js';
import type { ChaosMember } from './member.js';
import { Observer } from './observer.js';
import { type ChaosOptions, parseOptions, usage } from './options.js';
import { checksOf, gapsOf, problemsOf, type Summary, summaryText } from './summary.js';
import { TruthFollower } from './truth-follower.js';
import { WatchClient } from './watch-client.js';
import { type User, World } from './world.js';

const kvorumBin =
  process.env.KVORUM_TEST_BIN ?? fileURLToPath(new URL('../../bin/kvorum', import.meta.url));
/** Small logs and few entries kept, so that members that were away need a snapshot. */
const flags = {
  kvorum: ['--snapshot-count', '3000', '--snapshot-catchup-entries', '500'],
  etcd: ['--snapshot-count', '3000', '--logger', 'zap'],
};
/**
 * The history of a round is kept until it is checked, some 1.5 KB for each operation. A longer run
 * is several rounds, each with a cluster of its own, so that memory stays bounded.
 */
const roundMinutes = 10;
const warmUpMs = 2000;
const wholeTimeoutMs = 60_000;
const breathMs = 1000;
const leaseHolders = 4;
/** Of so many clients one knows only one member. */
const stubbornEvery = 5;
const judgeEveryMs = 2000;

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv, tmpdir(), Math.floor(Math.random() * 1e9));
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  mkdirSync(options.dir, { recursive: true });
  const rounds = Math.ceil(options.minutes / roundMinutes);
  const summaries: Summary[] = [];
  for (let i = 0; i < rounds; i += 1) {
    const minutes = options.minutes / rounds;
    summaries.push(await round({ ...options, minutes, seed: options.seed + i }));
    if (options.json === '') continue;
    mkdirSync(dirname(options.json), { recursive: true });
    const all = rounds === 1 ? summaries[0] : summaries;
    writeFileSync(options.json, `${JSON.stringify(all, undefined, 2)}\n`);
  }
  return summaries.every(isGood) ? 0 : 1;
}

/** A cluster of its own from its founding to its end. */
async function round(options: ChaosOptions): Promise<Summary> {
  const dir = mkdtempSync(join(options.dir, 'kvorum-chaos-'));
  const run = new ChaosRun(options, dir);
  const interrupted = (): void => {
    run.dispose().then(() => process.exit(130));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  try {
    const summary = await run.run();
    process.stdout.write(summaryText(summary));
    await run.dispose();
    if (isGood(summary)) rmSync(dir, { recursive: true, force: true });
    else process.stdout.write(`logs and data: ${dir}\n`);
    return summary;
  } finally {
    await run.dispose();
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
}

function isGood({ violationCount, problems }: Summary): boolean {
  return violationCount === 0 && problems.length === 0;
}

/** All that talks to the cluster during a run. */
interface Load {
  readonly leases: readonly LeaseClient[];
  readonly watches: readonly WatchClient[];
  readonly truth: TruthFollower;
  readonly observer: Observer;
  readonly following: Promise<void>;
  readonly stopped: Promise<unknown>;
}

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #dir: string;
  readonly #random: SimRandom;
  readonly #startMs = performance.now();
  readonly #faults = new Map<string, number>();
  readonly #measured = new Map<string, number[]>();
  readonly #wholeMs: number[] = [];
  #cluster: ChaosCluster | undefined;

  constructor(options: ChaosOptions, dir: string) {
    this.#options = options;
    this.#dir = dir;
    this.#random = new SimRandom(options.seed);
  }

  async dispose(): Promise<void> {
    await this.#cluster?.dispose();
  }

  async run(): Promise<Summary> {
    const { size, program, etcd, minutes, secure, seed } = this.#options;
    this.#say(`${size} members of ${program} for ${minutes} minutes, seed ${seed}, ${this.#dir}`);
    const command = program === 'etcd' ? [etcd] : [process.execPath, kvorumBin];
    const random = this.#random;
    const security = secure ? makeSecurity(join(this.#dir, 'certificates')) : undefined;
    const setup = { size, command, flags: flags[program], dir: this.#dir, random, security };
    const cluster = await ChaosCluster.start(setup);
    this.#cluster = cluster;
    const world = new World(cluster, new History(), new Truth(), new Report());
    const load = this.#startLoad(world);
    const loadMs = performance.now();
    await sleep(warmUpMs);
    await this.#faultsUntil(world, performance.now() + minutes * 60_000);
    world.stopping = true;
    await load.stopped;
    const loadSeconds = (performance.now() - loadMs) / 1000;
    return this.#end(world, load, loadSeconds);
  }

  #startLoad(world: World): Load {
    const { clients, watchers, operationsPerSecond } = this.#options;
    const random = this.#random;
    const intervalMs = (1000 * clients) / operationsPerSecond;
    const newClient = (only?: ChaosMember, as?: User): KvClient =>
      new KvClient(world, random.fork(), intervalMs, only, as);
    const { members } = world.cluster;
    const kv = Array.from({ length: clients }, (_, i) =>
      newClient(
        i % stubbornEvery === 0 ? members[(i / stubbornEvery) % members.length] : undefined,
      ),
    );
    const leases = Array.from({ length: leaseHolders }, (_, i) => {
      return newLeaseClient(world, newClient(), i, random.fork());
    });
    const watches = Array.from({ length: watchers }, (_, i) => {
      return new WatchClient(world, i, random.fork());
    });
    const truth = new TruthFollower(world, random.fork());
    const observer = new Observer(world);
    const following = truth.run();
    const stopped = Promise.all([
      ...kv.map((client) => client.run()),
      ...leases.map((client) => client.run()),
      ...watches.map((watch) => watch.run()),
      compactNowAndThen(world, newClient(undefined, 'root'), random.fork()),
      observer.run(),
      judgeNowAndThen(world, watches),
    ]);
    return { leases, watches, truth, observer, following, stopped };
  }

  async #faultsUntil(world: World, endMs: number): Promise<void> {
    const random = this.#random;
    const { faults: wanted, faultEveryMs } = this.#options;
    const kinds = Object.keys(faults).filter(
      (kind) => wanted.length === 0 || wanted.includes(kind),
    );
    if (kinds.length === 0) throw new Error(`known faults: ${Object.keys(faults).join(', ')}`);
    const context: FaultContext = {
      world,
      random,
      say: (text) => this.#say(text),
      measured: (what, ms) => {
        const isBack = ms !== undefined;
        world.report.check('liveness: writes go on', isBack, () => `not after "${what}"`);
        if (ms !== undefined) this.#measured.set(what, [...(this.#measured.get(what) ?? []), ms]);
      },
    };
    // A short run, too, has seen a lost leader and a partition.
    let deck = ['isolate leader', 'kill leader'].filter((kind) => kinds.includes(kind));
    while (performance.now() < endMs) {
      if (deck.length === 0) deck = random.shuffled(kinds);
      const kind = deck.pop() ?? '';
      const startMs = performance.now();
      await faults[kind]?.(context);
      await heal(context);
      const healMs = performance.now();
      const isWhole = await world.cluster.healthy(wholeTimeoutMs);
      const wholeMs = performance.now() - healMs;
      world.report.check('liveness: whole again', isWhole, () => `not after "${kind}"`, healMs);
      this.#wholeMs.push(wholeMs);
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + 1);
      const took = `${(healMs - startMs).toFixed(0)} ms, whole after ${wholeMs.toFixed(0)}`;
      this.#say(`${kind}: ${took}; ${this.#progress(world)}`);
      if (!isWhole) return;
      const restMs = faultEveryMs * (0.8 + 0.4 * random.float()) - (performance.now() - startMs);
      await sleep(Math.max(breathMs, restMs));
    }
  }

  #progress({ history, truth, report }: World): string {
    const { ok, failed, unknown } = history.counts;
    const broken = report.violationCount > 0 ? `, ${report.violationCount} VIOLATIONS` : '';
    return `${ok} ok, ${failed} failed, ${unknown} unknown, revision ${truth.revision}${broken}`;
  }

  async #end(world: World, load: Load, loadSeconds: number): Promise<Summary> {
    const { report, history, truth, cluster } = world;
    const { watches, observer } = load;
    const holders = load.leases.map(({ holder }) => holder);
    for (const watch of watches) watch.settle();
    this.#say('coming to rest');
    const revision = await comeToRest(world);
    await completeWatches(world, watches, revision);
    const endMs = performance.now();
    await compareMembers(world, revision);
    load.truth.stop();
    await load.following;
    this.#say('killing all of them once more');
    await killAllOnceMore(world, revision);
    world.closed = true;
    this.#say('checking');
    for (const watch of watches) report.add(watch.judge(true));
    const { windows, windowsLeftOut } = judge(world, holders, endMs);
    const options = this.#options;
    const sum = (of: (watch: WatchClient) => number): number =>
      watches.reduce((total, watch) => total + of(watch), 0);
    const whole = gapsOf(new Map([['', this.#wholeMs]]))[0];
    const summary: Omit<Summary, 'problems'> = {
      program: `${options.program} ${[...observer.versions].join()}`,
      seed: options.seed,
      members: options.size,
      minutes: options.minutes,
      operations: history.size,
      operationsPerSecond: history.counts.ok / loadSeconds,
      outcomes: history.counts,
      revisions: truth.revision,
      watchers: sum((watch) => watch.watchers),
      watchEvents: sum((watch) => watch.events),
      leases: holders.reduce((total, { leases }) => total + leases.length, 0),
      windows,
      windowsLeftOut,
      elections: observer.elections,
      term: observer.termMax,
      faults: Object.fromEntries(this.#faults),
      gaps: gapsOf(this.#measured),
      wholeAgainMs: { medianMs: whole?.medianMs ?? 0, maxMs: whole?.maxMs ?? 0 },
      peerConnections: cluster.wires.connections,
      harnessMb: Math.round(process.memoryUsage().rss / 2 ** 20),
      checks: checksOf(report),
      checkCount: report.checkCount,
      violationCount: report.violationCount,
      violations: report.violations,
    };
    return { ...summary, problems: problemsOf(options, summary) };
  }

  #say(text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(6);
    process.stdout.write(`${seconds}  ${text}\n`);
  }
}

/** Watchers that have ended are judged while the run goes on, and their messages let go. */
async function judgeNowAndThen(world: World, watches: readonly WatchClient[]): Promise<void> {
  while (!world.stopping) {
    await sleep(judgeEveryMs);
    for (const watch of watches) world.report.add(watch.judge(false));
  }
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(2);
  },
);
