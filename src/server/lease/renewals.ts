/**
 * Renewals on their way to the leader: here if this member leads, else all that come in one turn
 * share a question. A renewal may be repeated, so one that met a leader which is none any more, or
 * nobody, is tried again until the request timeout; as etcd.
 */

import {
  type Clock,
  type ErrorReason,
  EtcdError,
  inShares,
  type LeaseId,
  leaseRenewBatchMax,
  type MemberId,
} from '../../common/index.js';
import { isAboutTheLink, isNotLeader, leaderRetryMs } from '../feature/index.js';
import type { PeerTransport } from '../peers/index.js';
import type { LeaseLeader } from './leader.js';
import type { RenewWaiter } from './lessor.js';
import { decodeRenewAnswer, encodeRenewRequest, renewalWaits } from './question.js';

export interface LeaseRenewalsOptions {
  readonly self: MemberId;
  readonly clock: Clock;
  readonly leader: () => MemberId;
  /** Undefined: this member is alone. */
  readonly peers: Pick<PeerTransport, 'call'> | undefined;
  readonly leaseLeader: LeaseLeader;
  /** For the whole, and for one question. */
  readonly timeoutMs: number;
  readonly attemptMs: number;
}

/** One keepalive request that waits. */
class Renewal implements RenewWaiter {
  constructor(
    readonly renewals: LeaseRenewals,
    readonly id: LeaseId,
    readonly waiter: RenewWaiter,
    readonly deadlineMs: number,
  ) {}

  renewed(error: Error | undefined, ttlSeconds: number): void {
    if (error !== undefined && isNotLeader(error)) this.renewals.tryAgain(this, 'TIMEOUT');
    else this.waiter.renewed(error, ttlSeconds);
  }
}

export class LeaseRenewals {
  readonly #o: LeaseRenewalsOptions;
  /** For the leader, in this turn. */
  #gathered: Renewal[] = [];
  #flushArmed = false;
  /** To be tried again. */
  #resting: Renewal[] = [];

  constructor(options: LeaseRenewalsOptions) {
    this.#o = options;
  }

  renew(id: LeaseId, waiter: RenewWaiter): void {
    const { clock, timeoutMs } = this.#o;
    this.#route(new Renewal(this, id, waiter, clock.nowMs() + timeoutMs));
  }

  #route(renewal: Renewal): void {
    const { leader: leaderNow, self, leaseLeader, peers } = this.#o;
    const leader = leaderNow();
    if (leader === self) leaseLeader.renew(renewal.id, renewal);
    else if (leader === 0n || peers === undefined) this.tryAgain(renewal, 'NO_LEADER');
    else this.#gather(renewal);
  }

  #gather(renewal: Renewal): void {
    this.#gathered.push(renewal);
    if (this.#flushArmed) return;
    this.#flushArmed = true;
    this.#o.clock.afterTurn(() => {
      this.#flushArmed = false;
      const gathered = this.#gathered;
      this.#gathered = [];
      for (let i = 0; i < gathered.length; i += leaseRenewBatchMax) {
        this.#ask(gathered.slice(i, i + leaseRenewBatchMax));
      }
    });
  }

  #ask(batch: readonly Renewal[]): void {
    const { leader: leaderNow, self, peers, attemptMs } = this.#o;
    const leader = leaderNow();
    if (leader === self || leader === 0n || peers === undefined) {
      for (const renewal of batch) this.#route(renewal);
      return;
    }
    const body = encodeRenewRequest(batch.map(({ id }) => id));
    const answer = peers.call(leader, 'leaseRenew', body, attemptMs).then(decodeRenewAnswer);
    answer.then(
      (ttls) => this.#answered(batch, ttls),
      (error: unknown) => {
        for (const renewal of batch) this.#failed(renewal, error);
      },
    );
  }

  #answered(batch: readonly Renewal[], ttls: readonly number[]): void {
    for (const [i, renewal] of batch.entries()) {
      const ttl = ttls[i] ?? renewalWaits;
      if (ttl >= 0) renewal.waiter.renewed(undefined, ttl);
      // Alone it may wait for the answer.
      else if (batch.length > 1) this.#ask([renewal]);
      else this.tryAgain(renewal, 'TIMEOUT');
    }
  }

  #failed(renewal: Renewal, error: unknown): void {
    if (isNotLeader(error) || isAboutTheLink(error)) this.tryAgain(renewal, 'TIMEOUT');
    else renewal.waiter.renewed(error as EtcdError, 0);
  }

  /** In a moment; or it is given up with `reason`. */
  tryAgain(renewal: Renewal, reason: ErrorReason): void {
    const { clock } = this.#o;
    if (clock.nowMs() + leaderRetryMs >= renewal.deadlineMs) {
      renewal.waiter.renewed(new EtcdError(reason), 0);
      return;
    }
    this.#resting.push(renewal);
    if (this.#resting.length > 1) return;
    clock.after(leaderRetryMs, () => {
      const rested = this.#resting;
      this.#resting = [];
      const route = (one: Renewal) => this.#route(one);
      inShares(clock, rested, route, () => {});
    });
  }
}
