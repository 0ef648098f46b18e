/** The commands that talk to a cluster: etcdctl's, and what it lacks. */
export {
  CommandError,
  type CtlFiles,
  type CtlIo,
  type CtlMachine,
  type CtlSnapshots,
  type ExitCode,
  globalFlags,
  LineError,
  type LocalClusterPlan,
  type ProgramEnd,
  parseLine,
  type StagedFile,
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
export { isCommandLine, runCtl } from './run.js';
