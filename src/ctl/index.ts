/** The commands that talk to a cluster: etcdctl's, and what it lacks. */
export {
  CommandError,
  type CtlFiles,
  type CtlIo,
  type CtlSnapshots,
  type ExitCode,
} from './command/index.js';
export { isCommand, runCtl } from './run.js';
