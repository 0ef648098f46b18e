/** The real outside: this machine's clock, disk, sockets and LevelDB, for a server on its own. */

import {
  type Clock,
  type Disk,
  etcdVersion,
  kvorumVersion,
  type Logger,
  type Network,
  type OpenKvStore,
  type Passwords,
  type ProcessFacts,
  type Profiler,
  type Random,
  type SignedTokens,
  turn,
} from '../../common/index.js';
import type { StateTracer } from '../../raft/index.js';
import { openLevelStore } from '../../storage/index.js';
import {
  loadMetricsText,
  type Metrics,
  type MetricsText,
  measureLoopLag,
} from '../metrics/index.js';
import type { ServerConfig } from '../options/index.js';
import { nodeClock } from './clock-node.js';
import { nodeDisk } from './disk-node.js';
import { createHttp1 } from './http1-node.js';
import { type ThreadedNetwork, threadedNetwork } from './io-threads/index.js';
import { processMemory } from './memory.js';
import { needPortSharing, nodeNetwork, portSharingNetwork } from './network-node.js';
import { nodePasswords } from './passwords-node.js';
import { processFacts } from './process-facts.js';
import { createProfiler } from './profiler-node.js';
import { openRaftTrace } from './raft-trace.js';
import { openNodeRandom } from './random-node.js';
import { openSignedTokens } from './signed-tokens-node.js';

/** Everything outside, as this machine has it; see ServerPorts. */
export interface MachinePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly network: Network;
  readonly peerNetwork: Network;
  readonly openKvStore: OpenKvStore;
  readonly passwords: Passwords;
  readonly signedTokens: SignedTokens | undefined;
  readonly logger: Logger;
  readonly raftTracer: StateTracer | undefined;
  readonly createHttp1: typeof createHttp1;
  readonly memory: ReturnType<typeof processMemory>;
  readonly metricsText: (metrics: Metrics) => MetricsText;
  readonly profiler: Profiler | undefined;
  readonly processFacts: () => ProcessFacts;
  readonly close: () => void;
}

/**
 * Ports for one server that has the process to itself; its /metrics speak of the process, too.
 * `argv`: what that was started with, for /debug/vars.
 */
export function nodePorts(
  config: ServerConfig,
  logger: Logger,
  argv: readonly string[] = [],
): MachinePorts {
  let loopLag: ReturnType<typeof measureLoopLag> | undefined;
  const { authToken, raftTraceFile } = config;
  const memory = processMemory();
  const peerNetwork = config.socketReusePort ? portSharingNetwork() : nodeNetwork;
  const threads = config.ioThreads > 0 ? openThreads(config, peerNetwork) : undefined;
  const network = threads ?? peerNetwork;
  const profiler = config.enablePprof ? createProfiler() : undefined;
  const raftTrace = raftTraceFile === '' ? undefined : openRaftTrace(raftTraceFile, logger);
  return {
    clock: nodeClock,
    random: openNodeRandom(),
    disk: nodeDisk,
    network,
    peerNetwork,
    openKvStore: (dir) =>
      openLevelStore(dir, () => turn(nodeClock), !config.unsafeNoFsync, memory.bytes),
    passwords: nodePasswords,
    signedTokens: authToken.kind === 'jwt' ? openSignedTokens(authToken, nodeClock) : undefined,
    logger,
    raftTracer: raftTrace?.tracer,
    createHttp1,
    profiler,
    processFacts: () => processFacts(argv),
    memory,
    metricsText: (metrics) => {
      loopLag ??= measureLoopLag();
      return loadMetricsText(metrics, {
        extensive: config.extensiveMetrics,
        process: true,
        versions: { kvorum: kvorumVersion, etcd: etcdVersion, node: process.version },
        loopLag: loopLag.read,
      });
    },
    close() {
      loopLag?.stop();
      loopLag = undefined;
      raftTrace?.close();
      profiler?.close();
      threads?.close();
    },
  };
}

/** Throws {@link UsageError} where Node can't do it. */
function openThreads(
  { ioThreads: threads, socketReusePort: sharesPorts }: ServerConfig,
  base: Network,
): ThreadedNetwork {
  if (threads > 1) needPortSharing('--io-threads above 1');
  return threadedNetwork({ threads, base, sharesPorts });
}
