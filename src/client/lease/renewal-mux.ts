/**
 * Renewals of all leases of a client over one LeaseKeepAlive stream. Requests are answered in
 * order, each with the lease's id (C-3.7), so a reply is matched with the oldest
 * unanswered request for its id, whose *sending* time is what the renewed lease counts from.
 *
 * The mux only carries requests; when to renew, and when a lease counts as lost, the leases decide.
 */

import { assert, backoffMs, GrpcCode, type LeaseId, type Timer } from '../../common/index.js';
import { decodeLeaseKeepAliveResponse, encodeLeaseKeepAliveRequest } from '../../proto/index.js';
import { asError, type Caller, callError, method, type OpenedStream } from '../call/index.js';
import type { RpcStatus, Slot } from '../connection/index.js';
import { isEtcdError, type Reason, reasonOf } from '../errors.js';
import { streamDelayMaxMs, streamDelayMinMs } from '../limits.js';

/** What the mux needs of a lease. */
export interface RenewalTarget {
  readonly id: LeaseId;
  /** The server has renewed it: it lives at least `ttlSeconds` from `sentMs`. 0: it is gone. */
  onRenewed(sentMs: number, ttlSeconds: number): void;
  /** The server will not renew it (permission denied and the like). */
  onRefused(error: Error): void;
  /** The client was closed. */
  stop(): void;
  /** A reply must come in this time, or another server is asked. */
  readonly replyTimeoutMs: number;
}

interface Sent {
  readonly target: RenewalTarget;
  readonly sentMs: number;
}

export class LeaseMux {
  readonly #caller: Caller;
  /** Leases whose renewal is wanted and not sent yet. */
  readonly #wanted = new Set<RenewalTarget>();
  readonly #leases = new Set<RenewalTarget>();
  /** Unanswered, oldest first. */
  #sent: Sent[] = [];
  readonly #inFlight = new Set<RenewalTarget>();
  #opened: OpenedStream | undefined;
  #opening: AbortController | undefined;
  #avoid: Slot | undefined;
  #failures = 0;
  /** One after the other, for the token. */
  #refusals = 0;
  #retry: Timer | undefined;
  #replyTimer: Timer | undefined;
  #closed = false;

  constructor(caller: Caller) {
    this.#caller = caller;
  }

  /** From now on the stream is kept for this lease. */
  add(target: RenewalTarget): void {
    assert(!this.#leases.has(target), 'a lease is added once');
    this.#leases.add(target);
  }

  /** No callback comes after the call. */
  remove(target: RenewalTarget): void {
    this.#leases.delete(target);
    this.#wanted.delete(target);
    if (this.#leases.size > 0) return;
    this.#opening?.abort();
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#drop();
  }

  /** Sends a renewal now, or as soon as there is a stream. */
  renew(target: RenewalTarget): void {
    if (this.#closed || !this.#leases.has(target)) return;
    // One unanswered request a lease: a stream that hangs does not fill up.
    if (this.#inFlight.has(target)) return;
    if (this.#opened !== undefined) {
      this.#send(target);
      return;
    }
    this.#wanted.add(target);
    this.#open();
  }

  close(): void {
    this.#closed = true;
    this.#opening?.abort();
    this.#retry?.cancel();
    this.#drop();
    for (const target of [...this.#leases]) target.stop();
  }

  #send(target: RenewalTarget): void {
    assert(!this.#inFlight.has(target), 'a lease has one request on its way');
    this.#inFlight.add(target);
    this.#sent.push({ target, sentMs: this.#caller.options.clock.nowMs() });
    this.#opened?.stream.send(encodeLeaseKeepAliveRequest({ id: target.id }));
    this.#armReplyTimer();
  }

  #open(): void {
    if (this.#opening !== undefined || this.#retry !== undefined || this.#closed) return;
    const opening = new AbortController();
    this.#opening = opening;
    const options = { signal: opening.signal };
    this.#caller.open(method.leaseKeepAlive, 'read', options, this.#avoid).then(
      (opened) => {
        this.#opening = undefined;
        if (this.#closed || this.#leases.size === 0) opened.stream.cancel();
        else this.#begin(opened);
      },
      (error: unknown) => {
        this.#opening = undefined;
        if (this.#closed) return;
        if (opening.signal.aborted) {
          if (this.#wanted.size > 0) this.#open();
        } else this.#onOpenError(asError(error));
      },
    );
  }

  #onOpenError(error: Error): void {
    // A refused password stays refused; everything else may pass, and the leases watch the time.
    if (!isEtcdError(error) || !staysRefused.has(error.reason)) {
      this.#reopenLater();
      return;
    }
    for (const target of [...this.#leases]) target.onRefused(error);
  }

  #begin(opened: OpenedStream): void {
    assert(this.#opened === undefined && this.#sent.length === 0, 'a new stream has no requests');
    this.#opened = opened;
    opened.stream.onMessage = (message) => {
      if (this.#opened === opened) this.#onMessage(message);
    };
    opened.stream.onStatus = (status) => {
      if (this.#opened === opened) this.#onStatus(opened, status);
    };
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    for (const target of wanted) this.#send(target);
  }

  #onMessage(message: Buffer): void {
    const { id, ttlSeconds } = decodeLeaseKeepAliveResponse(message);
    const at = this.#sent.findIndex(({ target }) => target.id === id);
    const [sent] = at < 0 ? [] : this.#sent.splice(at, 1);
    if (sent !== undefined) this.#inFlight.delete(sent.target);
    assert(this.#sent.length === this.#inFlight.size, 'each unanswered request is of one lease');
    this.#failures = 0;
    this.#refusals = 0;
    this.#avoid = undefined;
    this.#replyTimer?.cancel();
    this.#replyTimer = undefined;
    this.#armReplyTimer();
    if (sent !== undefined && this.#leases.has(sent.target)) {
      sent.target.onRenewed(sent.sentMs, ttlSeconds);
    }
  }

  #onStatus(opened: OpenedStream, status: RpcStatus): void {
    this.#caller.streamEnded(opened, method.leaseKeepAlive, status);
    const reason = reasonOf(status.message);
    this.#avoid = opened.slot;
    const again = this.#caller.refused(opened, reason, this.#refusals);
    if (again) this.#refusals += 1;
    const asked = this.#sent.map(({ target }) => target);
    this.#forget();
    if (!again && isFinal(status)) {
      const context = {
        kind: 'read',
        method: method.leaseKeepAlive,
        endpoint: opened.slot.endpoint.address,
        attempts: 1,
      } as const;
      // Only the oldest can have been the reason; the others are asked for again.
      asked.shift()?.onRefused(callError(status, context));
    } else if (status.code === GrpcCode.UNAVAILABLE) {
      this.#caller.options.pool.suspect(opened.slot);
    }
    for (const target of asked) this.#wanted.add(target);
    this.#reopenLater();
  }

  /** The server took the request and says nothing: it may have lost its leader, or hang. */
  #armReplyTimer(): void {
    const oldest = this.#sent[0];
    if (this.#replyTimer !== undefined || oldest === undefined) return;
    const { clock, pool } = this.#caller.options;
    const dueMs = oldest.sentMs + oldest.target.replyTimeoutMs;
    this.#replyTimer = clock.after(Math.max(0, dueMs - clock.nowMs()), () => {
      this.#replyTimer = undefined;
      if (this.#sent[0] !== oldest) {
        this.#armReplyTimer();
        return;
      }
      const slot = this.#opened?.slot;
      if (slot !== undefined) pool.suspect(slot);
      this.#avoid = slot;
      for (const { target } of this.#sent) this.#wanted.add(target);
      this.#drop();
      this.#reopenLater();
    });
  }

  #reopenLater(): void {
    if (this.#closed || this.#wanted.size === 0 || this.#retry !== undefined) return;
    const { clock, random } = this.#caller.options;
    const pauseMs = () => backoffMs(this.#failures, streamDelayMinMs, streamDelayMaxMs, random);
    const delayMs = this.#failures === 0 ? 0 : pauseMs();
    this.#failures += 1;
    this.#retry = clock.after(delayMs, () => {
      this.#retry = undefined;
      for (const target of [...this.#wanted]) {
        if (!this.#leases.has(target)) this.#wanted.delete(target);
      }
      if (this.#wanted.size > 0) this.#open();
    });
  }

  #drop(): void {
    const opened = this.#opened;
    this.#forget();
    if (opened !== undefined) this.#caller.streamEnded(opened, method.leaseKeepAlive, undefined);
    opened?.stream.end();
    opened?.stream.cancel();
  }

  #forget(): void {
    this.#opened = undefined;
    this.#sent = [];
    this.#inFlight.clear();
    this.#replyTimer?.cancel();
    this.#replyTimer = undefined;
  }
}

const finalCodes: ReadonlySet<number> = new Set([
  GrpcCode.PERMISSION_DENIED,
  GrpcCode.UNIMPLEMENTED,
  GrpcCode.INVALID_ARGUMENT,
  GrpcCode.UNAUTHENTICATED,
]);

/** What is said when there is to be a token, and will be again. */
const staysRefused: ReadonlySet<Reason> = new Set<Reason>([
  'AUTH_FAILED',
  'NO_PASSWORD_USER',
  'AUTH_NOT_ENABLED',
  'UNIMPLEMENTED',
]);

function isFinal(status: RpcStatus): boolean {
  return finalCodes.has(status.code);
}
