/** Backups that the member which leads makes by itself. */
export { scheduledBackupFeature } from './feature.js';
export { withFullSnapshot } from './full-snapshot.js';
export { digestOf, fileLines, type Gathered, HistoryFollower } from './history-follower.js';
