/** Measurements that are not loads: starting, and what many keys cost. */

import type { Budget } from './load/workloads.js';
import type { BenchOptions } from './options.js';
import type { Figures } from './report.js';
import { runLoad, specOf } from './run-load.js';
import type { Security } from './security.js';
import { type ServerKind, startCluster } from './servers.js';

export const scenarioNames = ['start', 'memory'] as const;
export type ScenarioName = (typeof scenarioNames)[number];

/** Goals of the figures by name, as the highest ratio to the other server. */
export const scenarioBudgets: Readonly<
  Record<ScenarioName, Budget & { readonly goal: Readonly<Record<string, string>> }>
> = {
  start: { goal: { 'first put, ms': '<= 400 ms' } },
  memory: {
    goal: { 'resident, MB': '<= 1x', 'restart to first put, ms': '<= 0.33x' },
  },
};

/** One round of one scenario on one kind of server. */
export async function runScenario(
  name: ScenarioName,
  kind: ServerKind,
  options: BenchOptions & { readonly security?: Security | undefined },
): Promise<Figures> {
  const cluster = await startCluster(kind, options.members, options.dir, options);
  try {
    if (name === 'start') return { 'first put, ms': cluster.readyMs };
    const spec = specOf('range', cluster.endpoints, cluster.pids(), options);
    const startMs = performance.now();
    await runLoad({ ...spec, preload: true, warmupSeconds: 0, seconds: 0.1 });
    const loadSeconds = (performance.now() - startMs) / 1000;
    const loaded = cluster.memory();
    const restartMs = await cluster.restart();
    return {
      'keys loaded/s': spec.keyCount / loadSeconds,
      'resident, MB': loaded.resident,
      'peak, MB': loaded.peak,
      'restart to first put, ms': restartMs,
      'resident after restart, MB': cluster.memory().resident,
    };
  } finally {
    await cluster.remove();
  }
}
