/** One object of TLS options for all listeners: what holds on one holds on each (L-51). */

import { expect, it } from 'vitest';
import { type Network, silentLogger, type TlsOptions } from '../../src/common/index.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { nodeClock } from '../../src/server/platform/clock-node.js';
import { openNodeRandom } from '../../src/server/platform/random-node.js';
import { startServer } from '../../src/server/server.js';
import { MemoryNetwork, SimKvDisk } from '../../src/sim/index.js';
import { createMemoryDisk } from '../../src/sim/member/memory-disk.js';
import { memoryPorts } from '../../src/sim/member/memory-ports.js';

it('all listeners of clients have the same TLS options (GHSA-3wh4-j44w-pg92)', async () => {
  const wires = { latencyMsMin: 0, latencyMsMax: 0, splitChance: 0 };
  const host = new MemoryNetwork(nodeClock, openNodeRandom(), wires).host('a');
  const listened = new Map<string, TlsOptions | undefined>();
  const network: Network = {
    ...host,
    listen(address, tls, onStream) {
      listened.set('path' in address ? address.path : `${address.port}`, tls);
      return host.listen(address, tls, onStream);
    },
  };
  const random = openNodeRandom();
  const disk = createMemoryDisk();
  const config = defaultConfig(
    ...['--data-dir', '/data', '--heartbeat-interval=10', '--election-timeout=100'],
    '--listen-client-urls=https://127.0.0.1:1,https://127.0.0.1:2,unixs:///3',
    ...['--advertise-client-urls=https://127.0.0.1:1', '--auto-tls', '--peer-auto-tls'],
    ...['--listen-client-http-urls=https://127.0.0.1:4,unixs:///5'],
    ...['--listen-metrics-urls=https://127.0.0.1:6,unixs:///7'],
    ...['--listen-peer-urls=https://127.0.0.1:8,https://127.0.0.1:9'],
    ...['--initial-advertise-peer-urls=https://127.0.0.1:8'],
  );
  const server = await startServer(config, {
    ...memoryPorts(silentLogger),
    disk,
    openKvStore: new SimKvDisk({ clock: nodeClock, random, disk, forgetsRemoved: true }).open,
    network,
    peerNetwork: network,
  });
  try {
    expect([...listened.keys()].sort()).toEqual(['/3', '/5', '/7', '1', '2', '4', '6', '8', '9']);
    const of = (...names: string[]) => new Set(names.map((name) => listened.get(name)));
    const clients = of('1', '2', '/3', '4', '/5', '6', '/7');
    const peers = of('8', '9');
    expect([clients.size, peers.size]).toEqual([1, 1]);
    for (const [tls] of [[...clients], [...peers]]) {
      expect(tls?.cert).toContain('BEGIN CERTIFICATE');
      expect(tls?.current).toBeDefined();
      expect(tls?.onRefused).toBeDefined();
    }
    expect([...clients]).not.toEqual([...peers]);
  } finally {
    await server.stop();
  }
});
