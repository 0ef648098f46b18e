/** The command line of the bench. */

import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { loadFlags, loadOptionsOf, numberOf, versusEtcd } from './arguments.js';
import { workloads } from './load/workloads.js';
import { scenarios } from './scenarios/index.js';
import type { Security } from './security.js';
import { groupIds, usualGroupIds } from './table/groups.js';

/** One option with one value after the other. */
export interface Sweep {
  readonly option: 'value-bytes' | 'clients' | 'members';
  readonly values: readonly number[];
}

export interface BenchOptions {
  /** The etcd program to compare with; undefined: none. */
  readonly etcd: string | undefined;
  /** The Node that runs kvorum. */
  readonly node: string;
  /** Load these instead of starting servers; empty: start servers. */
  readonly endpoints: readonly string[];
  readonly only: readonly string[];
  readonly sweep: Sweep | undefined;
  /** Groups of the tables of docs/benchmarks.md to measure and write; empty: none. */
  readonly table: readonly string[];
  readonly quick: boolean;
  readonly seconds: number;
  readonly warmupSeconds: number;
  readonly rounds: number;
  readonly members: number;
  /** 0, here and below: as the workload says. */
  readonly keyCount: number;
  readonly valueBytes: number;
  readonly connections: number;
  readonly clients: number;
  readonly callsPerSecond: number;
  /** Revisions that a slow watcher is behind. */
  readonly behind: number;
  /** Where the servers keep their data. */
  readonly dir: string;
  readonly jsonFile: string;
  /** Mutual TLS on all ports. */
  readonly tls: boolean;
  /** Users as well, known by their certificates. */
  readonly auth: boolean;
}

/** With the certificates that it takes, if any. */
export type ServerOptions = BenchOptions & { readonly security: Security | undefined };

const all = [...workloads, ...scenarios];
const namesOf = (big: boolean): string[] =>
  all.filter(({ onlyWhenNamed = false }) => onlyWhenNamed === big).map(({ name }) => name);
const usual = namesOf(false);
const big = namesOf(true);
const memberCounts = [1, 3, 5];

export const usage = `usage: npm run bench -- [options]

  --vs etcd          run etcd in turn with kvorum and print ratios
  --etcd PATH        which etcd (3.7.3 built from its Go modules, else the one of the PATH)
  --node PATH        which Node runs kvorum (the one that runs this)
  --endpoints LIST   load these servers (host:port,...) instead of starting any
  --only LIST        comma-separated; default: all of
                     ${wrap(usual)}
                     and, not by default, as they take long or much:
                     ${wrap(big)}
  --sweep OPT=LIST   each of them with one value after the other of value-bytes, clients or
                     members, as in --sweep clients=1,4,16,64,1000
  --table LIST       measure the tables of docs/benchmarks.md and write them there: some of
                     ${wrap(groupIds)}
                     or all, which is all but large
  --quick            one round of 3 s after 1 s each, where nothing else is said
  --seconds S        measured time of each run (10)
  --warmup S         time before it (2)
  --rounds R         runs of each workload and server; the median counts (3)
  --members N        1, 3 or 5, all on this machine (1)
  --keys N           keys in the store, or that puts choose from (as the workload says: 100000,
                     kubernetes 10000, cold-range 200000, cold-range-cgroup 340000)
  --value-bytes N    (as the workload says: 256, the three above 3072)
  --connections N, --clients N, --rate N
                     override the workload's; a rate (calls/s) makes an open loop
  --behind N         revisions that slow-watcher is behind (100000)
  --tls              mutual TLS on all ports (needs the openssl program)
  --auth             users as well, known by their certificates; with --tls
  --dir DIR          data of the servers (the system's directory for temporary files)
  --json FILE        results for programs (bench/results/<date>.json)
`;

/** Parses the arguments; undefined if help was asked for. Throws Error with a text for people. */
export function parseOptions(args: readonly string[]): BenchOptions | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...loadFlags,
      vs: text,
      etcd: text,
      node: text,
      endpoints: text,
      only: text,
      sweep: text,
      table: text,
      quick: { type: 'boolean' },
      rounds: text,
      members: text,
      behind: text,
      dir: text,
      json: text,
      tls: { type: 'boolean' },
      auth: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const isVersusEtcd = versusEtcd(values.vs);
  if (values.auth === true && values.tls !== true) throw new Error('--auth needs --tls');
  if (values.tls === true && values.endpoints !== undefined) {
    throw new Error('--tls is for servers that the bench starts itself, not for --endpoints');
  }
  if (values.table !== undefined) checkTable(values);
  const members = memberCount('--members', numberOf('--members', values.members, 1));
  const quick = values.quick === true;
  const quickly = quick ? { seconds: '3', warmup: '1', rounds: '1' } : {};
  const told = { ...quickly, ...values };
  const date = new Date().toISOString().replace(/[:.]/g, '-');
  return {
    etcd: isVersusEtcd ? (values.etcd ?? 'etcd') : undefined,
    node: values.node ?? process.execPath,
    endpoints: list(values.endpoints),
    only: named('workload', list(values.only), [...usual, ...big], usual),
    sweep: values.sweep === undefined ? undefined : sweepOf(values.sweep),
    table: values.table === undefined ? [] : tableOf(values.table),
    quick,
    ...loadOptionsOf(told, 10),
    rounds: numberOf('--rounds', told.rounds, 3),
    members,
    behind: numberOf('--behind', values.behind, 100_000),
    dir: values.dir ?? tmpdir(),
    tls: values.tls === true,
    auth: values.auth === true,
    jsonFile: values.json ?? `bench/results/${date}.json`,
  };
}

/** The parts of `a,b`; none of nothing. */
export function list(value: string | undefined): string[] {
  return value === undefined ? [] : value.split(',').filter((each) => each !== '');
}

/** What a table is made of is written down; a table of something else would not be that table. */
function checkTable(values: Readonly<Record<string, unknown>>): void {
  if (values.vs !== 'etcd') throw new Error('--table is of both: --vs etcd');
  for (const name of ['only', 'sweep', 'members', 'tls', 'auth', 'endpoints', ...loadShape]) {
    if (values[name] !== undefined) throw new Error(`--table decides what --${name} says`);
  }
}

const loadShape = ['keys', 'value-bytes', 'connections', 'clients', 'rate'];

function tableOf(value: string): readonly string[] {
  if (value === 'all') return usualGroupIds;
  return named('table', list(value), groupIds, usualGroupIds);
}

function named(
  what: string,
  names: readonly string[],
  known: readonly string[],
  ifNone: readonly string[],
): readonly string[] {
  for (const name of names) {
    if (!known.includes(name)) throw new Error(`unknown ${what} "${name}"; see --help`);
  }
  return names.length > 0 ? names : ifNone;
}

function sweepOf(value: string): Sweep {
  const [name = '', values = ''] = value.split('=');
  const option = (['value-bytes', 'clients', 'members'] as const).find((each) => each === name);
  if (option === undefined) throw new Error(`--sweep ${name}: value-bytes, clients or members`);
  const numbers = list(values).map((each) => numberOf('--sweep', each, 0));
  if (numbers.length === 0 || numbers.includes(0)) {
    throw new Error(`--sweep ${value}: numbers above 0, with commas between`);
  }
  if (option === 'members') for (const each of numbers) memberCount('--sweep members', each);
  return { option, values: numbers };
}

function memberCount(name: string, members: number): number {
  if (!memberCounts.includes(members)) throw new Error(`${name} is one of ${memberCounts}`);
  return members;
}

/** Words in lines for the usage. */
function wrap(words: readonly string[]): string {
  const lines = [''];
  for (const word of words) {
    const line = lines.at(-1) ?? '';
    if (line.length + word.length > 70) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines.join(`\n${' '.repeat(21)}`);
}
