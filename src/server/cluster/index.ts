/** The Cluster service and what stands behind it. */
export {
  type DowngradeState,
  decodeDowngradeState,
  downgradeMetaName,
  encodeDowngradeState,
} from './downgrade.js';
export { type ClusterFeature, type ClusterVersions, clusterFeature } from './feature.js';
export { majorMinorOf } from './version-text.js';
