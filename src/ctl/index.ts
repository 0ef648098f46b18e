/** The commands that talk to a cluster: etcdctl's, and what it lacks. */
export {
  CommandError,
  type CtlIo,
  type ExitCode,
  globalFlags,
  LineError,
  parseLine,
  withEnvironment,
} from './command/index.js';
export { clientOf } from './connect/index.js';
export {
  type ClusterCalls,
  clusterCalls,
  ensureMember,
  type LearnerSteps,
  type Member,
  promoted,
  started,
  withUrls,
} from './members/index.js';
export { isCommand, runCtl } from './run.js';
