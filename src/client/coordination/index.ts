/** Locks, elections, barriers and queues, on keys with leases. */

export {
  type Barrier,
  barrier,
  type DoubleBarrier,
  type DoubleBarrierOptions,
  doubleBarrier,
  type Entered,
} from './barrier.js';
export { type Election, election, type Leader, type Leadership } from './election.js';
export { type Coordination, coordination } from './group.js';
export { followRange } from './live-range.js';
export { LiveValue } from './live-value.js';
export { type LockHolder, type Mutex, mutex } from './mutex.js';
export { type PriorityQueue, priorityQueue, type Queue, type QueueEntry, queue } from './queue.js';
export { type ReadWriteLock, readWriteLock } from './rw-lock.js';
export { type Scope, scopeOf, unlessAborted } from './scope.js';
export { type Semaphore, type SemaphoreOptions, semaphore } from './semaphore.js';
export { openSession } from './session.js';
export type {
  AcquireOptions,
  LockHeld,
  Ownership,
  Session,
  SessionOptions,
  SessionState,
  SessionWork,
} from './types.js';
export { ValueWriter } from './value-writer.js';
