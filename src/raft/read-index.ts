/**
 * Linearizable reads without a log entry (thesis 6.4, "ReadIndex"), at the leader.
 *
 * A read may use the commit index of the moment it arrived, if this was still the leader after
 * that moment. Proof of that is a quorum's answer to a heartbeat that was *sent after* the read
 * arrived. Each round of heartbeats has a sequence, counted up for as long as one leadership
 * lasts and never used for a second set of reads: a read joins the next round, so an answer to an
 * earlier round can't confirm it (R-8, L-15).
 * Answers carry the term, so those to another leader were dropped before they get here.
 */

import { assert, type LogIndex, type MemberId } from '../common/index.js';

/** A read that waits at the leader. */
export interface PendingRead {
  /** Who asked; the leader itself for a local read. */
  readonly from: MemberId;
  readonly context: number;
  /** Commit index when the read arrived. */
  readonly index: LogIndex;
}

interface Round {
  readonly sequence: number;
  readonly reads: readonly PendingRead[];
}

/** The reads that wait at one leadership, in the order in which they came. */
export class PendingReads {
  /** Sequence of the newest round; 0 before the first. */
  sequence = 0;
  /** Arrived, in no round yet. */
  #arrived: PendingRead[] = [];
  /** Sent and not confirmed, oldest first. */
  readonly #rounds: Round[] = [];
  /** Arrived before this leader committed an entry of its own term (thesis 6.4 step 1). */
  #postponed: PendingRead[] = [];

  get hasArrived(): boolean {
    return this.#arrived.length > 0;
  }

  /** What a periodic heartbeat carries: the newest round, if any waits to be confirmed. */
  get heartbeatSequence(): number {
    return this.#rounds.length > 0 ? this.sequence : 0;
  }

  arrive(read: PendingRead): void {
    this.#arrived.push(read);
  }

  postpone(read: PendingRead): void {
    this.#postponed.push(read);
  }

  /** The leader's commit index is now known to be the newest one: postponed reads take it. */
  release(commitIndex: LogIndex): void {
    for (const { from, context } of this.#postponed) {
      this.#arrived.push({ from, context, index: commitIndex });
    }
    this.#postponed = [];
  }

  /** Puts all reads that arrived into a new round; its heartbeats must be sent after this. */
  beginRound(): number {
    assert(this.#arrived.length > 0, 'a round of heartbeats has reads to confirm');
    this.sequence += 1;
    this.#rounds.push({ sequence: this.sequence, reads: this.#arrived });
    this.#arrived = [];
    return this.sequence;
  }

  /** Takes out the oldest round if a quorum has confirmed it, or a later one. */
  takeConfirmed(confirmedSequence: number): readonly PendingRead[] | undefined {
    const oldest = this.#rounds[0];
    if (oldest === undefined || oldest.sequence > confirmedSequence) return undefined;
    this.#rounds.shift();
    return oldest.reads;
  }
}
