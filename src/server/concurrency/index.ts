/** The Lock and Election services. */
export { type ConcurrencyCalls, concurrencyFeature } from './feature.js';
