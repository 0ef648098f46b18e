/** All of coordination under one name, so that an editor lists it. */

import { barrier, doubleBarrier } from './barrier.js';
import { election } from './election.js';
import { mutex } from './mutex.js';
import { priorityQueue, queue } from './queue.js';
import { readWriteLock } from './rw-lock.js';
import { semaphore } from './semaphore.js';
import { openSession } from './session.js';

/** What `coordination` has. */
export interface Coordination {
  readonly openSession: typeof openSession;
  readonly mutex: typeof mutex;
  readonly readWriteLock: typeof readWriteLock;
  readonly semaphore: typeof semaphore;
  readonly election: typeof election;
  readonly barrier: typeof barrier;
  readonly doubleBarrier: typeof doubleBarrier;
  readonly queue: typeof queue;
  readonly priorityQueue: typeof priorityQueue;
}

/** What is made of a view and a name, and sessions: `coordination.mutex(kv, 'name')`. */
export const coordination: Coordination = {
  openSession,
  mutex,
  readWriteLock,
  semaphore,
  election,
  barrier,
  doubleBarrier,
  queue,
  priorityQueue,
};
