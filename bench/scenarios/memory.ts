/** What many keys cost: memory, and how long a restart takes. */

import type { ServerOptions } from '../options.js';
import type { Figures } from '../report.js';
import { keyCountDefault, runLoad, specOf } from '../run-load.js';
import { type ServerKind, startCluster } from '../servers.js';
import type { Scenario } from './scenario.js';

const resident = 'resident, MB';
const restart = 'restart to first put, ms';
const tenMillion = 10_000_000;

export const memory: Scenario = {
  name: 'memory',
  goals: { [resident]: '<= 1x', [restart]: '<= 0.33x' },
  title: ({ keyCount }) => `memory (${keyCount || keyCountDefault} keys)`,
  run: (kind, options) => measure(kind, options, keyCountDefault),
};

export const tenMillionKeys: Scenario = {
  name: 'keys-10m',
  goals: { [resident]: '<= 1x', [restart]: '<= 10000 ms' },
  onlyWhenNamed: true,
  title: ({ keyCount }) => `keys-10m (${keyCount || tenMillion} keys)`,
  run: (kind, options) => measure(kind, options, tenMillion),
};

async function measure(
  kind: ServerKind,
  options: ServerOptions,
  keyCountIfUnsaid: number,
): Promise<Figures> {
  const cluster = await startCluster(kind, options.members, options.dir, options);
  try {
    const keyCount = options.keyCount || keyCountIfUnsaid;
    const asked = { ...options, keyCount, warmupSeconds: 0, seconds: 0.1 };
    const spec = specOf('range', cluster.endpoints, cluster.pids(), asked);
    const startMs = performance.now();
    await runLoad({ ...spec, preload: true });
    const loadSeconds = (performance.now() - startMs) / 1000;
    const loaded = cluster.memory();
    const restartMs = await cluster.restart();
    return {
      'keys loaded/s': keyCount / loadSeconds,
      [resident]: loaded.resident,
      'peak, MB': loaded.peak,
      [restart]: restartMs,
      'resident after restart, MB': cluster.memory().resident,
    };
  } finally {
    await cluster.remove();
  }
}
