/** Watches. */
export { type WatchFeature, watchFeature } from './feature.js';
export type { WatchHub } from './hub.js';
