/**
 * --auto-promote-learners: the leader promotes a learner once it has followed the log for a while.
 *
 * What must hold, and why:
 *
 *   - It has started, and said what it is: one with --read-only-member stays a learner.
 *   - At each look it has all that the leader had at the look before, and is sent to as those who
 *     keep up are. One look is not enough: behind a burst of writes every learner is in sync once.
 *   - All voters are there and keep up. One more voter may need one more to agree, so while one is
 *     missing a promotion could cost the quorum; who replaces the missing one decides that himself.
 *   - One at a time, by the rules that an operator's promotion has to pass as well
 *     (member-admin.ts), in the term of these looks: a new leader looks anew.
 */

import type { Clock, Logger, MemberId, Timer } from '../../common/index.js';
import { EtcdError, idToHex } from '../../common/index.js';
import type { ProgressView, Raft } from '../../raft/index.js';
import type { Membership } from '../membership/index.js';
import type { PeerTransport } from '../peers/index.js';

export interface AutoPromotionOptions {
  readonly self: MemberId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly membership: Pick<Membership, 'isReadOnly' | 'list'>;
  readonly raft: Pick<Raft, 'progress' | 'status'>;
  /** Undefined: this member is alone and stays so. */
  readonly peers: Pick<PeerTransport, 'connectedSinceMs'> | undefined;
  /** Promotes it if nothing speaks against it; rejects with an EtcdError. */
  readonly promote: (id: MemberId) => Promise<unknown>;
  readonly electionMs: number;
}

/** Looks in an election timeout. */
const looksPerElection = 2;
/** So long a learner keeps up, and a voter is there, before it counts: 5 s, as etcd's health. */
const steadyElections = 5;

export class AutoPromotion {
  readonly #o: AutoPromotionOptions;
  #timer: Timer | undefined;
  /** Counts the terms of this leader: what began in an earlier one is none of this one's. */
  #reign = 0;
  #isPromoting = false;
  /** The last index of the log at the look before. */
  #goal: number | undefined;
  /** Learners that keep up, and since when. */
  readonly #steady = new Map<MemberId, number>();

  constructor(options: AutoPromotionOptions) {
    this.#o = options;
  }

  /** This member leads, in a new term. */
  start(): void {
    this.stop();
    if (this.#o.peers === undefined) return;
    this.#wait();
  }

  stop(): void {
    this.#reign += 1;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#isPromoting = false;
    this.#goal = undefined;
    this.#steady.clear();
  }

  #wait(): void {
    const { clock, electionMs } = this.#o;
    this.#timer = clock.after(electionMs / looksPerElection, () => {
      this.#look();
      this.#wait();
    });
  }

  #look(): void {
    const { clock, electionMs, membership, raft } = this.#o;
    const { configuration, lastIndex } = raft.status();
    const goal = this.#goal;
    this.#goal = lastIndex;
    const views = new Map(raft.progress().map((view) => [view.member, view]));
    const nowMs = clock.nowMs();
    const keepsUp = (id: MemberId): boolean => {
      const view = views.get(id);
      return view !== undefined && goal !== undefined && this.#isThere(view, goal);
    };
    for (const { id, isLearner, name } of membership.list()) {
      const isOne = isLearner && name !== '' && !membership.isReadOnly(id);
      if (!isOne || !keepsUp(id)) this.#steady.delete(id);
      else if (!this.#steady.has(id)) this.#steady.set(id, nowMs);
    }
    for (const id of this.#steady.keys()) if (!views.has(id)) this.#steady.delete(id);
    // Between two configurations, or in the middle of one promotion.
    if (this.#isPromoting || configuration.votersOutgoing.length > 0) return;
    const { self } = this.#o;
    if (!configuration.voters.every((id) => id === self || keepsUp(id))) return;
    for (const [id, sinceMs] of this.#steady) {
      if (nowMs - sinceMs < steadyElections * electionMs) continue;
      void this.#promote(id);
      return;
    }
  }

  /** It answers, has what there was at the look before, and has been connected for a while. */
  #isThere({ active, matchIndex, member, mode }: ProgressView, goal: number): boolean {
    const { clock, electionMs, peers } = this.#o;
    const sinceMs = peers?.connectedSinceMs(member) ?? Number.POSITIVE_INFINITY;
    const isSteady = clock.nowMs() - sinceMs >= steadyElections * electionMs;
    return active && mode === 'replicate' && matchIndex >= goal && isSteady;
  }

  async #promote(id: MemberId): Promise<void> {
    const { logger, promote } = this.#o;
    const reign = this.#reign;
    const member = idToHex(id);
    this.#isPromoting = true;
    try {
      await promote(id);
      logger.info('promoted a learner that has caught up', { member });
    } catch (error) {
      if (!(error instanceof EtcdError)) throw error;
      logger.warn('could not promote a learner yet', { member, error: error.message });
    } finally {
      if (this.#reign === reign) {
        // After a failure it has to prove itself again.
        this.#steady.delete(id);
        this.#isPromoting = false;
      }
    }
  }
}
