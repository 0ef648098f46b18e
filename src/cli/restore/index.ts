/** `kvorum restore`: a data directory from a snapshot. */

export { runRestoreCommand } from './command.js';
export { nodeMachine } from './drill.js';
