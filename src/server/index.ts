/** Embedding, and what the command line needs: a real server inside another program. */

export { etcdVersion, kvorumVersion } from '../common/index.js';
export {
  type RestoredSnapshot,
  type RestoreOptions,
  restoreSnapshot,
} from './backup/index.js';
export { measureLoopLag } from './metrics/loop-lag.js';
export type { Metrics } from './metrics/metrics.js';
export { MemberRemovedError } from './node/index.js';
export {
  buildConfig,
  checkAdvertised,
  checkBootstrap,
  defaultConfig,
  type LogLevel,
  type ServerConfig,
} from './options/config.js';
export {
  type CommandLine,
  type Environment,
  parseCommandLine,
  type ReadFile,
} from './options/flags.js';
export { helpText, versionText } from './options/help.js';
export { UsageError } from './options/usage-error.js';
export { nodeClock } from './platform/clock-node.js';
export { nodeDisk } from './platform/disk-node.js';
export { createHttp1 } from './platform/http1-node.js';
export { createLogger, type FlushableLogger } from './platform/logger-pino.js';
export { nodeNetwork } from './platform/network-node.js';
export { nodePorts } from './platform/node-ports.js';
export { openNodeRandom } from './platform/random-node.js';
export { type NotifyResult, type NotifyState, notifySystemd } from './platform/systemd.js';
export {
  type RunningServer,
  type ServerPorts,
  type StartOptions,
  startServer,
} from './server.js';
