/** `kvorum/client`: the typed client for kvorum and for etcd 3.4 and later. */

export type * from './admin/types.js';
export {
  type ClientReason,
  EtcdClientError,
  isEtcdError,
  type Outcome,
  type Reason,
  type ServerReason,
  type StatusName,
} from './call/errors.js';
export { config } from './config/config.js';
export type * from './config/types.js';
export {
  type Barrier,
  barrier,
  type DoubleBarrier,
  doubleBarrier,
  type Entered,
} from './coordination/barrier.js';
export { type Election, election, type Leader, type Leadership } from './coordination/election.js';
export { type LockHolder, type Mutex, mutex } from './coordination/mutex.js';
export {
  type PriorityQueue,
  priorityQueue,
  type Queue,
  type QueueEntry,
  queue,
} from './coordination/queue.js';
export { type ReadWriteLock, readWriteLock } from './coordination/rw-lock.js';
export { type Semaphore, semaphore } from './coordination/semaphore.js';
export { openSession } from './coordination/session.js';
export type * from './coordination/types.js';
export {
  atRandom,
  leastLoaded,
  type Picked,
  type Picker,
  picker,
  roundRobin,
  type Strategy,
  zoneAware,
} from './discovery/picker.js';
export { registry } from './discovery/registry.js';
export type * from './discovery/types.js';
export { Etcd } from './etcd.js';
export { bytes, json, text, typed } from './kv/codec.js';
export { mirror } from './kv/mirror.js';
export type * from './kv/txn-types.js';
export type * from './kv/types.js';
export type * from './lease/types.js';
export type * from './types.js';
export type * from './watch/types.js';
