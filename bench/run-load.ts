/** Runs loads, each in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadControl, LoadMessage, LoadOrder, LoadResult, LoadSpec } from './load/types.js';
import type { Workload } from './load/workload.js';
import { workloadOf } from './load/workloads.js';
import type { BenchOptions } from './options.js';
import type { Security } from './security.js';

const loadProcess = fileURLToPath(new URL('./load/main.js', import.meta.url));
const keyBytesDefault = 32;
const valueBytesDefault = 256;
/** Keys in the store, or that puts choose from, where nobody says otherwise. */
export const keyCountDefault = 100_000;
/** More at once would measure the memory of whoever sends it. */
const bytesInFlightMax = 64 * 1024 * 1024;

const running = new Set<ChildProcess>();

/** Ends the loads that run now, if any: their promises reject. */
export function stopLoad(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** What a load needs of the options. */
export type LoadOptions = Pick<
  BenchOptions,
  | 'seconds'
  | 'warmupSeconds'
  | 'keyCount'
  | 'valueBytes'
  | 'connections'
  | 'clients'
  | 'callsPerSecond'
> & { readonly security?: Security | undefined };

/** Who wants to do something just before the measured time begins, and just after it. */
export interface LoadWindow {
  /** The measured time goes on until so many operations have been done, or failed. */
  readonly operationsMin: number;
  /** The load runs and is warm; it is measured from when this resolves. */
  opens(): Promise<void>;
  /** Nothing is measured any more; the load goes on until this resolves. */
  closed(): Promise<void>;
}

/** A load that runs. */
export interface LoadRun {
  /** Rejects if the load process fails as a whole; failed operations are part of the result. */
  readonly result: Promise<LoadResult>;
  /** What is done from now on is counted in a row of this name as well. */
  phase(name: string): void;
  /** Ends the measured time. */
  finish(): void;
}

/** What the options and the workload together say. */
export function specOf(
  name: string,
  endpoints: readonly string[],
  serverPids: readonly number[],
  options: LoadOptions,
): LoadSpec {
  const workload = workloadOf(name);
  const { keyCount, valueBytes, callsPerSecond } = {
    keyCount: keyCountDefault,
    valueBytes: valueBytesDefault,
    callsPerSecond: 0,
    ...workload.defaults,
  };
  const bytes = options.valueBytes || valueBytes;
  const clients = clientsOf(workload, options.clients, bytes);
  return {
    workload: name,
    endpoints,
    serverPids,
    warmupSeconds: options.warmupSeconds,
    seconds: options.seconds,
    connections: options.connections || connectionsOf(workload, clients),
    clients,
    keyCount: options.keyCount || keyCount,
    keyBytes: keyBytesDefault,
    valueBytes: bytes,
    keyOrder: 'random',
    callsPerSecond: options.callsPerSecond || callsPerSecond,
    preload: false,
    seed: 1,
    identity: options.security?.worker,
    ...workload.overrides,
  };
}

/** As many as were asked for; fewer of their own accord where values are large. */
function clientsOf({ clients }: Workload, asked: number, valueBytes: number): number {
  if (asked > 0) return asked;
  return Math.min(clients, Math.max(1, Math.floor(bytesInFlightMax / valueBytes)));
}

/** A client needs no more than one; those that no client has are kept. */
function connectionsOf({ connections, clients }: Workload, asked: number): number {
  if (connections > clients) return connections - clients + asked;
  return Math.min(connections, asked);
}

/** Rejects if the load process fails as a whole; failed operations are part of the result. */
export function runLoad(spec: LoadSpec, window?: LoadWindow): Promise<LoadResult> {
  return startLoad(spec, window).result;
}

/** As {@link runLoad}, for whoever has something to say meanwhile. */
export function startLoad(spec: LoadSpec, window?: LoadWindow): LoadRun {
  const child = fork(loadProcess);
  running.add(child);
  const tell = (control: LoadControl): void => {
    if (child.connected) child.send(control);
  };
  const result = new Promise<LoadResult>((resolve, reject) => {
    let answered = false;
    const fail = (error: unknown): void => {
      answered = true;
      child.kill('SIGKILL');
      reject(error);
    };
    const goOn = (): void => tell({ type: 'go on' });
    child.on('message', (message: LoadMessage) => {
      if (message.type === 'opens') window?.opens().then(goOn, fail);
      else if (message.type === 'closed') window?.closed().then(goOn, fail);
      else answered = true;
      if (message.type === 'result') resolve(message.result);
      else if (message.type === 'failed') reject(new Error(message.message));
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      running.delete(child);
      if (!answered) reject(new Error(`the load process ended with ${signal ?? code}`));
    });
    const operationsMin = window?.operationsMin ?? 0;
    const order: LoadOrder = { spec, announces: window !== undefined, operationsMin };
    child.send(order);
  });
  return {
    result,
    phase: (name) => tell({ type: 'phase', name }),
    finish: () => tell({ type: 'finish' }),
  };
}
