/**
 * `npm run bench:generator`: our load generator beside etcd's own (`benchmark` of its tools), in
 * turn, against the same server: what the figures of the bench owe to who makes the load.
 */

import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { commandLine, numberOf, versusEtcd } from './arguments.js';
import { reportOf } from './generator-report.js';
import { keyOf } from './load/keys.js';
import { describeMachine } from './machine.js';
import { cpuSeconds } from './proc.js';
import { type Figures, loadFigures, medians } from './report.js';
import { runLoad, specOf } from './run-load.js';
import { type Cluster, type ServerKind, startCluster } from './servers.js';
import { markdownTable } from './table/markdown.js';
import { writeSection } from './table/page.js';

const usage = `usage: npm run bench:generator -- [--vs etcd [--etcd PATH]] [--benchmark PATH]
         [--node PATH] [--seconds 5] [--rounds 3] [--dir DIR] [--table]

  --vs etcd         against etcd as well as kvorum
  --benchmark PATH  etcd's generator (built from its Go module)
  --table           write the result into docs/benchmarks.md
`;
const keyBytes = 32;
const valueBytes = 256;
const keySpace = 100_000;

interface Options {
  readonly kinds: readonly ServerKind[];
  readonly etcd: string;
  readonly node: string;
  readonly benchmark: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly dir: string;
  readonly table: boolean;
}

/** Undefined if help was asked for. Throws Error with a text for people. */
function parse(args: string[]): Options | undefined {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const paths = { etcd: text, node: text, benchmark: text, dir: text };
  const { values } = parseArgs({
    args,
    options: { vs: text, ...paths, seconds: text, rounds: text, table: flag, help: flag },
  });
  if (values.help === true) return undefined;
  return {
    kinds: versusEtcd(values.vs) ? ['kvorum', 'etcd'] : ['kvorum'],
    etcd: values.etcd ?? 'etcd',
    node: values.node ?? process.execPath,
    benchmark: values.benchmark ?? 'benchmark',
    seconds: numberOf('--seconds', values.seconds, 5),
    rounds: numberOf('--rounds', values.rounds, 3),
    dir: values.dir ?? tmpdir(),
    table: values.table === true,
  };
}

const operations = ['put', 'range'] as const;
type Operation = (typeof operations)[number];

/** Both generators do the same as far as they can: a hundred connections, a thousand clients. */
async function ours(operation: Operation, cluster: Cluster, seconds: number): Promise<Figures> {
  const shape = { valueBytes, connections: 100, clients: 1000, callsPerSecond: 0 };
  // etcd's reads one key only.
  const keyCount = operation === 'put' ? keySpace : 1;
  const options = { ...shape, keyCount, seconds, warmupSeconds: 1 };
  const spec = specOf(operation, cluster.endpoints, cluster.pids(), options);
  const result = await runLoad({ ...spec, preload: operation === 'range' });
  if (result.errors > 0) throw new Error(`${result.errors} errors, ${result.firstError}`);
  return {
    [loadFigures.rate]: result.operations / result.seconds,
    [loadFigures.p50]: result.latencyMs.p50,
    [loadFigures.p99]: result.latencyMs.p99,
    [loadFigures.cpu]: (result.serverCpuSeconds * 1e6) / result.operations,
  };
}

function theirs(operation: Operation, cluster: Cluster, total: number, benchmark: string): Figures {
  const what =
    operation === 'put'
      ? [
          'put',
          `--key-size=${keyBytes}`,
          `--val-size=${valueBytes}`,
          `--key-space-size=${keySpace}`,
        ]
      : ['range', keyOf(0, keyBytes), '--consistency=l'];
  const common = [`--endpoints=${cluster.endpoints.join()}`, '--conns=100', '--clients=1000'];
  const serverCpu = (): number => cluster.pids().reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const cpuBefore = serverCpu();
  const run = spawnSync(benchmark, [...what, ...common, `--total=${total}`], {
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  const cpu = serverCpu() - cpuBefore;
  if (run.status !== 0) throw new Error(`${benchmark}: ${run.error?.message ?? run.stderr}`);
  return { ...reportOf(run.stdout), [loadFigures.cpu]: (cpu * 1e6) / total };
}

async function compare(kind: ServerKind, options: Options): Promise<string[][]> {
  const { rounds, seconds, benchmark, dir } = options;
  const cluster = await startCluster(kind, 1, dir, options);
  try {
    const lines: string[][] = [];
    for (const operation of operations) {
      const sides: [Figures[], Figures[]] = [[], []];
      for (let round = 0; round < rounds; round += 1) {
        const own = await ours(operation, cluster, seconds);
        const total = Math.max(1000, Math.round((own[loadFigures.rate] ?? 0) * seconds));
        sides[0].push(own);
        sides[1].push(theirs(operation, cluster, total, benchmark));
      }
      lines.push(lineOf(`${operation}, ${kind}`, medians(sides[0]), medians(sides[1])));
    }
    return lines;
  } finally {
    await cluster.remove();
  }
}

function lineOf(title: string, own: Figures, other: Figures): string[] {
  const { rate, p50, p99, cpu } = loadFigures;
  const pair = (name: string, digits: number): string =>
    `${(own[name] ?? 0).toFixed(digits)} / ${(other[name] ?? 0).toFixed(digits)}`;
  const ratio = ((own[rate] ?? 0) / (other[rate] ?? 1)).toFixed(2);
  return [title, pair(rate, 0), `${ratio}x`, pair(p50, 2), pair(p99, 2), pair(cpu, 1)];
}

// Last: what is above must be initialised by then.
const options = commandLine(usage, parse);
const both = options.kinds.includes('etcd');
const machine = describeMachine({ ...options, etcd: both ? options.etcd : undefined });
const lines: string[][] = [];
for (const kind of options.kinds) lines.push(...(await compare(kind, options)));
const head = [
  'load',
  'per second, ours / theirs',
  'ratio',
  'p50 ms',
  'p99 ms',
  'server CPU us each',
];
const text = `${machine.date.slice(0, 10)}, kvorum ${machine.kvorum}, Node ${machine.node}, \
etcd ${machine.etcd}; ${machine.cores} cores (${machine.cpu}); medians of ${options.rounds} rounds \
of ${options.seconds} s:

    npm run bench:generator --${both ? ' --vs etcd' : ''} --seconds ${options.seconds} \
--rounds ${options.rounds}

${markdownTable(head, lines)}`;
process.stdout.write(`${text}\n`);
if (options.table) writeSection('generator', text);
