/** The commands that talk to a cluster: etcdctl's, and what it lacks. */
export type { CtlIo, ExitCode, LocalClusterPlan, ProgramEnd } from './command/index.js';
export { isCommandLine, runCtl } from './run.js';
