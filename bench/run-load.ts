/** Runs one load in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadMessage, LoadOrder, LoadResult, LoadSpec } from './load/types.js';
import { workloadOf } from './load/workloads.js';
import type { BenchOptions } from './options.js';
import type { Security } from './security.js';

const loadProcess = fileURLToPath(new URL('./load/main.js', import.meta.url));
const keyBytesDefault = 32;
const valueBytesDefault = 256;
/** Keys in the store, or that puts choose from, where nobody says otherwise. */
export const keyCountDefault = 100_000;

let running: ChildProcess | undefined;

/** Ends the load that runs now, if any: its promise rejects. */
export function stopLoad(): void {
  running?.kill('SIGKILL');
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

/** What the options and the workload together say. */
export function specOf(
  name: string,
  endpoints: readonly string[],
  serverPids: readonly number[],
  options: LoadOptions,
): LoadSpec {
  const workload = workloadOf(name);
  return {
    workload: name,
    endpoints,
    serverPids,
    warmupSeconds: options.warmupSeconds,
    seconds: options.seconds,
    connections: options.connections || workload.connections,
    clients: options.clients || workload.clients,
    keyCount: options.keyCount || (workload.defaults?.keyCount ?? keyCountDefault),
    keyBytes: keyBytesDefault,
    valueBytes: options.valueBytes || (workload.defaults?.valueBytes ?? valueBytesDefault),
    keyOrder: 'random',
    callsPerSecond: options.callsPerSecond || (workload.defaults?.callsPerSecond ?? 0),
    preload: false,
    seed: 1,
    identity: options.security?.worker,
    ...workload.overrides,
  };
}

/** Rejects if the load process fails as a whole; failed operations are part of the result. */
export function runLoad(spec: LoadSpec, window?: LoadWindow): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(loadProcess);
    running = child;
    let answered = false;
    const fail = (error: unknown): void => {
      answered = true;
      child.kill('SIGKILL');
      reject(error);
    };
    child.on('message', (message: LoadMessage) => {
      if (message.type === 'opens') window?.opens().then(() => child.send('go on'), fail);
      else if (message.type === 'closed') window?.closed().then(() => child.send('go on'), fail);
      else answered = true;
      if (message.type === 'result') resolve(message.result);
      else if (message.type === 'failed') reject(new Error(message.message));
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (!answered) reject(new Error(`the load process ended with ${signal ?? code}`));
    });
    const operationsMin = window?.operationsMin ?? 0;
    const order: LoadOrder = { spec, announces: window !== undefined, operationsMin };
    child.send(order);
  });
}
