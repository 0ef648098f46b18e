/**
 * Members in this process: the real disk and database in a directory, clients on connections that
 * are function calls (costs/connection.ts), and links between members in memory.
 */

import { join } from 'node:path';
import { silentLogger } from '../../src/common/index.js';
import {
  defaultConfig,
  nodeClock,
  nodePorts,
  openNodeRandom,
  type RunningServer,
  startServer,
} from '../../src/server/index.js';
import { MemoryNetwork } from '../../src/sim/index.js';
import { CostConnection } from '../costs/connection.js';
import { PortCounters } from '../costs/counters.js';
import { directNetwork } from '../costs/ports.js';

/** Members that serve. */
export interface ScalingMembers {
  /** A new connection to the leader; see {@link CostConnection}. */
  connect(countsMessages?: boolean): CostConnection;
  /** Stops all of them and starts them on their data; resolves with milliseconds until they serve. */
  restart(): Promise<number>;
  stop(): Promise<void>;
}

interface Running {
  readonly server: RunningServer;
  readonly connect: ReturnType<typeof directNetwork>['connect'];
}

/** Starts `count` members on data below `dir`; resolves once they serve and one leads. */
export async function startMembers(count: number, dir: string): Promise<ScalingMembers> {
  const names = Array.from({ length: count }, (_, i) => `m${i + 1}`);
  const wires = new MemoryNetwork(nodeClock, openNodeRandom(), {
    latencyMsMin: 0,
    latencyMsMax: 0,
    splitChance: 0,
  });
  const peerUrl = (name: string): string => `http://127.0.0.${1 + names.indexOf(name)}:2380`;
  const counters = new PortCounters();
  const start = async (name: string): Promise<Running> => {
    const config = defaultConfig(
      ...['--name', name, '--data-dir', join(dir, name)],
      ...['--listen-client-urls', 'http://127.0.0.1:2379'],
      ...['--advertise-client-urls', 'http://127.0.0.1:2379', '--quota-backend-bytes=-1'],
      ...['--listen-peer-urls', peerUrl(name), '--initial-advertise-peer-urls', peerUrl(name)],
      ...['--initial-cluster', names.map((one) => `${one}=${peerUrl(one)}`).join(',')],
    );
    const { network, connect } = directNetwork(counters);
    const ports = { ...nodePorts(config, silentLogger), network, peerNetwork: wires.host(name) };
    return { server: await startServer(config, ports), connect };
  };
  let running = await Promise.all(names.map(start));
  let leader = await leaderOf(running);
  const stop = async (): Promise<void> => {
    counters.isMeasured = false;
    await Promise.all(running.map(({ server }) => server.stop({ handOver: false })));
  };
  return {
    connect(countsMessages = false) {
      const connection = new CostConnection(countsMessages);
      connection.open(leader.connect(connection.onWritten));
      return connection;
    },
    async restart() {
      await stop();
      const startMs = performance.now();
      running = await Promise.all(names.map(start));
      counters.isMeasured = true;
      leader = await leaderOf(running);
      return performance.now() - startMs;
    },
    stop,
  };
}

async function leaderOf(running: readonly Running[]): Promise<Running> {
  for (;;) {
    const leader = running.find(({ server }) => server.node.leaderWatch.isLeader);
    if (leader !== undefined) return leader;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
