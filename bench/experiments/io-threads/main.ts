/**
 * Measures what a thread of its own for sockets takes off the thread that runs Raft, and what it
 * costs (docs/adr/0013-io-threads.md). Needs Node.js 22.12 or later.
 *
 *     npm run build && node dist/bench/experiments/io-threads/main.js
 *     node dist/bench/experiments/io-threads/main.js --only put,range --rounds 3 --seconds 5
 */

import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commandLine, numberOf } from '../../arguments.js';
import { connect } from '../../load/pool.js';
import type { LoadResult } from '../../load/types.js';
import { runLoad, specOf } from '../../run-load.js';
import { makeSecurity, type Security } from '../../security.js';
import type { MemberCounts, MemberOrder, MemberReady } from './server.js';
import { type ThreadTimes, threadTimes } from './thread-times.js';

interface Row {
  readonly workload: string;
  readonly tls?: boolean;
  readonly clients?: number;
  readonly connections?: number;
  /** TLS connections that are opened at once when the measured time begins. */
  readonly storm?: number;
  readonly callsPerSecond?: number;
}

const rows: Readonly<Record<string, Row>> = {
  put: { workload: 'put' },
  range: { workload: 'range' },
  'watch-100': { workload: 'watch-100' },
  'watch-own': { workload: 'watch-100', connections: 100 },
  'put-one': { workload: 'put-one' },
  'range-one': { workload: 'range', connections: 1, clients: 1 },
  'put-tls': { workload: 'put', tls: true },
  'range-tls': { workload: 'range', tls: true },
  'put-storm': { workload: 'put', tls: true, storm: 1000, callsPerSecond: 2000 },
};

/** Sockets in the one thread; in others, as --io-threads; in others with TLS, HTTP/2 and gRPC. */
type Mode = 'one' | 'bytes' | 'calls';

function modeOf(word: string): Mode {
  if (word === 'one' || word === 'bytes' || word === 'calls') return word;
  throw new Error(`no mode "${word}"`);
}

const usage = `usage: main.js [--only ROWS] [--rounds 2] [--seconds 4] [--warmup 2]
       [--modes one,bytes,calls] [--threads 1]
       [--dir .]; rows: ${Object.keys(rows).join(', ')}
`;
const text = { type: 'string' } as const;
const options = commandLine(usage, (args) => {
  const flags = {
    only: text,
    rounds: text,
    seconds: text,
    warmup: text,
    threads: text,
    modes: text,
    dir: text,
  };
  const { values } = parseArgs({ args, options: { ...flags, help: { type: 'boolean' } } });
  if (values.help === true) return undefined;
  return {
    only: (values.only ?? Object.keys(rows).join(',')).split(','),
    rounds: numberOf('--rounds', values.rounds, 2),
    seconds: numberOf('--seconds', values.seconds, 4),
    warmupSeconds: numberOf('--warmup', values.warmup, 2),
    modes: (values.modes ?? 'one,bytes,calls').split(',').map(modeOf),
    threads: numberOf('--threads', values.threads, 1),
    dir: values.dir ?? '.',
  };
});

const dir = mkdtempSync(join(options.dir, 'io-threads-'));
let members = 0;
try {
  await main();
} finally {
  rmSync(dir, { recursive: true, force: true });
}

async function main(): Promise<void> {
  console.log(`Node ${process.versions.node}; us of CPU an operation`);
  for (const name of options.only) {
    const row = rows[name];
    if (row === undefined) throw new Error(`no row "${name}"\n${usage}`);
    const security = row.tls === true ? makeSecurity(join(dir, `tls-${name}`)) : undefined;
    for (let round = 0; round < options.rounds; round += 1) {
      for (const mode of options.modes) await measure(name, row, mode, security);
    }
  }
}

async function measure(name: string, row: Row, mode: Mode, security?: Security) {
  const member = await startMember(mode, security);
  try {
    const { pid = 0 } = member.process;
    let before: ThreadTimes | undefined;
    let after: ThreadTimes | undefined;
    let counts: MemberCounts | undefined;
    let storm: Promise<number> | undefined;
    const spec = {
      ...specOf(row.workload, [member.endpoint], [pid], loadOptions(row, security)),
      preload: row.workload === 'range',
    };
    const result = await runLoad(spec, {
      operationsMin: 0,
      async opens() {
        await ask<MemberCounts>(member.process, 'counts');
        before = threadTimes(pid, member.threads);
        if (row.storm !== undefined) storm = openMany(member.endpoint, row.storm, security);
      },
      async closed() {
        after = threadTimes(pid, member.threads);
        counts = await ask<MemberCounts>(member.process, 'counts');
      },
    });
    const stormMs = await storm;
    if (before === undefined || after === undefined) throw new Error('nothing was measured');
    console.log(lineOf(name, mode, result, before, after, counts, stormMs));
  } finally {
    member.process.kill('SIGKILL');
  }
}

function loadOptions(row: Row, security: Security | undefined) {
  const { seconds, warmupSeconds } = options;
  const { callsPerSecond = 0, clients = 0, connections = 0 } = row;
  const load = { seconds, warmupSeconds, callsPerSecond, clients, connections };
  return { ...load, keyCount: 10_000, valueBytes: 256, security };
}

function lineOf(
  name: string,
  mode: Mode,
  result: LoadResult,
  before: ThreadTimes,
  after: ThreadTimes,
  counts: MemberCounts | undefined,
  stormMs: number | undefined,
): string {
  const { operations, seconds, latencyMs, errors, firstError } = result;
  const each = (kind: keyof ThreadTimes): string =>
    (((after[kind] - before[kind]) * 1e6) / operations).toFixed(2);
  const core = ((after.core - before.core) * 1e6) / operations;
  const busy = (kind: keyof ThreadTimes): string =>
    `${Math.round(((after[kind] - before[kind]) / seconds) * 100)} %`;
  const parts = [
    `${name.padEnd(10)} ${mode.padEnd(5)}: ${Math.round(operations / seconds)}/s`,
    `core ${each('core')} (allows ${Math.round(1e6 / core)}/s, busy ${busy('core')})`,
    `sockets ${each('sockets')} (busy ${busy('sockets')}), others ${each('others')}`,
    `p50 ${latencyMs.p50.toFixed(3)} p99 ${latencyMs.p99.toFixed(3)} ms`,
  ];
  if (counts !== undefined && counts.turns > 0) {
    parts.push(`${(counts.records / counts.turns).toFixed(1)} records a turn`);
    parts.push(`${(operations / Math.max(1, counts.rung)).toFixed(1)} operations a wake-up`);
  }
  if (stormMs !== undefined) parts.push(`storm over after ${Math.round(stormMs)} ms`);
  if (errors > 0) parts.push(`${errors} ERRORS: ${firstError}`);
  return parts.join('; ');
}

/** Resolves with the milliseconds that it took until all were connected. */
async function openMany(endpoint: string, count: number, security?: Security): Promise<number> {
  const startMs = performance.now();
  const opening = Array.from({ length: count }, () => connect(endpoint, 30_000, security?.worker));
  const opened = await Promise.allSettled(opening);
  const tookMs = performance.now() - startMs;
  let failed = 0;
  for (const one of opened) {
    if (one.status === 'fulfilled') one.value.destroy();
    else failed += 1;
  }
  if (failed > 0) console.log(`${failed} connections of the storm failed`);
  return tookMs;
}

interface RunningMember extends MemberReady {
  readonly process: ChildProcess;
}

async function startMember(mode: Mode, security?: Security): Promise<RunningMember> {
  const scheme = security === undefined ? 'http' : 'https';
  const flags: Record<string, string> = {
    name: 'm0',
    'data-dir': join(dir, `member-${members++}`),
    'listen-client-urls': `${scheme}://127.0.0.1:0`,
    'advertise-client-urls': `${scheme}://127.0.0.1:0`,
    'listen-peer-urls': `${scheme}://127.0.0.1:0`,
    'initial-advertise-peer-urls': `${scheme}://127.0.0.1:1`,
    'initial-cluster': `m0=${scheme}://127.0.0.1:1`,
    'log-level': 'warn',
    ...security?.flags,
    ...(mode === 'bytes' ? { 'io-threads': String(options.threads) } : {}),
  };
  const order: MemberOrder = {
    flags: Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`),
    socketThreads: mode === 'calls' ? options.threads : 0,
    tls: security === undefined ? undefined : pathsOf(security),
  };
  const child = fork(fileURLToPath(new URL('./server.js', import.meta.url)));
  const ready = await ask<MemberReady>(child, order);
  return { ...ready, process: child };
}

function pathsOf({ flags }: Security): NonNullable<MemberOrder['tls']> {
  const path = (flag: string): string => flags[flag] ?? '';
  return { cert: path('cert-file'), key: path('key-file'), ca: path('trusted-ca-file') };
}

function ask<Answer>(child: ChildProcess, question: MemberOrder | 'counts'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const early = (): void => reject(new Error('the member has ended'));
    child.once('exit', early);
    child.once('message', (answer) => {
      child.off('exit', early);
      resolve(answer as Answer);
    });
    child.send(question);
  });
}
