/**
 * Passwords are hashed and signatures checked on the threads that also write the log and read the
 * store, so only some at once, and those that wait are bounded. Addresses take turns: whoever
 * floods a member with wrong passwords waits for himself, and not the others for him.
 */

import { EtcdError } from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';

export interface WorkQueueOptions {
  readonly atOnceMax: number;
  readonly waitingMax: number;
  /** Of these, from one address. */
  readonly waitingPerAddressMax: number;
}

/** Whose work it is. */
type Asker = Pick<ServerCall, 'cancelled' | 'peer'>;

interface Job {
  readonly call: Asker;
  readonly run: () => Promise<void>;
  readonly drop: () => void;
}

export class WorkQueue {
  readonly #o: WorkQueueOptions;
  /** Who waits, by address; those whose turn is next first. */
  readonly #byAddress = new Map<string, Job[]>();
  #waiting = 0;
  #running = 0;

  constructor(options: WorkQueueOptions) {
    this.#o = options;
  }

  /** Number of jobs that wait. */
  get size(): number {
    return this.#waiting;
  }

  /**
   * What `work` resolves to, once its turn has come. Rejects with TOO_MANY_REQUESTS if too many
   * wait already, with REQUEST_CANCELED if the call is over before.
   */
  run<T>(call: Asker, work: () => Promise<T>): Promise<T> {
    const address = hostOf(call.peer.address);
    const queue = this.#byAddress.get(address) ?? [];
    const isFull = this.#waiting >= this.#o.waitingMax;
    if (isFull || queue.length >= this.#o.waitingPerAddressMax) {
      return Promise.reject(new EtcdError('TOO_MANY_REQUESTS'));
    }
    const done = new Promise<T>((resolve, reject) => {
      const run = (): Promise<void> => work().then(resolve, reject);
      const drop = (): void => reject(new EtcdError('REQUEST_CANCELED'));
      queue.push({ call, run, drop });
    });
    this.#byAddress.set(address, queue);
    this.#waiting += 1;
    this.#next();
    return done;
  }

  #next(): void {
    while (this.#running < this.#o.atOnceMax) {
      const job = this.#take();
      if (job === undefined) return;
      if (job.call.cancelled) {
        job.drop();
        continue;
      }
      this.#running += 1;
      void job.run().then(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  /** Of the address whose turn it is; others of it wait until all have had theirs. */
  #take(): Job | undefined {
    const [first] = this.#byAddress;
    if (first === undefined) return undefined;
    const [address, queue] = first;
    const job = queue.shift();
    this.#waiting -= 1;
    this.#byAddress.delete(address);
    if (queue.length > 0) this.#byAddress.set(address, queue);
    return job;
  }
}

/** Without the port: one client has many connections. */
function hostOf(address: string): string {
  const colon = address.lastIndexOf(':');
  return colon < 0 ? address : address.slice(0, colon);
}
