/** What all services share: how calls are guarded, counted and answered. */
export * from './answers.js';
export { healthFeature } from './health.js';
export { learnerGated } from './learner-gate.js';
export { callObserver, countedMethods } from './metering.js';
export { type LeaderGate, requireLeader } from './require-leader.js';
export { type UnaryRpc, unaryMethod } from './unary.js';
