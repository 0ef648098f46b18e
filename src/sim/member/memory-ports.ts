/**
 * A server without files and sockets, inside of another program: everything in memory, except for
 * the clock and the randomness, which are the real ones.
 */

import {
  etcdVersion,
  kvorumVersion,
  type Logger,
  type Network,
  silentLogger,
} from '../../common/index.js';
import { nodeClock, nodePasswords, openNodeRandom, type ServerPorts } from '../../server/index.js';
import { loadMetricsText } from '../../server/metrics/index.js';
import { MemoryNetwork, SimKvDisk } from '../index.js';
import { createMemoryDisk } from './memory-disk.js';

/** {@link ServerPorts}, and the network on which clients reach the server. */
export interface MemoryPorts extends ServerPorts {
  readonly network: Network;
}

/**
 * Ports for one server that keeps nothing. Connect with `connectGrpc({ network, ... })`. Timers of
 * a server don't keep a program alive: without sockets something else has to.
 */
export function memoryPorts(logger: Logger = silentLogger): MemoryPorts {
  const clock = nodeClock;
  const random = openNodeRandom();
  const disk = createMemoryDisk();
  const wires = { latencyMsMin: 0, latencyMsMax: 0, splitChance: 0 };
  return {
    clock,
    random,
    disk,
    openKvStore: new SimKvDisk({ clock, random, disk, forgetsRemoved: true }).open,
    network: new MemoryNetwork(clock, random, wires).host('localhost'),
    passwords: nodePasswords,
    logger,
    metricsText: (metrics) =>
      loadMetricsText(metrics, {
        extensive: false,
        process: false,
        versions: { kvorum: kvorumVersion, etcd: etcdVersion, node: process.version },
        loopLag: undefined,
      }),
  };
}
