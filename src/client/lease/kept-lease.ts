/**
 * One lease kept alive: a state machine over a monotonic clock.
 *
 * The server cannot have expired the lease before `sentMs + TTL` of the last request that it
 * renewed, because it received that request after it was sent and counts from there. The lease
 * counts as lost `margin` before that, which covers late timers and clocks that do not run equally
 * fast. After a suspended process wakes up, the check comes before anything else is believed.
 */

import { assert, type LeaseId, onAbort, type Timer } from '../../common/index.js';
import { abortedError, type Caller, type CallOptions, type ClientEvent } from '../call/index.js';
import { atCaller, EtcdClientError, invalidOption } from '../errors.js';
import {
  keepAliveFraction,
  leaseMarginFraction,
  leaseMarginMsMax,
  leaseWarnFraction,
} from '../limits.js';
import type { LeaseMux, RenewalTarget } from './renewal-mux.js';
import type { KeepAliveOptions, LeaseHandle, LeaseState } from './types.js';

/** Granted, and when the request for it was sent. */
export interface Granted {
  readonly id: LeaseId;
  readonly ttlSeconds: number;
  readonly sentMs: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

export class KeptLease implements LeaseHandle, RenewalTarget {
  readonly id: LeaseId;
  readonly signal: AbortSignal;
  readonly replyTimeoutMs: number;
  readonly #caller: Caller;
  readonly #mux: LeaseMux;
  readonly #options: KeepAliveOptions;
  readonly #revoke: (id: LeaseId, options: CallOptions | undefined) => Promise<unknown>;
  readonly #lost = new AbortController();
  readonly #intervalMs: number;
  readonly #waiters = new Set<Waiter>();
  #ttlSeconds: number;
  #state: LeaseState = 'alive';
  /** Of the last request that is known to have renewed it. */
  #renewedMs: number;
  #renewTimer: Timer | undefined;
  #warnTimer: Timer | undefined;
  #lostTimer: Timer | undefined;
  #takeBack: (() => void) | undefined;

  constructor(
    caller: Caller,
    mux: LeaseMux,
    granted: Granted,
    options: KeepAliveOptions,
    revoke: (id: LeaseId, options: CallOptions | undefined) => Promise<unknown>,
  ) {
    const ttlMs = granted.ttlSeconds * 1000;
    this.id = granted.id;
    this.signal = this.#lost.signal;
    this.#caller = caller;
    this.#mux = mux;
    this.#options = options;
    this.#revoke = revoke;
    this.#ttlSeconds = granted.ttlSeconds;
    this.#renewedMs = granted.sentMs;
    this.#intervalMs = options.intervalMs ?? ttlMs * keepAliveFraction;
    if (!(this.#intervalMs > 0 && this.#intervalMs < ttlMs)) {
      throw invalidOption('intervalMs must be above 0 and below the TTL');
    }
    this.replyTimeoutMs = Math.max(250, ttlMs / 4);
    mux.add(this);
    this.#takeBack = onAbort(options.signal, () => this.stop());
    if (this.#state !== 'stopped') {
      this.#armDeadlines();
      this.#armRenewal(this.#intervalMs - (this.#nowMs() - granted.sentMs));
    }
  }

  get ttlSeconds(): number {
    return this.#ttlSeconds;
  }

  get state(): LeaseState {
    this.#checkTime();
    return this.#state;
  }

  remainingMs(): number {
    this.#checkTime();
    if (this.#state === 'lost') return 0;
    return Math.max(0, this.#lostAtMs() - this.#nowMs());
  }

  async renew(options: CallOptions = {}): Promise<void> {
    this.#checkTime();
    if (this.#state === 'lost') throw this.#lost.signal.reason;
    try {
      if (this.#state === 'stopped') throw stoppedError();
      await this.#renewed(options);
    } catch (error) {
      throw atCaller(error);
    }
  }

  #renewed(options: CallOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const { signal } = options;
      const { clock } = this.#caller.options;
      const timeoutMs = options.timeoutMs ?? this.#caller.options.timeoutMs;
      const finish = (settle: () => void): void => {
        this.#waiters.delete(waiter);
        timer?.cancel();
        takeBack();
        settle();
      };
      const waiter: Waiter = {
        resolve: () => finish(resolve),
        reject: (error) => finish(() => reject(error)),
      };
      const timer = Number.isFinite(timeoutMs)
        ? clock.after(timeoutMs, () => waiter.reject(timeoutError()))
        : undefined;
      this.#waiters.add(waiter);
      let takeBack = (): void => undefined;
      if (signal !== undefined) {
        takeBack = onAbort(signal, () => waiter.reject(abortedError(signal, false, renewContext)));
      }
      this.#mux.renew(this);
    });
  }

  stop(): void {
    if (this.#state === 'lost' || this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#tell({ type: 'leaseStopped', id: this.id });
    this.#leave(stoppedError());
  }

  async revoke(options?: CallOptions): Promise<void> {
    const gone = this.state === 'lost';
    this.stop();
    try {
      await this.#revoke(this.id, options);
    } catch (error) {
      // What is gone need not be revoked.
      const notFound = error instanceof EtcdClientError && error.reason === 'LEASE_NOT_FOUND';
      if (!notFound && !gone) throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.revoke();
  }

  /** The id as decimal text: JSON has no bigint. */
  toJSON(): Readonly<Record<string, unknown>> {
    return { id: String(this.id), ttlSeconds: this.ttlSeconds, state: this.state };
  }

  // ------------------------------------------------------------------------------ for the mux

  onRenewed(sentMs: number, ttlSeconds: number): void {
    if (ttlSeconds <= 0) {
      this.#lose('the server has no such lease any more');
      return;
    }
    this.#checkTime();
    if (this.#state === 'lost') return; // too late: somebody was told already
    assert(this.#state !== 'stopped', 'nothing comes for a lease that was let go');
    this.#renewedMs = sentMs;
    this.#ttlSeconds = ttlSeconds;
    const warned = this.#state === 'warning';
    this.#state = 'alive';
    this.#tell({ type: 'leaseRenewed', id: this.id, ttlSeconds });
    this.#armDeadlines();
    this.#armRenewal(this.#intervalMs - (this.#nowMs() - sentMs));
    for (const waiter of [...this.#waiters]) waiter.resolve();
    if (!warned) return;
    this.#tell({ type: 'leaseRecovered', id: this.id });
    this.#options.onRecovered?.();
  }

  onRefused(error: Error): void {
    this.#lose('the server refuses to renew it', error);
  }

  // ------------------------------------------------------------------------------------ inside

  #tell(event: ClientEvent): void {
    this.#caller.options.onEvent(event);
  }

  #nowMs(): number {
    return this.#caller.options.clock.nowMs();
  }

  #lostAtMs(): number {
    const ttlMs = this.#ttlSeconds * 1000;
    const marginMs =
      this.#options.marginMs ?? Math.min(leaseMarginMsMax, ttlMs * leaseMarginFraction);
    return this.#renewedMs + ttlMs - marginMs;
  }

  #armRenewal(delayMs: number): void {
    this.#renewTimer?.cancel();
    this.#renewTimer = this.#caller.options.clock.after(Math.max(0, delayMs), () => {
      this.#mux.renew(this);
      // Asked again until the reply comes; the mux keeps one request on its way.
      this.#armRenewal(this.#intervalMs);
    });
  }

  #armDeadlines(): void {
    const { clock } = this.#caller.options;
    this.#warnTimer?.cancel();
    this.#lostTimer?.cancel();
    const nowMs = clock.nowMs();
    const fraction = this.#options.warnAfter ?? leaseWarnFraction;
    const warnAtMs = this.#renewedMs + this.#ttlSeconds * 1000 * fraction;
    this.#warnTimer = clock.after(Math.max(0, warnAtMs - nowMs), () => this.#warn());
    this.#lostTimer = clock.after(Math.max(0, this.#lostAtMs() - nowMs), () => this.#checkTime());
  }

  #warn(): void {
    this.#checkTime();
    if (this.#state !== 'alive') return;
    this.#state = 'warning';
    this.#tell({ type: 'leaseWarning', id: this.id, remainingMs: this.remainingMs() });
    this.#options.onWarning?.(this.remainingMs());
  }

  /** Time may have passed without our timers: a process that was stopped. */
  #checkTime(): void {
    if (this.#state !== 'alive' && this.#state !== 'warning') return;
    if (this.#nowMs() >= this.#lostAtMs()) this.#lose('no renewal came before it may have expired');
  }

  #lose(why: string, cause?: Error): void {
    if (this.#state === 'lost' || this.#state === 'stopped') return;
    this.#state = 'lost';
    const error = new EtcdClientError({
      code: 'ABORTED',
      reason: 'LEASE_LOST',
      outcome: 'failed',
      message: `lease ${this.id.toString(16)} is lost: ${why}`,
      cause,
    });
    this.#leave(error);
    this.#tell({ type: 'leaseLost', id: this.id, error });
    this.#lost.abort(error);
    this.#options.onLost?.(error);
  }

  #leave(error: EtcdClientError): void {
    assert(this.#state === 'lost' || this.#state === 'stopped', 'who leaves does not come back');
    for (const timer of [this.#renewTimer, this.#warnTimer, this.#lostTimer]) timer?.cancel();
    this.#takeBack?.();
    this.#mux.remove(this);
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }
}

const renewContext = {
  kind: 'read',
  method: '/etcdserverpb.Lease/LeaseKeepAlive',
  endpoint: undefined,
  attempts: 0,
} as const;

function stoppedError(): EtcdClientError {
  return new EtcdClientError({
    code: 'CANCELLED',
    reason: 'CLOSED',
    outcome: 'failed',
    message: 'the lease is no longer kept alive',
  });
}

function timeoutError(): EtcdClientError {
  return new EtcdClientError({
    code: 'DEADLINE_EXCEEDED',
    reason: 'CALL_TIMEOUT',
    outcome: 'failed',
    message: 'the lease was not renewed in time',
  });
}
