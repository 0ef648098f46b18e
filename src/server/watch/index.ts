/** Watches: who is told of what changed, live and from history. */
export { type WatchFeature, watchFeature } from './feature.js';
export type { WatchHub } from './hub.js';
