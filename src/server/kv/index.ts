/** Keys and values. */
export { pointQuery } from './apply.js';
export { type KvFeature, kvFeature } from './feature.js';
