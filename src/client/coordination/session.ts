/**
 * Sessions: a lease kept alive, with one signal that says when everything owned through it is over.
 *
 * Invariants: the signal aborts before a server can have expired the lease (see lease.ts); once it
 * has aborted nothing is granted through the session any more; nothing that the session started
 * outlives it, timers included.
 */

import { assert, type LeaseId, onAbort } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import type { EtcdClient } from '../client.js';
import { EtcdClientError } from '../errors.js';
import type { LeaseHandle } from '../lease/index.js';
import { sessionTtlSecondsDefault } from '../limits.js';
import { checkOptions } from '../strict/index.js';
import { sessionShape } from './option-shapes.js';
import { persist, scopeOf } from './scope.js';
import type { Session, SessionOptions, SessionState, SessionWork } from './types.js';

/** Grants a lease and keeps it alive until the session is closed. */
export async function openSession(
  client: EtcdClient,
  options: SessionOptions = {},
): Promise<Session> {
  checkOptions('openSession', options, sessionShape);
  const { signal, timeoutMs, metadata, ttlSeconds, onLost, ...keepAlive } = options;
  // The caller's signal is for the grant only, and must not stop the lease later.
  const scope = scopeOf(client.runtime.clock, signal === undefined ? {} : { signal });
  try {
    const lease = await client.leases.create(ttlSeconds ?? sessionTtlSecondsDefault, {
      ...keepAlive,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(metadata === undefined ? {} : { metadata }),
      signal: scope.signal,
    });
    return new SessionRun(client, lease, onLost);
  } finally {
    scope.end();
  }
}

class SessionRun implements Session, SessionWork {
  readonly client: EtcdClient;
  readonly id: LeaseId;
  readonly signal: AbortSignal;
  readonly #lease: LeaseHandle;
  readonly #over = new AbortController();
  readonly #onLost: ((error: EtcdClientError) => void) | undefined;
  /** Name -> who waits for it; a name without entry is free. */
  readonly #turns = new Map<string, Array<() => void>>();
  #closing: Promise<void> | undefined;
  #links: Array<() => void> = [];

  constructor(
    client: EtcdClient,
    lease: LeaseHandle,
    onLost: ((error: EtcdClientError) => void) | undefined,
  ) {
    this.client = client;
    this.id = lease.id;
    this.signal = this.#over.signal;
    this.#lease = lease;
    this.#onLost = onLost;
    this.#links = [
      onAbort(lease.signal, () => this.#onLeaseLost()),
      onAbort(client.signal, () => this.#onClientClosed()),
    ];
    if (this.signal.aborted) this.#unlink();
  }

  get work(): SessionWork {
    return this;
  }

  get ttlSeconds(): number {
    return this.#lease.ttlSeconds;
  }

  get state(): SessionState {
    const { state } = this.#lease; // looks at the clock, and aborts if it is late
    return state === 'stopped' ? 'closed' : state;
  }

  remainingMs(): number {
    return this.signal.aborted ? 0 : this.#lease.remainingMs();
  }

  close(options?: CallOptions): Promise<void> {
    this.#closing ??= this.#close(options);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // -------------------------------------------------------------- for what is built on sessions

  enter(name: string, signal: AbortSignal): Promise<() => void> {
    const entered = this.tryEnter(name);
    if (entered !== undefined) return Promise.resolve(entered);
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        takeBack();
        resolve(this.#leaver(name));
      };
      const waiting = this.#turns.get(name);
      assert(waiting !== undefined, 'a name that is taken has a queue');
      waiting.push(turn);
      const takeBack = onAbort(signal, () => {
        const at = waiting.indexOf(turn);
        assert(at >= 0, 'who waits is in the queue');
        waiting.splice(at, 1);
        reject(signal.reason);
      });
    });
  }

  tryEnter(name: string): (() => void) | undefined {
    if (this.#turns.has(name)) return undefined;
    this.#turns.set(name, []);
    return this.#leaver(name);
  }

  async insist(attempt: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    try {
      await persist(this.client.runtime, this.signal, () => attempt(this.signal));
    } catch (error) {
      // What belongs to a session that is over goes with its lease.
      if (!this.signal.aborted) throw error;
    }
  }

  probe(): void {
    this.#lease.renew().catch(() => undefined);
  }

  // ------------------------------------------------------------------------------------ inside

  #leaver(name: string): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const waiting = this.#turns.get(name);
      assert(waiting !== undefined, 'a name is left by who has it');
      const next = waiting.shift();
      if (next === undefined) this.#turns.delete(name);
      else next();
    };
  }

  #onLeaseLost(): void {
    const error: EtcdClientError = this.#lease.signal.reason;
    if (!this.#end(error)) return;
    this.#onLost?.(error);
  }

  #onClientClosed(): void {
    this.#lease.stop();
    this.#end(closedError('the client was closed'));
  }

  async #close(options?: CallOptions): Promise<void> {
    const clientClosed = this.client.signal.aborted;
    this.#end(closedError('the session was closed'));
    // The connections are gone: the lease runs out by itself.
    if (!clientClosed) await this.#lease.revoke(options);
  }

  #end(error: EtcdClientError): boolean {
    if (this.signal.aborted) return false;
    this.#unlink();
    this.#over.abort(error);
    return true;
  }

  #unlink(): void {
    for (const takeBack of this.#links.splice(0)) takeBack();
  }
}

function closedError(message: string): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'CLOSED',
    outcome: 'failed',
    message,
  });
}
