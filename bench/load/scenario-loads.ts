/** Loads that are parts of scenarios (bench/scenarios.ts), and of no use alone. */

import { startAfterStart } from './after-start.js';
import { startCatchUp } from './catch-up.js';
import { startConnectionStorm } from './connection-storm.js';
import type { Workload } from './workload.js';

/** Clients that come at once. */
export const stormClients = 1000;

const part = { reads: false, budget: {} } as const;

export const scenarioLoads: readonly Workload[] = [
  {
    name: 'connection-storm-clients',
    unit: 'connect and one range',
    ...part,
    connections: 0,
    clients: stormClients,
    start: startConnectionStorm,
  },
  {
    name: 'catch-up',
    unit: 'event delivered',
    ...part,
    connections: 1,
    clients: 1,
    start: startCatchUp,
  },
  {
    name: 'after-start',
    unit: 'put or get',
    ...part,
    connections: 10,
    clients: 10,
    defaults: { callsPerSecond: 500 },
    overrides: { awaitsServer: true },
    start: startAfterStart,
  },
];
