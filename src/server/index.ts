/** Embedding, and what the command line needs: a real server inside another program. */
export {
  buildConfig,
  checkAdvertised,
  checkBootstrap,
  defaultConfig,
  type LogLevel,
  type ServerConfig,
} from './config.js';
export { type CommandLine, type Environment, parseCommandLine, type ReadFile } from './flags.js';
export { UsageError } from './flags-error.js';
export { helpText, versionText } from './flags-help.js';
export { kvorumVersion } from './kvorum-version.js';
export { createLogger, type FlushableLogger } from './logger-pino.js';
export { MemberRemovedError } from './member-links.js';
export { createMemoryDisk } from './memory-disk.js';
export { type MemoryPorts, memoryPorts } from './memory-ports.js';
export type { Metrics } from './metrics.js';
export { measureLoopLag } from './metrics-loop-lag.js';
export { nodePorts } from './node-ports.js';
export { nodeClock } from './ports/clock-node.js';
export { nodeDisk } from './ports/disk-node.js';
export { createHttp1 } from './ports/http1-node.js';
export { nodeNetwork } from './ports/network-node.js';
export { openNodeRandom } from './ports/random-node.js';
export { type RestoredSnapshot, type RestoreOptions, restoreSnapshot } from './restore-snapshot.js';
export {
  type RunningServer,
  type ServerPorts,
  type StartOptions,
  startServer,
} from './server.js';
export { type NotifyResult, type NotifyState, notifySystemd } from './systemd.js';
export { etcdVersion } from './versions.js';
