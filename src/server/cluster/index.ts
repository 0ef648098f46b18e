/** The Cluster service and what stands behind it. */
export { type ClusterFeature, clusterFeature } from './feature.js';
