/**
 * Follows who leads, and tells those who depend on it: the lessor (only a leader's lessor expires
 * leases), streams that require a leader, metrics and the log.
 */

import {
  assert,
  type Clock,
  idToHex,
  type Logger,
  type MemberId,
  type Term,
} from '../../common/index.js';
import type { Raft } from '../../raft/index.js';
import type { Feature, LeaderView } from '../feature/index.js';

export interface LeadershipOptions {
  readonly raft: Pick<Raft, 'leader' | 'term'>;
  readonly id: MemberId;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly electionMs: number;
  readonly counts: { leaderChanges: number };
}

export class Leadership implements LeaderView {
  readonly #o: LeadershipOptions;
  #leader: MemberId = 0n;
  #term: Term = 0;
  #leading = false;
  #electedMs = Number.NEGATIVE_INFINITY;
  /** When there was last a leader. */
  #seenMs: number;
  readonly #lostListeners = new Set<() => void>();
  #features: readonly Feature[] = [];

  constructor(options: LeadershipOptions) {
    this.#o = options;
    this.#seenMs = options.clock.nowMs();
  }

  /** Who is to know when this member leads, and when it does not any more; once. */
  tell(features: readonly Feature[]): void {
    assert(this.#features.length === 0, 'told of leadership from the beginning');
    this.#features = features;
  }

  /** When the present leader became known here (Clock.nowMs); -Infinity: there was none yet. */
  get electedMs(): number {
    return this.#electedMs;
  }

  get leader(): MemberId {
    return this.#leader;
  }

  get isLeader(): boolean {
    return this.#leading;
  }

  hasLeader(): boolean {
    return this.#leader !== 0n;
  }

  onLeaderLost(lost: () => void): () => void {
    this.#lostListeners.add(lost);
    return () => this.#lostListeners.delete(lost);
  }

  /** Called whenever Raft may have changed its mind; cheap if it has not. */
  update(): void {
    const { raft, id, logger } = this.#o;
    const { leader, term } = raft;
    if (leader === this.#leader && term === this.#term) return;
    const changed = leader !== this.#leader;
    const regained = leader === id && term !== this.#term;
    this.#leader = leader;
    this.#term = term;
    if (leader !== 0n) {
      this.#seenMs = this.#o.clock.nowMs();
      if (changed) {
        this.#electedMs = this.#seenMs;
        logger.info('elected leader', { leader: idToHex(leader), term, self: leader === id });
        this.#o.counts.leaderChanges++;
      }
    } else if (changed) {
      logger.warn('lost the leader', { term });
    }
    if (this.#leading && (leader !== id || regained)) {
      this.#leading = false;
      for (const feature of this.#features) feature.follow?.();
    }
    if (!this.#leading && leader === id) {
      this.#leading = true;
      for (const feature of this.#features) feature.lead?.(term);
    }
  }

  /** Once a tick: ends what requires a leader after three election timeouts without one. */
  tick(): void {
    this.update();
    const now = this.#o.clock.nowMs();
    if (this.#leader !== 0n) this.#seenMs = now;
    if (now - this.#seenMs < 3 * this.#o.electionMs || this.#lostListeners.size === 0) return;
    const listeners = [...this.#lostListeners];
    this.#lostListeners.clear();
    for (const lost of listeners) lost();
  }
}
