/** Runs one load in a process of its own. */

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { LoadMessage, LoadResult, LoadSpec } from './load/types.js';
import { workloadOf } from './load/workloads.js';
import type { BenchOptions } from './options.js';

const loadProcess = fileURLToPath(new URL('./load/main.js', import.meta.url));
const keyBytesDefault = 32;

let running: ChildProcess | undefined;

/** Ends the load that runs now, if any: its promise rejects. */
export function stopLoad(): void {
  running?.kill('SIGKILL');
}

/** What the options and the workload together say. */
export function specOf(
  name: string,
  endpoints: readonly string[],
  serverPids: readonly number[],
  options: BenchOptions,
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
    keyCount: options.keyCount,
    keyBytes: keyBytesDefault,
    valueBytes: options.valueBytes,
    keyOrder: 'random',
    callsPerSecond: options.callsPerSecond,
    preload: false,
    seed: 1,
    ...workload.overrides,
  };
}

/** Rejects if the load process fails as a whole; failed operations are part of the result. */
export function runLoad(spec: LoadSpec): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const child = fork(loadProcess);
    running = child;
    let answered = false;
    child.on('message', (message: LoadMessage) => {
      answered = true;
      if (message.type === 'result') resolve(message.result);
      else reject(new Error(message.message));
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (!answered) reject(new Error(`the load process ended with ${signal ?? code}`));
    });
    child.send(spec);
  });
}
