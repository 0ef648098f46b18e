/** A watcher that is far behind catches up while writes go on. */

import { runLoad, specOf } from '../run-load.js';
import { startCluster } from '../servers.js';
import { noteErrors, type Scenario, SteadyPuts } from './scenario.js';

export const slowWatcher: Scenario = {
  name: 'slow-watcher',
  goals: { 'caught up after, ms': '<= 1x', 'puts meanwhile: p99, ms': '<= 1x' },
  title: ({ behind }) => `slow-watcher (at least ${behind} revisions behind, 500 puts/s)`,
  async run(kind, options, note) {
    const cluster = await startCluster(kind, options.members, options.dir, options);
    try {
      const filling = specOf('put', cluster.endpoints, [], options);
      const window = {
        operationsMin: options.behind,
        opens: async () => {},
        closed: async () => {},
      };
      await runLoad({ ...filling, warmupSeconds: 0, seconds: 0.1 }, window);
      const puts = await SteadyPuts.start(cluster, options);
      const asked = { ...options, warmupSeconds: 0, seconds: 300 };
      const watch = await runLoad(specOf('catch-up', cluster.endpoints, [], asked), {
        operationsMin: 0,
        opens: async () => puts.meanwhile(),
        closed: async () => {},
      });
      const steady = await puts.stop(note);
      noteErrors('the watch', watch, note);
      return {
        'events behind': watch.operations,
        'caught up after, ms': watch.seconds * 1000,
        'events/s': watch.operations / watch.seconds,
        ...steady,
        'peak, MB': cluster.memory().peak,
      };
    } finally {
      await cluster.remove();
    }
  },
};
