/** What all services share: how calls are guarded, counted and answered. */
export * from './answers.js';
export type { CallAuditor, MethodAuditor } from './auditor.js';
export { type CallTracer, callObserver, type TracedCall } from './call-observer.js';
export type { CallStep, Timeline } from './call-timeline.js';
export { type Guards, guarded } from './guards.js';
export { healthFeature } from './health.js';
export * from './local-call.js';
export { RateGuard } from './rate-guard.js';
export { type LeaderGate, requireLeader } from './require-leader.js';
export { Serving } from './serving.js';
export { type UnaryRpc, unaryMethod } from './unary.js';
