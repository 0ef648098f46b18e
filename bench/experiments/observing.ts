/**
 * What it costs a member to be observed: processor time of a put (all threads of the server) with
 * the audit and with traces, beside none of them. The servers take turns, A B C A B C; medians.
 *
 *     npm run build && node dist/bench/experiments/observing.js [puts a round] [rounds]
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '../../src/common/index.js';
import { encodePutRequest } from '../../src/proto/index.js';
import { nodeClock, nodeNetwork } from '../../src/server/platform/index.js';
import {
  createGrpcServer,
  type GrpcClient,
  type MethodHandler,
} from '../../src/transport/index.js';
import { commandLine, numberOf, wordsOf } from '../arguments.js';
import { connect } from '../load/pool.js';
import { cpuSeconds } from '../proc.js';
import { kvorumOfThis } from '../servers.js';

const usage = `usage: node dist/bench/experiments/observing.js [puts a round] [rounds]
       (20000 7)
`;
const [puts, rounds] = commandLine(usage, (args) => {
  const words = wordsOf(args, 2);
  if (words === undefined) return undefined;
  return [numberOf('puts', words[0], 20_000), numberOf('rounds', words[1], 7)] as const;
});
const clientsAtOnce = 64;
const putMethod = '/etcdserverpb.KV/Put';
const exportMethod = '/opentelemetry.proto.collector.trace.v1.TraceService/Export';

interface Subject {
  readonly name: string;
  readonly process: ChildProcess;
  readonly client: GrpcClient;
  readonly cpuUs: number[];
}

await main();

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-observing-'));
  const collector = createGrpcServer({
    clock: nodeClock,
    network: nodeNetwork,
    logger: silentLogger,
    methods: new Map<string, MethodHandler>([
      [exportMethod, { kind: 'unary', handle: (_spans, call) => call.reply(Buffer.alloc(0)) }],
    ]),
  });
  const { address } = await collector.listen({ host: '127.0.0.1', port: 0 }, undefined);
  const port = 'port' in address ? address.port : 0;
  const quiet = join(dir, 'quiet.yaml');
  writeFileSync(quiet, 'rules:\n  - prefixes: [k]\n    log: none\n');
  const tracing = [
    '--enable-distributed-tracing',
    `--distributed-tracing-address=127.0.0.1:${port}`,
  ];
  const share = (perMillion: number): string => `--distributed-tracing-sampling-rate=${perMillion}`;
  const variants: Readonly<Record<string, readonly string[]>> = {
    nothing: [],
    'nothing again': [],
    'audit of every put': ['--audit-log', join(dir, 'audit.log')],
    'audit whose rules leave the puts out': [
      ...['--audit-log', join(dir, 'quiet.log'), '--audit-rules', quiet],
    ],
    'traces on, no put traced': tracing,
    'traces of one put in a hundred': [...tracing, share(10_000)],
    'traces of every put': [...tracing, share(1_000_000)],
  };
  const subjects: Subject[] = [];
  try {
    for (const [name, flags] of Object.entries(variants)) {
      subjects.push(await start(name, join(dir, String(subjects.length)), flags));
    }
    for (let round = 0; round <= rounds; round++) {
      for (const subject of subjects) await measure(subject, round > 0);
    }
    report(subjects);
  } finally {
    for (const { client, process: child } of subjects) {
      client.destroy();
      child.kill('SIGKILL');
    }
    await collector.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function start(name: string, dataDir: string, flags: readonly string[]): Promise<Subject> {
  const [clientPort, peerPort] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${clientPort}`;
  const peers = `http://127.0.0.1:${peerPort}`;
  const args = [
    ...[`--data-dir=${dataDir}`, `--listen-client-urls=${url}`, `--advertise-client-urls=${url}`],
    ...[`--listen-peer-urls=${peers}`, `--initial-advertise-peer-urls=${peers}`],
    ...[`--initial-cluster=default=${peers}`, '--log-level=error', ...flags],
  ];
  const child = spawn(process.execPath, [kvorumOfThis, ...args], { stdio: 'inherit' });
  for (;;) {
    try {
      const client = await connect(`127.0.0.1:${clientPort}`);
      return { name, process: child, client, cpuUs: [] };
    } catch (error) {
      if (child.exitCode !== null) throw error;
      await sleep(50);
    }
  }
}

/** The first round warms up. */
async function measure({ client, cpuUs, process: child }: Subject, counts: boolean) {
  const value = Buffer.alloc(256, 'v');
  const pid = child.pid ?? 0;
  const beforeCpu = cpuSeconds(pid);
  let left = puts;
  const caller = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await put(client, encodePutRequest({ key: `k${left % 1000}`, value }));
    }
  };
  await Promise.all(Array.from({ length: clientsAtOnce }, caller));
  // What was gathered is written, or sent, within the second.
  await sleep(1200);
  if (!counts) return;
  cpuUs.push(((cpuSeconds(pid) - beforeCpu) / puts) * 1e6);
}

function put(client: GrpcClient, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    client.unary(putMethod, request, {}, ({ code, message }) => {
      if (code === 0) resolve();
      else reject(new Error(message));
    });
  });
}

/** Ratios are of rounds, beside both servers with nothing in that round: what else runs hits all. */
function report(subjects: readonly Subject[]): void {
  const [one, other] = subjects;
  const base = (one?.cpuUs ?? []).map((us, round) => (us + (other?.cpuUs[round] ?? us)) / 2);
  process.stdout.write('| | us of processor a put | beside nothing |\n|---|---|---|\n');
  for (const { cpuUs, name } of subjects) {
    const ratio = median(cpuUs.map((us, round) => us / (base[round] ?? Number.NaN)));
    process.stdout.write(`| ${name} | ${median(cpuUs).toFixed(1)} | ${ratio.toFixed(2)} |\n`);
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0));
    });
  });
}
