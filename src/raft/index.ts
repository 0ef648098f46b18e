/** The Raft core: everything that other folders may use of it. Start reading at raft.ts. */
export * from './config-change.js';
export * from './config-change-codec.js';
export { LostLogError } from './follower.js';
export * from './options.js';
export type { ProgressMode, ProgressView } from './progress.js';
export { quorumOf } from './quorum.js';
export * from './raft.js';
export { initialRestore, joiningRestore } from './restore.js';
export * from './trace-event.js';
export { encodeTraceEvent, TraceLines } from './trace-json.js';
export * from './types.js';
