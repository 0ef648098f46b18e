/**
 * What the leader answers about leases, to its own clients and to other members: only after a read
 * that was confirmed in its present term. So it still leads, and has applied every grant and revoke
 * that was answered before the question came (L-16, L-17, L-18).
 */

import { EtcdError, type LeaseId, type MemberId, runSteps, type Term } from '../../common/index.js';
import type { Raft } from '../../raft/index.js';
import type { ReadWaiter } from '../feature/index.js';
import type { LeaseInfo, Lessor, RenewWaiter } from './lessor.js';
import {
  decodeRenewRequest,
  decodeTimeToLiveRequest,
  encodeRenewAnswer,
  encodeTimeToLiveAnswer,
  renewalWaits,
} from './question.js';

export interface LeaseLeaderOptions {
  readonly self: MemberId;
  readonly raft: Pick<Raft, 'leader' | 'term'>;
  readonly lessor: Pick<Lessor, 'isPrimary' | 'renew' | 'timeToLive'>;
  /** Runs `run` once a linearizable read may happen here. */
  readonly read: <Context>(run: ReadWaiter<Context>, context: Context) => void;
}

/** A renewal that waits for its read. An object and no closure, as there are so many. */
interface ConfirmedRenewal {
  readonly leader: LeaseLeader;
  readonly id: LeaseId;
  readonly waiter: RenewWaiter;
  readonly term: Term;
}

export class LeaseLeader {
  readonly #o: LeaseLeaderOptions;

  constructor(options: LeaseLeaderOptions) {
    this.#o = options;
  }

  /** The waiter gets NOT_LEADER if this member does not lead, or not any more. */
  renew(id: LeaseId, waiter: RenewWaiter): void {
    const { term } = this.#o.raft;
    this.#o.read(renewConfirmed, { leader: this, id, waiter, term });
  }

  renewNow(id: LeaseId, waiter: RenewWaiter, term: Term): void {
    if (this.#leadsSince(term)) this.#o.lessor.renew(id, waiter);
    else waiter.renewed(new EtcdError('NOT_LEADER'), 0);
  }

  /** Undefined: there is no such lease. Rejects with NOT_LEADER. */
  async timeToLive(id: LeaseId, withKeys: boolean): Promise<LeaseInfo | undefined> {
    await this.#confirm();
    return runSteps(this.#o.lessor.timeToLive(id, withKeys));
  }

  /** Answers the question 'leaseRenew'. */
  async answerRenew(body: Uint8Array): Promise<Uint8Array> {
    const ids = decodeRenewRequest(body);
    await this.#confirm();
    const { lessor } = this.#o;
    const [only] = ids;
    if (only !== undefined && ids.length === 1) {
      const ttl = await new Promise<number>((resolve, reject) => {
        lessor.renew(only, {
          renewed: (error, ttlSeconds) =>
            error === undefined ? resolve(ttlSeconds) : reject(error),
        });
      });
      return encodeRenewAnswer([ttl]);
    }
    // One that has to wait must not keep the others waiting.
    const ttls = ids.map((id) => {
      let ttl = renewalWaits;
      lessor.renew(id, {
        renewed: (error, ttlSeconds) => {
          if (error === undefined) ttl = ttlSeconds;
        },
      });
      return ttl;
    });
    return encodeRenewAnswer(ttls);
  }

  /** Answers the question 'leaseTimeToLive'. */
  async answerTimeToLive(body: Uint8Array): Promise<Uint8Array> {
    const { id, keys } = decodeTimeToLiveRequest(body);
    return encodeTimeToLiveAnswer(await this.timeToLive(id, keys));
  }

  #leadsSince(term: Term): boolean {
    const { lessor, raft, self } = this.#o;
    return raft.leader === self && raft.term === term && lessor.isPrimary;
  }

  async #confirm(): Promise<void> {
    const { raft, read, self } = this.#o;
    const { term } = raft;
    if (raft.leader !== self) throw new EtcdError('NOT_LEADER');
    await new Promise<void>((resolve, reject) => {
      read((_context, error) => (error === undefined ? resolve() : reject(error)), undefined);
    });
    if (!this.#leadsSince(term)) throw new EtcdError('NOT_LEADER');
  }
}

function renewConfirmed(renewal: ConfirmedRenewal, error: EtcdError | undefined): void {
  const { leader, id, waiter, term } = renewal;
  if (error === undefined) leader.renewNow(id, waiter, term);
  else waiter.renewed(error, 0);
}
