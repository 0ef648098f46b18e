/** Hooks for logs, metrics and traces. */

export { type LoggerLike, loggerHook } from './log.js';
export { type MeterLike, metricsHook } from './metrics.js';
export { type SpanLike, type TracerLike, type TracingOptions, tracingHook } from './trace.js';
