/** Running a cluster: members, maintenance and auth administration. */

export { authOf } from './auth.js';
export { clusterOf } from './cluster.js';
export { maintenanceOf } from './maintenance.js';
export type {
  Alarm,
  AlarmName,
  AuthAdmin,
  Cluster,
  GrantedPermission,
  Maintenance,
  Member,
  MemberStatus,
  Permission,
  PermissionKind,
  SnapshotChunk,
  SnapshotOptions,
} from './types.js';
