/** Changes of the members that take several steps. */
export { type ClusterCalls, clusterCalls, type Member, type MemberStatus } from './calls.js';
export { ensureMember, type LearnerSteps, promoted, started, withUrls } from './learner.js';
export { replaceCommand } from './replace.js';
export type { Waiting } from './wait.js';
