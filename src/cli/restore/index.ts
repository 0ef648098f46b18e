/** `kvorum restore`: a data directory from a snapshot. */

export { type RestoreIo, runRestoreCommand } from './command.js';
export { nodeMachine } from './drill.js';
