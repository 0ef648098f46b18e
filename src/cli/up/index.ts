/** `kvorum up`: a cluster of processes on this machine. */
export type { Program } from './member-process.js';
export { runUp } from './up.js';
