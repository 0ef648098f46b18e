/** The Maintenance service and what stands behind it. */
export { maintenanceFeature } from './feature.js';
