/** The commands that talk to a cluster: etcdctl's, and what it lacks. */
export type { CtlIo, CtlMachine, ExitCode } from './command/index.js';
export { isCommand, runCtl } from './run.js';
