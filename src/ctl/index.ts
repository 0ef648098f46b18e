/** The commands that talk to a cluster: etcdctl's, and what it lacks. */
export {
  CommandError,
  type CtlFiles,
  type CtlIo,
  type CtlSnapshots,
  type ExitCode,
  type LocalClusterPlan,
  type ProgramEnd,
  type StagedFile,
} from './command/index.js';
export { isCommandLine, runCtl } from './run.js';
