/** What the bench tells a load process to do, and what it hears back. */

import type { Identity } from './identity.js';

/** One load, ready to run. */
export interface LoadSpec {
  readonly workload: string;
  /** `host:port` each; connections are spread over them. */
  readonly endpoints: readonly string[];
  /** Processes whose CPU time counts as the server's; empty if they run elsewhere. */
  readonly serverPids: readonly number[];
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly connections: number;
  /** Logical clients, spread over the connections; each has one call in flight. */
  readonly clients: number;
  /** Keys in the store, or the space that puts choose from. */
  readonly keyCount: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly keyOrder: 'random' | 'sequential';
  /** Open loop: calls started per second, whatever comes back; 0: closed loop. */
  readonly callsPerSecond: number;
  /** Write `keyCount` keys first. */
  readonly preload: boolean;
  /** Knock until the first endpoint answers a put: the servers are being started. */
  readonly awaitsServer?: boolean;
  readonly seed: number;
  /** By TLS, as whoever it names; undefined: without. */
  readonly identity?: Identity | undefined;
}

/** To the load process. */
export interface LoadOrder {
  readonly spec: LoadSpec;
  /** It says when the measured time is about to begin and when it is over, and waits for a word. */
  readonly announces: boolean;
  /** The measured time goes on until so many have been done, or failed. */
  readonly operationsMin: number;
}

export interface LatencyMs {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** One kind of operation of a load that has several. */
export interface RowResult {
  readonly name: string;
  readonly operations: number;
  readonly latencyMs: LatencyMs;
}

/** What was measured in the window of `seconds`. */
export interface LoadResult {
  readonly operations: number;
  readonly errors: number;
  /** '' if there was none. */
  readonly firstError: string;
  readonly seconds: number;
  readonly latencyMs: LatencyMs;
  readonly rows: readonly RowResult[];
  /** User + system time of all threads of the servers. */
  readonly serverCpuSeconds: number;
  readonly generatorCpuSeconds: number;
  /** Everything that ran on this machine, these two included. */
  readonly machineCpuSeconds: number;
}

/** To a load process that runs. */
export type LoadControl =
  /** After `opens` and `closed`. */
  | { readonly type: 'go on' }
  /** What is done from now on is counted in a row of that name as well. */
  | { readonly type: 'phase'; readonly name: string }
  /** The measured time is over now. */
  | { readonly type: 'finish' };

/** From the load process to the bench. */
export type LoadMessage =
  | { readonly type: 'opens' }
  | { readonly type: 'closed' }
  | { readonly type: 'result'; readonly result: LoadResult }
  | { readonly type: 'failed'; readonly message: string };
