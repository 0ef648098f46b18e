/**
 * The load process: gets one LoadOrder, runs it, sends the result and ends. A process of its own,
 * so that its garbage and its event loop are not those of whoever measures.
 */

import { cpuSeconds, machineCpuSeconds } from '../proc.js';
import { connectAll } from './pool.js';
import { preload } from './preload.js';
import { Recorder } from './recorder.js';
import type { LoadMessage, LoadOrder, LoadResult, LoadSpec } from './types.js';
import { workloadOf } from './workloads.js';

process.once('message', (order: LoadOrder) => {
  run(order).then(
    (result) => sendLast({ type: 'result', result }),
    (error: unknown) => {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      sendLast({ type: 'failed', message });
    },
  );
});

async function run({ spec, announces, operationsMin }: LoadOrder): Promise<LoadResult> {
  const workload = workloadOf(spec.workload);
  const pool = await connectAll(spec.endpoints, spec.connections, spec.identity);
  if (spec.preload) await preload(pool, spec);
  const recorder = new Recorder();
  const load = await workload.start(pool, spec, recorder);
  await sleep(spec.warmupSeconds);
  if (announces) await announce('opens');
  const serverCpuBefore = serverCpu(spec);
  const machineBefore = machineCpuSeconds();
  const generatorBefore = process.cpuUsage();
  const startMs = performance.now();
  recorder.begin();
  do await sleep(spec.seconds);
  while (recorder.operations + recorder.errors < operationsMin);
  recorder.end();
  const seconds = (performance.now() - startMs) / 1000;
  const generator = process.cpuUsage(generatorBefore);
  const serverCpuSeconds = serverCpu(spec) - serverCpuBefore;
  const machineSeconds = machineCpuSeconds() - machineBefore;
  if (announces) await announce('closed');
  await load.stop();
  for (const client of pool) client.destroy();
  return {
    operations: recorder.operations,
    errors: recorder.errors,
    firstError: recorder.firstError,
    seconds,
    latencyMs: recorder.latencyMs(),
    rows: recorder.rows(),
    serverCpuSeconds,
    machineCpuSeconds: machineSeconds,
    generatorCpuSeconds: (generator.user + generator.system) / 1e6,
  };
}

function serverCpu(spec: LoadSpec): number {
  return spec.serverPids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** Resolves when whoever runs us says to go on. */
function announce(type: 'opens' | 'closed'): Promise<void> {
  const message: LoadMessage = { type };
  return new Promise((resolve) => {
    process.once('message', () => resolve());
    process.send?.(message);
  });
}

function sendLast(message: LoadMessage): void {
  process.send?.(message, () => process.exit(0));
}
