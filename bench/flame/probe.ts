/**
 * Loaded into the server under load before its own code (`node --import`): takes profiles with
 * V8's profilers when it is told to. Flags of Node (--cpu-prof, --heap-prof) would not do: they
 * profile the start, too, write nothing when a signal ends the process, and forget what has been
 * collected.
 */

import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import type { ProbeAnswer, ProbeOrder } from './types.js';

/** Two samples a ms: enough for half a percent of a run of five seconds. */
const cpuIntervalUs = 500;
/** Mean distance of samples. A run allocates hundreds of MB: tens of thousands of samples. */
const heapIntervalBytes = 8 * 1024;

const session = new Session();
session.connect();

process.on('message', (order: ProbeOrder) => {
  obey(order).then(
    () => answer({}),
    (error: unknown) => answer({ error: String(error) }),
  );
});
// Nobody would stop the server that a killed `npm run flame` has started.
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));

async function obey(order: ProbeOrder): Promise<void> {
  if (order.profile === 'cpu') await obeyCpu(order);
  else await obeyHeap(order);
}

async function obeyCpu({ saveAs }: ProbeOrder): Promise<void> {
  if (saveAs === undefined) {
    await post('Profiler.enable');
    await post('Profiler.setSamplingInterval', { interval: cpuIntervalUs });
    await post('Profiler.start');
    return;
  }
  save(saveAs, await post('Profiler.stop'));
  await post('Profiler.disable');
}

async function obeyHeap({ saveAs }: ProbeOrder): Promise<void> {
  if (saveAs !== undefined) {
    save(saveAs, await post('HeapProfiler.stopSampling'));
    return;
  }
  // What lived briefly is what a request costs.
  const collected = {
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  };
  await post('HeapProfiler.startSampling', { samplingInterval: heapIntervalBytes, ...collected });
}

function post(method: string, params: object = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    session.post(method, params, (error: Error | null, result?: object) => {
      if (error === null) resolve(result);
      else reject(error);
    });
  });
}

function save(path: string, result: unknown): void {
  const { profile } = result as { readonly profile: object };
  writeFileSync(path, JSON.stringify(profile));
}

function answer(message: ProbeAnswer): void {
  process.send?.(message);
}
