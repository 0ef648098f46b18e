/**
 * The lessor of whoever leads, for the clients of this member and for other members: only the
 * leader knows when a lease expires. A renewal takes three steps, whichever member it came to:
 *
 *   rpc.ts  ->  LeaderLessor.renew  ->  Lessor.renew
 *
 * The second is on this member if it leads; else all renewals of one turn share a question to the
 * leader, which answers it by the same steps. One of them may be repeated, so one that met a leader
 * which is none any more, or nobody, is tried again until the request timeout; as etcd.
 *
 * The lessor is asked only after a read that was confirmed in the present term. So its member still
 * leads, and has applied every grant and revoke that was answered before the question came (L-16 to
 * L-18).
 */

import {
  assert,
  type Clock,
  type ErrorReason,
  EtcdError,
  inShares,
  type LeaseId,
  leaseRenewBatchMax,
  runSteps,
  type Term,
} from '../../common/index.js';
import type { LeaseTimeToLiveRequest } from '../../proto/index.js';
import type { Raft } from '../../raft/index.js';
import type { AnswerRoom } from '../../storage/index.js';
import {
  type Host,
  isAboutTheLink,
  isNotLeader,
  type LeaderQuestions,
  leaderRetryMs,
} from '../feature/index.js';
import type { LeaseInfo, Lessor, RenewWaiter } from './lessor.js';
import {
  decodeRenewAnswer,
  decodeRenewRequest,
  decodeTimeToLiveAnswer,
  decodeTimeToLiveRequest,
  encodeRenewAnswer,
  encodeRenewRequest,
  encodeTimeToLiveAnswer,
  encodeTimeToLiveRequest,
  renewalWaits,
} from './question-bodies.js';

export interface LeaderLessorOptions {
  readonly clock: Clock;
  readonly raft: Pick<Raft, 'term'>;
  /** Of this member. */
  readonly lessor: Pick<Lessor, 'isPrimary' | 'renew' | 'timeToLive' | 'keysOf'>;
  readonly questions: Pick<LeaderQuestions, 'ask' | 'attempt' | 'leadsHere' | 'leadsElsewhere'>;
  readonly read: Host['read'];
  readonly readBarrier: Host['readBarrier'];
  /** For a renewal, with all attempts. */
  readonly timeoutMs: number;
}

/** One renewal of a client of this member, until it is answered or given up. */
class Renewal implements RenewWaiter {
  readonly id: LeaseId;
  readonly waiter: RenewWaiter;
  readonly deadlineMs: number;
  /** In which its read was asked for. */
  term: Term = 0;
  readonly #home: LeaderLessor;

  constructor(home: LeaderLessor, id: LeaseId, waiter: RenewWaiter, deadlineMs: number) {
    this.#home = home;
    this.id = id;
    this.waiter = waiter;
    this.deadlineMs = deadlineMs;
  }

  /** The lessor of this member, or why it was not asked. */
  renewed(error: Error | undefined, ttlSeconds: number): void {
    if (error !== undefined && isNotLeader(error)) this.#home.tryAgain(this, 'TIMEOUT');
    else this.waiter.renewed(error, ttlSeconds);
  }
}

export class LeaderLessor {
  readonly #o: LeaderLessorOptions;
  /** For the leader, in this turn. */
  #gathered: Renewal[] = [];
  #flushArmed = false;
  /** To be tried again. */
  #resting: Renewal[] = [];
  /** One for all renewals, as there are so many. */
  readonly #confirmed = (renewal: Renewal, error: EtcdError | undefined): void => {
    if (error !== undefined) renewal.renewed(error, 0);
    else if (this.#leadsSince(renewal.term)) this.#o.lessor.renew(renewal.id, renewal);
    else renewal.renewed(new EtcdError('NOT_LEADER'), 0);
  };

  constructor(options: LeaderLessorOptions) {
    assert(options.timeoutMs > leaderRetryMs, 'there is time for a second attempt');
    this.#o = options;
  }

  /** For a client of this member. */
  renew(id: LeaseId, waiter: RenewWaiter): void {
    const { clock, timeoutMs } = this.#o;
    this.#route(new Renewal(this, id, waiter, clock.nowMs() + timeoutMs));
  }

  /** For a client of this member; no info and no error: there is no such lease. */
  timeToLive(
    request: LeaseTimeToLiveRequest,
    call: AnswerRoom,
    done: (error: Error | undefined, info: LeaseInfo | undefined) => void,
  ): void {
    this.#timeToLive(request, call).then(
      (info) => done(undefined, info),
      (error: Error) => done(error, undefined),
    );
  }

  /** Answers the question 'leaseRenew' of another member. */
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

  /** Answers the question 'leaseTimeToLive' of another member. */
  async answerTimeToLive(body: Uint8Array): Promise<Uint8Array> {
    const { id, keys } = decodeTimeToLiveRequest(body);
    return encodeTimeToLiveAnswer(await this.#timeToLiveHere(id, keys));
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
      const route = (one: Renewal): void => this.#route(one);
      inShares(clock, rested, route, () => {});
    });
  }

  #route(renewal: Renewal): void {
    const { questions, raft, read } = this.#o;
    if (questions.leadsHere) {
      renewal.term = raft.term;
      read(this.#confirmed, renewal);
    } else if (questions.leadsElsewhere) this.#gather(renewal);
    else this.tryAgain(renewal, 'NO_LEADER');
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
    assert(batch.length > 0 && batch.length <= leaseRenewBatchMax, 'a question has its bounds');
    const { questions } = this.#o;
    if (!questions.leadsElsewhere) {
      for (const renewal of batch) this.#route(renewal);
      return;
    }
    const body = encodeRenewRequest(batch.map(({ id }) => id));
    const answer = questions.attempt('leaseRenew', body).then(decodeRenewAnswer);
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

  async #timeToLive(
    { id, keys }: LeaseTimeToLiveRequest,
    room: AnswerRoom,
  ): Promise<LeaseInfo | undefined> {
    const { lessor, questions } = this.#o;
    const { result: info, isOwn } = await questions.ask({
      method: 'leaseTimeToLive',
      // The keys are known here as well; there may be more of them than a message holds.
      body: encodeTimeToLiveRequest({ id, keys: false }),
      here: () => this.#timeToLiveHere(id, false),
      decode: decodeTimeToLiveAnswer,
      repeatable: true,
      withoutLeader: 'NO_LEADER',
    });
    if (!keys || info === undefined) return info;
    // The leader has read when all was applied there that was committed; now it must be here.
    if (!isOwn) await this.#o.readBarrier();
    const found = await runSteps(lessor.keysOf(id, room));
    return found === undefined ? undefined : { ...info, keys: found };
  }

  /** Undefined: there is no such lease. Rejects with NOT_LEADER. */
  async #timeToLiveHere(id: LeaseId, withKeys: boolean): Promise<LeaseInfo | undefined> {
    await this.#confirm();
    return runSteps(this.#o.lessor.timeToLive(id, withKeys));
  }

  /** Rejects with NOT_LEADER if this member does not lead, or not any more. */
  async #confirm(): Promise<void> {
    const { questions, raft } = this.#o;
    const { term } = raft;
    if (!questions.leadsHere) throw new EtcdError('NOT_LEADER');
    await this.#o.readBarrier();
    if (!this.#leadsSince(term)) throw new EtcdError('NOT_LEADER');
  }

  #leadsSince(term: Term): boolean {
    const { lessor, questions, raft } = this.#o;
    return questions.leadsHere && raft.term === term && lessor.isPrimary;
  }
}
