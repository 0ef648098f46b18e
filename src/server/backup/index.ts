/** The store as a file in etcd's format, both ways. */
export { writeSnapshotImage } from './image.js';
export { type BackupRestoreOptions, restoreBackup } from './restore-backup.js';
export { type RestoredSnapshot, type RestoreOptions, restoreSnapshot } from './restore-snapshot.js';
export { type OpenImage, SnapshotImages } from './shared-images.js';
export { type SnapshotStatus, snapshotStatus } from './snapshot-status.js';
