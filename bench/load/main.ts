/**
 * The load process: gets one LoadOrder, runs it, sends the result and ends. A process of its own,
 * so that its garbage and its event loop are not those of whoever measures.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { cpuSeconds, machineCpuSeconds } from '../proc.js';
import { connectAll, untilAnswered } from './pool.js';
import { preload } from './preload.js';
import { Recorder } from './recorder.js';
import type { LoadControl, LoadMessage, LoadOrder, LoadResult, LoadSpec } from './types.js';
import { workloadOf } from './workloads.js';

const serverStartMsMax = 120_000;

const recorder = new Recorder();
/** Called when whoever runs us says so. */
let goOn: (() => void) | undefined;
let finish: (() => void) | undefined;
const toldToFinish = new Promise<void>((resolve) => {
  finish = resolve;
});

process.once('message', (order: LoadOrder) => {
  process.on('message', obey);
  run(order).then(
    (result) => sendLast({ type: 'result', result }),
    (error: unknown) => {
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
      sendLast({ type: 'failed', message });
    },
  );
});

function obey(control: LoadControl): void {
  if (control.type === 'phase') recorder.phase(control.name);
  else if (control.type === 'finish') finish?.();
  else goOn?.();
}

async function run({ spec, announces, operationsMin }: LoadOrder): Promise<LoadResult> {
  const workload = workloadOf(spec.workload);
  if (spec.awaitsServer === true) {
    const deadlineMs = performance.now() + serverStartMsMax;
    await untilAnswered(spec.endpoints[0] ?? '', deadlineMs, spec.identity);
  }
  const pool = await connectAll(spec.endpoints, spec.connections, spec.identity);
  if (spec.preload) await preload(pool, spec);
  const load = await workload.start(pool, spec, recorder);
  await sleep(spec.warmupSeconds * 1000);
  if (announces) await announce('opens');
  const serverCpuBefore = serverCpu(spec);
  const machineBefore = machineCpuSeconds();
  const generatorBefore = process.cpuUsage();
  const startMs = performance.now();
  recorder.begin();
  const ends = [toldToFinish, ...(load.ended === undefined ? [] : [load.ended])];
  do await Promise.race([sleep(spec.seconds * 1000), ...ends]);
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

/** Resolves when whoever runs us says to go on. */
function announce(type: 'opens' | 'closed'): Promise<void> {
  const message: LoadMessage = { type };
  return new Promise((resolve) => {
    goOn = resolve;
    process.send?.(message);
  });
}

function sendLast(message: LoadMessage): void {
  process.send?.(message, () => process.exit(0));
}
