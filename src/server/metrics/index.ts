/** What a member counts and measures. The library that writes it out is loaded when asked for. */
export { BackupMetrics } from './backups.js';
export { Histogram } from './histogram.js';
export { measureLoopLag } from './loop-lag.js';
export { meteredDisk, meteredKvStore, meteredNetwork } from './metered-ports.js';
export { type GaugeReadings, gaugeNames, Metrics } from './metrics.js';
export { PeerMetrics } from './peers.js';
export { grpcCodeNames } from './rpc.js';
export { SlowLog } from './slow-log.js';
export { StepTimes } from './step-times.js';
export { loadMetricsText } from './text.js';
export type { MetricsText, MetricsTextOptions } from './text-options.js';
export { WatchSendLoop } from './watch.js';
