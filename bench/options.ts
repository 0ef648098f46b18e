/** The command line of the bench. */

import { tmpdir } from 'node:os';
import { parseArgs } from 'node:util';
import { loadFlags, loadOptionsOf, numberOf } from './arguments.js';
import { workloads } from './load/workloads.js';
import { scenarioNames } from './scenarios.js';

export interface BenchOptions {
  /** The etcd program to compare with; undefined: none. */
  readonly etcd: string | undefined;
  /** Load these instead of starting servers; empty: start servers. */
  readonly endpoints: readonly string[];
  readonly only: readonly string[];
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
  /** Where the servers keep their data. */
  readonly dir: string;
  readonly jsonFile: string;
  /** Mutual TLS on all ports. */
  readonly tls: boolean;
  /** Users as well, known by their certificates. */
  readonly auth: boolean;
}

export const usage = `usage: npm run bench -- [options]

  --vs etcd          run etcd in turn with kvorum and print ratios
  --etcd PATH        which etcd (3.7.3 built from its Go modules, else the one of the PATH)
  --endpoints LIST   load these servers (host:port,...) instead of starting any
  --only LIST        comma-separated; default: all of
                     ${workloads.map((each) => each.name).join(' ')}
                     ${scenarioNames.join(' ')}
  --seconds S        measured time of each run (10)
  --warmup S         time before it (2)
  --rounds R         runs of each workload and server; the median counts (3)
  --members N        1 or 3, all on this machine (1)
  --keys N           keys in the store, or that puts choose from (100000; kubernetes: 10000)
  --value-bytes N    (256; kubernetes: 3072)
  --connections N, --clients N, --rate N
                     override the workload's; a rate (calls/s) makes an open loop
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
      endpoints: text,
      only: text,
      rounds: text,
      members: text,
      dir: text,
      json: text,
      tls: { type: 'boolean' },
      auth: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  if (values.vs !== undefined && values.vs !== 'etcd') throw new Error('--vs knows only etcd');
  if (values.auth === true && values.tls !== true) throw new Error('--auth needs --tls');
  if (values.tls === true && values.endpoints !== undefined) {
    throw new Error('--tls is for servers that the bench starts itself, not for --endpoints');
  }
  const members = numberOf('--members', values.members, 1);
  if (members !== 1 && members !== 3) throw new Error('--members is 1 or 3');
  const known = [...workloads.map((each) => each.name), ...scenarioNames];
  const only = list(values.only);
  for (const name of only) {
    if (!known.includes(name)) throw new Error(`unknown workload "${name}"; see --help`);
  }
  const date = new Date().toISOString().replace(/[:.]/g, '-');
  return {
    etcd: values.vs === 'etcd' ? (values.etcd ?? 'etcd') : undefined,
    endpoints: list(values.endpoints),
    only: only.length > 0 ? only : known,
    ...loadOptionsOf(values, 10),
    rounds: numberOf('--rounds', values.rounds, 3),
    members,
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
