/**
 * What follows when the process of the leader has ended: the others need not wait for an election
 * timeout to know it. Each stops to follow, so it may vote, and they campaign in turns, always with
 * a pre-vote. Who still hears from the leader refuses (Raft sees to that), so early elections need
 * a majority that has lost it. Why that is safe: docs/raft-divergence.md.
 *
 *   gone        first turn                      second turn                 third
 *    |--half a slot--|m1|--slot--|m2|-- ... --------|m1|--|m2|-- ... ----------------|m1|
 *
 * Half a slot for all to notice. Turns go by id, a slot apart; a member that has just given a vote
 * to somebody else lets one pass. The pauses double, since on a slow disk an election takes long.
 * After an election timeout it is over, and Raft's own timeouts decide.
 */

import {
  assert,
  type Clock,
  compareMemberIds,
  idToHex,
  type Logger,
  type MemberId,
  type Random,
  type Timer,
} from '../../common/index.js';
import { type Raft, votersOf } from '../../raft/index.js';
import type { NodeLoop } from './loop.js';

export interface EarlyElectionOptions {
  readonly self: MemberId;
  readonly raft: Pick<Raft, 'campaignEarly' | 'leader' | 'reportGone' | 'status'>;
  readonly loop: Pick<NodeLoop, 'isStopped' | 'schedule'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly heartbeatMs: number;
  readonly electionMs: number;
  readonly counts: { leadersGone: number; earlyCampaigns: number };
}

/** Of a slot: what is added by chance to a turn. */
const jitterShare = 0.2;

export class EarlyElection {
  readonly #o: EarlyElectionOptions;
  #timer: Timer | undefined;

  constructor(options: EarlyElectionOptions) {
    this.#o = options;
  }

  /** The process of `member` has ended; may be told again and again. */
  gone(member: MemberId): void {
    const { clock, counts, electionMs, heartbeatMs, logger, loop, raft, self } = this.#o;
    if (loop.isStopped || !raft.reportGone(member)) return;
    counts.leadersGone += 1;
    const others = votersOf(raft.status().configuration).filter((id) => id !== member);
    const place = others.toSorted(compareMemberIds).indexOf(self);
    const fields = { leader: idToHex(member), campaigns: place >= 0 };
    logger.warn("the leader's process has ended: not waiting for the election timeout", fields);
    // What waits for a leader is no longer sent to this one.
    loop.schedule();
    this.#timer?.cancel();
    if (place < 0) return;
    const slotMs = heartbeatMs / 2;
    const untilMs = clock.nowMs() + electionMs;
    this.#turnAfter(slotMs * (0.5 + place), slotMs * (others.length + 1), untilMs);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  #turnAfter(waitMs: number, pauseMs: number, untilMs: number): void {
    assert(waitMs > 0 && pauseMs > 0, 'others get a turn as well');
    const { clock, heartbeatMs, random } = this.#o;
    const jitterMs = (heartbeatMs / 2) * jitterShare * random.float();
    this.#timer = clock.after(waitMs + jitterMs, () => {
      const { counts, loop, raft } = this.#o;
      if (loop.isStopped || raft.leader !== 0n || clock.nowMs() >= untilMs) return;
      if (raft.campaignEarly()) {
        counts.earlyCampaigns += 1;
        loop.schedule();
      }
      this.#turnAfter(pauseMs, 2 * pauseMs, untilMs);
    });
  }
}
