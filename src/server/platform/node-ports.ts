/** The real outside: this machine's clock, disk, sockets and LevelDB, for a server on its own. */

import { etcdVersion, kvorumVersion, type Logger, turn } from '../../common/index.js';
import { openLevelStore } from '../../storage/index.js';
import { measureLoopLag } from '../metrics/loop-lag.js';
import type { ServerConfig } from '../options/config.js';
import type { ServerPorts } from '../server.js';
import { nodeClock } from './clock-node.js';
import { nodeDisk } from './disk-node.js';
import { createHttp1 } from './http1-node.js';
import { nodeNetwork } from './network-node.js';
import { openNodeRandom } from './random-node.js';

type MetricsText = ReturnType<ServerPorts['metricsText']>;

/** Ports for one server that has the process to itself; its /metrics speak of the process, too. */
export function nodePorts(config: ServerConfig, logger: Logger): ServerPorts {
  let loopLag: ReturnType<typeof measureLoopLag> | undefined;
  return {
    clock: nodeClock,
    random: openNodeRandom(),
    disk: nodeDisk,
    network: nodeNetwork,
    openKvStore: (dir) => openLevelStore(dir, () => turn(nodeClock)),
    logger,
    createHttp1,
    metricsText: (metrics) => {
      loopLag ??= measureLoopLag();
      const { read } = loopLag;
      let text: Promise<MetricsText> | undefined;
      const load = async (): Promise<MetricsText> => {
        // At the first scrape: the library takes a tenth of the time of a start.
        const { createMetricsText } = await import('../metrics/registry.js');
        return createMetricsText(metrics, {
          extensive: config.extensiveMetrics,
          process: true,
          versions: { kvorum: kvorumVersion, etcd: etcdVersion, node: process.version },
          loopLag: read,
        });
      };
      return async () => {
        text ??= load();
        return (await text)();
      };
    },
    close() {
      loopLag?.stop();
      loopLag = undefined;
    },
  };
}
