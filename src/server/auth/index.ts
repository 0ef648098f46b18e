/** The Auth service. */
export { authFeature } from './feature.js';
