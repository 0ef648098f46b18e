/** A thousand clients come at once by TLS, as after a restart of what is before them. */

import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { stormClients } from '../load/scenario-loads.js';
import type { ServerOptions } from '../options.js';
import type { Figures } from '../report.js';
import { runLoad, specOf } from '../run-load.js';
import { makeSecurity } from '../security.js';
import { type ServerKind, startCluster } from '../servers.js';
import { type Note, noteErrors, type Scenario, SteadyPuts } from './scenario.js';

export const connectionStorm: Scenario = {
  name: 'connection-storm',
  goals: { 'all answered, ms': '<= 1x', 'puts meanwhile: p99, ms': '<= 1x' },
  title: ({ clients }) =>
    `connection-storm (${clients || stormClients} clients by mutual TLS at once, 500 puts/s)`,
  async run(kind, options, note) {
    if (options.security !== undefined) return measure(kind, options, note);
    const dir = mkdtempSync(join(options.dir, 'bench-certificates-'));
    try {
      return await measure(kind, { ...options, security: makeSecurity(dir) }, note);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  },
};

async function measure(kind: ServerKind, options: ServerOptions, note: Note): Promise<Figures> {
  const cluster = await startCluster(kind, options.members, options.dir, options);
  try {
    const puts = await SteadyPuts.start(cluster, options);
    const asked = { ...options, warmupSeconds: 0, seconds: 120 };
    const spec = specOf('connection-storm-clients', cluster.endpoints, [], asked);
    const storm = await runLoad(spec, {
      operationsMin: 0,
      opens: async () => puts.meanwhile(),
      closed: async () => {},
    });
    const steady = await puts.stop(note);
    noteErrors('clients', storm, note);
    return {
      'all answered, ms': storm.seconds * 1000,
      'clients: p50, ms': storm.latencyMs.p50,
      'clients: p99, ms': storm.latencyMs.p99,
      ...steady,
      'peak, MB': cluster.memory().peak,
    };
  } finally {
    await cluster.remove();
  }
}
