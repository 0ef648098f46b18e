/**
 * `npm run bench:failover`: three members under a steady load of puts, and what their clients
 * notice when a member is paused (SIGSTOP) and when the leader is killed (kill -9), again and
 * again. The same for etcd with `--vs etcd`.
 *
 * A pause: latencies of puts through the two others, and the memory of the leader meanwhile. A
 * kill: the longest time between two answered puts of one client that goes on to the next member
 * when a call fails or takes longer than a second.
 */

import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { encodePutRequest } from '../src/proto/index.js';
import type { GrpcClient } from '../src/transport/index.js';
import { commandLine, numberOf, versusEtcd } from './arguments.js';
import { call, connect } from './load/pool.js';
import { methods } from './load/sources.js';
import { etcdVersion } from './machine.js';
import { memoryMb } from './proc.js';
import { type Cluster, type ServerKind, startCluster } from './servers.js';

const usage = `usage: npm run bench:failover -- [--vs etcd [--etcd PATH]]
         [--kills 20] [--rate 500] [--seconds 20]
`;
const memberCount = 3;
const valueBytes = 256;
/** How long a client waits before it tries another member. */
const patienceMs = 1000;
const settleMs = 3000;

interface Options {
  readonly kinds: readonly ServerKind[];
  /** The etcd to compare with. */
  readonly etcd: string;
  readonly kills: number;
  readonly rate: number;
  readonly seconds: number;
}

/** Undefined if help was asked for. Throws Error with a text for people. */
function parse(args: string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: {
      vs: text,
      etcd: text,
      kills: text,
      rate: text,
      seconds: text,
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return undefined;
  return {
    kinds: versusEtcd(values.vs) ? ['kvorum', 'etcd'] : ['kvorum'],
    etcd: values.etcd ?? 'etcd',
    kills: aboveZero('--kills', values.kills, 20),
    rate: aboveZero('--rate', values.rate, 500),
    seconds: aboveZero('--seconds', values.seconds, 20),
  };
}

function aboveZero(name: string, value: string | undefined, fallback: number): number {
  const number = numberOf(name, value, fallback);
  if (number === 0) throw new Error(`${name} must be above 0`);
  return number;
}

async function measure(kind: ServerKind, options: Options): Promise<void> {
  const { etcd, kills, rate, seconds } = options;
  const cluster = await startCluster(kind, memberCount, tmpdir(), { etcd });
  try {
    await pauseOne(kind, cluster, rate, seconds);
    await killLeaders(kind, cluster, kills);
  } finally {
    await cluster.remove();
  }
}

async function pauseOne(
  kind: ServerKind,
  cluster: Cluster,
  rate: number,
  seconds: number,
): Promise<void> {
  const leader = await leaderOf(cluster);
  const victim = (leader + 1) % memberCount;
  const endpoints = cluster.endpoints.filter((_none, i) => i !== victim);
  await load(endpoints, rate, 5); // warm-up
  const healthy = await load(endpoints, rate, seconds);
  const [pid = 0, leaderPid = 0] = [cluster.pids()[victim], cluster.pids()[leader]];
  const before = memoryMb(leaderPid).resident;
  process.kill(pid, 'SIGSTOP');
  const paused = await load(endpoints, rate, seconds);
  const after = memoryMb(leaderPid).resident;
  process.kill(pid, 'SIGCONT');
  await sleep(settleMs);
  const ms = ({ p50, p99 }: Latencies): string => `p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms`;
  say(`${kind}: ${rate} puts/s, all three: ${ms(healthy)}`);
  say(`${kind}: one follower paused:  ${ms(paused)} (x${(paused.p99 / healthy.p99).toFixed(2)})`);
  say(`${kind}: leader's memory ${before.toFixed(0)} -> ${after.toFixed(0)} MB in ${seconds} s`);
}

async function killLeaders(kind: ServerKind, cluster: Cluster, kills: number): Promise<void> {
  const gapsMs: number[] = [];
  for (let i = 0; i < kills; i++) {
    const leader = await leaderOf(cluster);
    const writer = new Writer(cluster.endpoints, (leader + 1) % memberCount);
    const running = writer.run();
    await sleep(500);
    writer.longestMs = 0;
    process.kill(cluster.pids()[leader] ?? 0, 'SIGKILL');
    await sleep(settleMs);
    writer.stop();
    await running;
    gapsMs.push(writer.longestMs);
    await cluster.startAgain(leader);
    await sleep(1000);
  }
  gapsMs.sort((a, b) => a - b);
  const at = (share: number): string =>
    (gapsMs[Math.min(gapsMs.length - 1, Math.floor(share * gapsMs.length))] ?? 0).toFixed(0);
  say(
    `${kind}: leader killed ${kills} times, without an answer for: median ${at(0.5)} ms, ` +
      `p90 ${at(0.9)} ms, longest ${at(1)} ms`,
  );
}

/** Index of the member that says of itself that it leads. */
async function leaderOf(cluster: Cluster): Promise<number> {
  for (;;) {
    for (const [i, endpoint] of cluster.endpoints.entries()) {
      const text = await fetch(`http://${endpoint}/metrics`)
        .then((reply) => reply.text())
        .catch(() => '');
      if (/^etcd_server_is_leader 1$/m.test(text)) return i;
    }
    await sleep(50);
  }
}

interface Latencies {
  readonly p50: number;
  readonly p99: number;
}

/** An open loop: puts at a steady rate, whether or not earlier ones were answered. */
async function load(
  endpoints: readonly string[],
  rate: number,
  seconds: number,
): Promise<Latencies> {
  const clients = await Promise.all(endpoints.map((endpoint) => connect(endpoint)));
  const latencies: number[] = [];
  const calls: Array<Promise<void>> = [];
  const startMs = performance.now();
  for (let i = 0; i < rate * seconds; i++) {
    const dueMs = startMs + (i * 1000) / rate;
    const waitMs = dueMs - performance.now();
    if (waitMs > 1) await sleep(waitMs);
    const client = clients[i % clients.length] as GrpcClient;
    // From when it was due: a stall of the generator must not hide one of the server.
    calls.push(put(client, i).then(() => void latencies.push(performance.now() - dueMs)));
  }
  await Promise.all(calls);
  for (const client of clients) client.destroy();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(share * latencies.length)] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}

async function put(client: GrpcClient, i: number, timeoutMs?: number): Promise<void> {
  const request = encodePutRequest({
    key: `key-${i % 1000}`,
    value: Buffer.alloc(valueBytes, i % 256),
    lease: 0n,
    prevKv: false,
    ignoreValue: false,
    ignoreLease: false,
  });
  await call(client, methods.put, request, timeoutMs);
}

/** One client that puts, one after the other, and goes on to the next member on trouble. */
class Writer {
  /** The longest time between two answers. */
  longestMs = 0;
  readonly #endpoints: readonly string[];
  #at: number;
  #stopped = false;

  constructor(endpoints: readonly string[], first: number) {
    this.#endpoints = endpoints;
    this.#at = first;
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<void> {
    let client: GrpcClient | undefined;
    let answeredMs = performance.now();
    for (let i = 0; !this.#stopped; i++) {
      try {
        client ??= await connect(this.#endpoints[this.#at] ?? '', patienceMs);
        await put(client, i, patienceMs);
        this.longestMs = Math.max(this.longestMs, performance.now() - answeredMs);
        answeredMs = performance.now();
      } catch {
        client?.destroy();
        client = undefined;
        this.#at = (this.#at + 1) % this.#endpoints.length;
        await sleep(10);
      }
    }
    // One that never was answered again counts as well.
    this.longestMs = Math.max(this.longestMs, performance.now() - answeredMs);
    client?.destroy();
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

// Last: what is above must be initialised by then.
const options = commandLine(usage, parse);
if (options.kinds.includes('etcd')) say(`etcd: ${etcdVersion(options.etcd)}`);
for (const kind of options.kinds) await measure(kind, options);
