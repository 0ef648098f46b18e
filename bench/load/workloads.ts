/**
 * The workloads by name, modelled on etcd's tools/benchmark, with the budget of each
 * (docs/benchmarks.md). Used by the bench, which runs servers, and by the load process.
 */

import {
  kubernetesConnections,
  kubernetesRows,
  kubernetesWriters,
  startKubernetes,
} from './kubernetes/load.js';
import { scenarioLoads } from './scenario-loads.js';
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
import { type Budget, calls, type Workload } from './workload.js';

const many = { connections: 100, clients: 1000 } as const;
const one = { connections: 1, clients: 1 } as const;
const few = { connections: 4, clients: 4 } as const;
const sixteen = { connections: 16, clients: 16 } as const;
/** 600 MB: ten times what kvorum once kept in memory. */
const cold = { keyCount: 200_000, valueBytes: 3072 } as const;
/** Four times the memory that a server has in its cgroup. */
const coldCgroup = { keyCount: 340_000, valueBytes: 3072 } as const;
const cgroupMb = 256;

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

const writeBudget: Budget = {
  rateMin: 3,
  cpuMax: 0.25,
  p99Max: 0.5,
  residentMax: 1,
  rateMinCluster: 2.5,
  rateMinTls: 5,
};
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
  calls(
    'put-64',
    'put',
    {
      connections: 64,
      clients: 64,
      reads: false,
      budget: { rateMin: 2, rateMinCluster: 2 },
    },
    putSource,
  ),
  calls('put-one', 'put', { ...one, reads: false, budget: { p50Max: 1, p99Max: 1 } }, putSource),
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
  calls(
    'cold-range',
    'range of one of all keys',
    { ...sixteen, reads: true, defaults: cold, budget: { rateMin: 2, residentMax: 1 } },
    (spec) => rangeSource(spec, false),
  ),
  calls(
    'cold-range-serializable',
    'range of one of all keys',
    { ...sixteen, reads: true, defaults: cold, budget: { rateMin: 2, residentMax: 1 } },
    (spec) => rangeSource(spec, true),
  ),
  calls(
    'cold-range-cgroup',
    'range of one of all keys',
    {
      ...sixteen,
      reads: true,
      memoryLimitMb: cgroupMb,
      defaults: coldCgroup,
      budget: { rateMin: 1 },
    },
    (spec) => rangeSource(spec, false),
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
  calls(
    'connections-10k',
    'put',
    {
      connections: 10_000,
      clients: 10_000,
      reads: false,
      onlyWhenNamed: true,
      defaults: { callsPerSecond: 1000 },
      budget: { p99Max: 1, residentMax: 1 },
    },
    putSource,
  ),
  {
    ...watches(
      'watchers-100k',
      1000,
      { p99Max: 1, residentMax: 1 },
      { watchers: 100_000, putsAheadMax: 0, putsPerSecond: 1000, ownKeys: true },
    ),
    onlyWhenNamed: true,
  },
];

export function workloadOf(name: string): Workload {
  const found = [...workloads, ...scenarioLoads].find((workload) => workload.name === name);
  if (found === undefined) throw new Error(`no workload "${name}"`);
  return found;
}
