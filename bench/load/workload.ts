/** What a workload is; the workloads themselves are in workloads.ts and scenario-loads.ts. */

import type { GrpcClient } from '../../src/transport/index.js';
import { type CallSource, type RunningLoad, startLoop } from './loops.js';
import type { Recorder } from './recorder.js';
import type { LoadSpec } from './types.js';

/** kvorum's figure divided by the other server's must be at least or at most this. */
export interface Budget {
  readonly rateMin?: number;
  readonly cpuMax?: number;
  readonly p50Max?: number;
  readonly p99Max?: number;
  /** Of the memory that is resident after the load. */
  readonly residentMax?: number;
  /** Of each row, where there are several. */
  readonly rows?: RowBudget;
  /** Throughput goal where several members share the machine. */
  readonly rateMinCluster?: number;
  /** Throughput goal with mutual TLS. */
  readonly rateMinTls?: number;
}

export interface RowBudget {
  readonly names: readonly string[];
  readonly p50Max: number;
  readonly p99Max: number;
}

export interface Workload {
  readonly name: string;
  /** What one operation is. */
  readonly unit: string;
  readonly connections: number;
  readonly clients: number;
  /** The store must hold `keyCount` keys; such workloads share one server run. */
  readonly reads: boolean;
  /** It takes so long, or so much, that it runs only if it is asked for by name. */
  readonly onlyWhenNamed?: boolean;
  /** Memory of each server, page cache included, by a cgroup; undefined: all of the machine's. */
  readonly memoryLimitMb?: number;
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

/** Unary calls in a loop. */
export function calls(
  name: string,
  unit: string,
  shape: Omit<Workload, 'name' | 'unit' | 'start'>,
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
