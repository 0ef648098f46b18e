/**
 * The workloads by name, modelled on etcd's tools/benchmark, with the budget of each
 * (docs/benchmarks.md). Used by the bench, which runs servers, and by the load process.
 */

import type { GrpcClient } from '../../src/transport/index.js';
import {
  kubernetesConnections,
  kubernetesRows,
  kubernetesWriters,
  startKubernetes,
} from './kubernetes/load.js';
import { type CallSource, type RunningLoad, startLoop } from './loops.js';
import type { Recorder } from './recorder.js';
import {
  bigRangeKeys,
  fullRangeSource,
  leaseGrantSource,
  putSource,
  rangeSource,
  txnMixedSource,
  txnPutSource,
} from './sources.js';
import { startKeepAlive, startWatch, type WatchLoad } from './streams.js';
import type { LoadSpec } from './types.js';

/** kvorum's figure divided by the other server's must be at least or at most this. */
export interface Budget {
  readonly rateMin?: number;
  readonly cpuMax?: number;
  readonly p50Max?: number;
  readonly p99Max?: number;
  /** The same of each row, where there are several. */
  readonly rows?: {
    readonly names: readonly string[];
    readonly p50Max: number;
    readonly p99Max: number;
  };
  /** Throughput goal where three members share the machine. */
  readonly rateMinCluster?: number;
}

export interface Workload {
  readonly name: string;
  /** What one operation is. */
  readonly unit: string;
  readonly connections: number;
  readonly clients: number;
  /** The store must hold `keyCount` keys; such workloads share one server run. */
  readonly reads: boolean;
  /** Where the command line says nothing. */
  readonly defaults?: Partial<Pick<LoadSpec, 'keyCount' | 'valueBytes' | 'callsPerSecond'>>;
  readonly overrides?: Partial<LoadSpec>;
  readonly budget: Budget;
  start(
    pool: readonly GrpcClient[],
    spec: LoadSpec,
    recorder: Recorder,
  ): RunningLoad | Promise<RunningLoad>;
}

const many = { connections: 100, clients: 1000 } as const;
const one = { connections: 1, clients: 1 } as const;
const few = { connections: 4, clients: 4 } as const;

function calls(
  name: string,
  unit: string,
  shape: Pick<Workload, 'connections' | 'clients' | 'reads' | 'overrides' | 'budget'>,
  source: (spec: LoadSpec) => CallSource,
): Workload {
  return {
    name,
    unit,
    ...shape,
    start: (pool, spec, recorder) =>
      startLoop({
        pool,
        recorder,
        source: source(spec),
        clients: spec.clients,
        callsPerSecond: spec.callsPerSecond,
      }),
  };
}

function watches(name: string, connections: number, budget: Budget, load: WatchLoad): Workload {
  return {
    name,
    unit: 'event delivered',
    connections,
    clients: load.watchers,
    reads: false,
    budget,
    start: (pool, spec, recorder) => startWatch(pool, spec, recorder, load),
  };
}

/** 3 kB values; `callsPerSecond`: of an open loop. */
function kubernetes(name: string, callsPerSecond: number): Workload {
  return {
    name,
    unit: 'write, get or page of a list',
    connections: kubernetesConnections,
    clients: kubernetesWriters,
    reads: false,
    defaults: { keyCount: 10_000, valueBytes: 3072, callsPerSecond },
    budget: { cpuMax: 0.5, rows: { names: kubernetesRows, p50Max: 0.5, p99Max: 1 } },
    start: startKubernetes,
  };
}

const writeBudget: Budget = { rateMin: 2.5, cpuMax: 1 / 3, p99Max: 0.5, rateMinCluster: 2 };
const doubled: Budget = { rateMin: 2 };
const watched: Budget = { rateMin: 2 };

export const workloads: readonly Workload[] = [
  calls('put', 'put', { ...many, reads: false, budget: writeBudget }, putSource),
  calls(
    'put-8b',
    'put',
    {
      ...many,
      reads: false,
      overrides: { keyBytes: 8, keyOrder: 'sequential' },
      budget: writeBudget,
    },
    putSource,
  ),
  calls('put-one', 'put', { ...one, reads: false, budget: { p50Max: 1 } }, putSource),
  calls('txn-put', 'txn', { ...many, reads: false, budget: doubled }, txnPutSource),
  calls('txn-mixed', 'txn', { ...many, reads: false, budget: doubled }, txnMixedSource),
  calls('range', 'range', { ...many, reads: true, budget: { rateMin: 4 } }, (spec) =>
    rangeSource(spec, false),
  ),
  calls('range-serializable', 'range', { ...many, reads: true, budget: { rateMin: 4 } }, (spec) =>
    rangeSource(spec, true),
  ),
  calls('range-10k', 'range of 10k keys', { ...few, reads: true, budget: doubled }, (spec) =>
    fullRangeSource(spec, { limit: bigRangeKeys }),
  ),
  calls('count', 'count of all keys', { ...few, reads: true, budget: doubled }, (spec) =>
    fullRangeSource(spec, { countOnly: true }),
  ),
  calls('keys-only', 'list of all keys', { ...few, reads: true, budget: doubled }, (spec) =>
    fullRangeSource(spec, { keysOnly: true }),
  ),
  watches('watch-1', 100, watched, { watchers: 1, putsAheadMax: 1000, putsPerSecond: 0 }),
  watches('watch-100', 10, watched, { watchers: 100, putsAheadMax: 100, putsPerSecond: 0 }),
  watches('watch-10k', 100, watched, { watchers: 10_000, putsAheadMax: 4, putsPerSecond: 0 }),
  watches(
    'watch-latency',
    10,
    { p99Max: 1 },
    {
      watchers: 10,
      putsAheadMax: 0,
      putsPerSecond: 1000,
    },
  ),
  calls('lease-grant', 'grant', { ...many, reads: false, budget: doubled }, leaseGrantSource),
  {
    name: 'lease-keepalive',
    unit: 'keep-alive',
    ...many,
    reads: false,
    budget: doubled,
    start: startKeepAlive,
  },
  kubernetes('kubernetes', 0),
  kubernetes('kubernetes-100', 100),
  kubernetes('kubernetes-1000', 1000),
];

export function workloadOf(name: string): Workload {
  const found = workloads.find((workload) => workload.name === name);
  if (found === undefined) throw new Error(`no workload "${name}"`);
  return found;
}
