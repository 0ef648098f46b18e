/** Keys and values. */
export { type KvFeature, kvFeature } from './feature.js';
