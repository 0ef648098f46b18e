export * from './config-change.js';
export * from './config-change-codec.js';
export type { ProgressMode, ProgressView } from './progress.js';
export * from './raft.js';
export { initialRestore, joiningRestore } from './restore.js';
export * from './types.js';
