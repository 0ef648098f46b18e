/** How long an empty server takes to its first answered put. */

import { startCluster } from '../servers.js';
import type { Scenario } from './scenario.js';

export const start: Scenario = {
  name: 'start',
  goals: { 'first put, ms': '<= 400 ms' },
  title: () => 'start (of empty members)',
  async run(kind, options) {
    const cluster = await startCluster(kind, options.members, options.dir, options);
    await cluster.remove();
    return { 'first put, ms': cluster.readyMs };
  },
};
