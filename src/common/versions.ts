/**
 * The versions that clients read features from (C-9.2, C-12.4.3): this server behaves
 * like that etcd. kvorum's own version is told elsewhere (--version, the start-up lines, a metric).
 */

/** Status.version and /version: a released etcd, without any suffix. */
export const etcdVersion = '3.7.3';
/** The cluster version that goes with it. */
export const clusterVersion = '3.7.0';
/** Status.storageVersion and /version. */
export const storageVersion = '3.7.0';
/** The schema of the bbolt images we write: the oldest that has all we put in them. */
export const snapshotSchemaVersion = '3.6.0';
