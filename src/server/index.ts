/** Embedding, and what the command line needs: a real server inside another program. */

export { etcdVersion, kvorumVersion } from '../common/index.js';
export {
  type BackupRestoreOptions,
  type RestoredSnapshot,
  type RestoreOptions,
  restoreBackup,
  restoreSnapshot,
  type SnapshotStatus,
  snapshotStatus,
} from './backup/index.js';
export { isFounded } from './bootstrap/index.js';
export type { Metrics } from './metrics/index.js';
export { measureLoopLag } from './metrics/index.js';
export { MemberRemovedError } from './node/index.js';
export {
  buildConfig,
  type CommandLine,
  checkAdvertised,
  checkBootstrap,
  defaultConfig,
  type Environment,
  helpText,
  type LogLevel,
  parseCommandLine,
  type ReadFile,
  type ServerConfig,
  UsageError,
  versionText,
} from './options/index.js';
export {
  createHttp1,
  createLogger,
  type FlushableLogger,
  type NotifyResult,
  type NotifyState,
  nodeClock,
  nodeDisk,
  nodeNetwork,
  nodePasswords,
  nodePorts,
  notifySystemd,
  openNodeRandom,
} from './platform/index.js';
export {
  type RunningServer,
  type ServerPorts,
  type StartOptions,
  startServer,
} from './server.js';
