/** What a million leases cost. */

import { runLoad, specOf } from '../run-load.js';
import { startCluster } from '../servers.js';
import { noteErrors, type Scenario } from './scenario.js';

const count = 1_000_000;

export const millionLeases: Scenario = {
  name: 'leases-1m',
  goals: { 'resident, MB': '<= 1x' },
  onlyWhenNamed: true,
  title: () => `leases-1m (${count} leases without keys)`,
  async run(kind, options, note) {
    const cluster = await startCluster(kind, options.members, options.dir, options);
    try {
      const spec = specOf('lease-grant', cluster.endpoints, cluster.pids(), options);
      const window = { operationsMin: count, opens: async () => {}, closed: async () => {} };
      const granting = await runLoad({ ...spec, warmupSeconds: 0, seconds: 0.1 }, window);
      noteErrors('grants', granting, note);
      const { operations, seconds, latencyMs } = granting;
      const granted = cluster.memory();
      const restartMs = await cluster.restart();
      return {
        'grants/s': operations / seconds,
        'p50, ms': latencyMs.p50,
        'p99, ms': latencyMs.p99,
        'max, ms': latencyMs.max,
        'resident, MB': granted.resident,
        'peak, MB': granted.peak,
        'restart to first put, ms': restartMs,
        'resident after restart, MB': cluster.memory().resident,
      };
    } finally {
      await cluster.remove();
    }
  },
};
