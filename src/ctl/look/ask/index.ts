/** A cluster asked how it is. */
export * from './cluster-look.js';
export * from './limits.js';
export { type LookOptions, lookAtCluster } from './look.js';
export { type BucketCounts, Metrics, quantile, since } from './metrics-text.js';
export {
  countPrefixes,
  type PrefixCount,
  type PrefixCounts,
  type PrefixOptions,
  partOf,
} from './prefixes.js';
