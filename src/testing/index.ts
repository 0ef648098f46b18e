/**
 * Real servers for unit tests: `startNode` and `startCluster` run the whole of kvorum inside the
 * test's process, in memory unless told otherwise, on ports that the system chose. Nothing is
 * simulated but the disk; whatever speaks etcd v3 can connect.
 */

export {
  type ClusterOptions,
  startCluster,
  startNode,
  type TestCluster,
  type TestNode,
} from './cluster.js';
export type { TestMember } from './member.js';
