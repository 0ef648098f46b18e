/** The commands about snapshots: files in etcd's format. */
export { snapshotCommand } from './snapshot.js';
