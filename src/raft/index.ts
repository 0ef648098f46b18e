/**
 * The Raft core: everything that other folders may use of it.
 *
 * To read it in an evening, with the paper (Ongaro and Ousterhout, extended version) and Ongaro's
 * thesis beside it, in this order:
 *
 *   types, options             the state and the RPCs of figure 2, as data
 *   raft                       figure 2, rules for all servers; what a driver calls
 *   state                      figure 2, State; figure 4, the roles
 *   candidate, quorum          5.2, 5.4.1; thesis 9.6, 4.2.3
 *   follower, log              5.3, figures 6 and 7
 *   leader, progress           5.3, 5.4.2; thesis 3.10, 6.2
 *   replication, read-index    5.3, 7; thesis 6.4, 10.2.1
 *   config-change, -codec,
 *     configuration-stages     6; thesis 4
 *   ready, writes, restore     thesis 3.8, 10.2.1: what is durable, and what a restart finds
 *   trace-event, state-trace,
 *     trace-json               none: for a specification that judges a run
 *
 * docs/raft-divergence.md lists where it does something else than they say, and why.
 */
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
