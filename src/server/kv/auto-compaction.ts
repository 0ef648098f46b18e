/**
 * Compaction by itself (--auto-compaction-mode, C-6.13). Only the leader proposes; the
 * others keep sampling, so that a new leader knows what was one period ago.
 *
 * periodic: the revision is sampled ten times a period (or each 6 minutes for periods above an
 * hour); compacts to what was seen one period ago, once a period but at least hourly. What failed
 * is tried again at the next sample.
 * revision: each five minutes, keeps the last N revisions.
 */

import {
  type Clock,
  EtcdError,
  type Logger,
  type Revision,
  type Timer,
} from '../../common/index.js';
import type { AutoCompaction } from '../options/index.js';

export interface AutoCompactorOptions {
  readonly policy: AutoCompaction;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly revision: () => Revision;
  readonly isLeader: () => boolean;
  /** Proposes a compaction; failures only get logged: the next round tries again. */
  readonly compact: (revision: Revision, done: (error: Error | undefined) => void) => void;
}

const hourMs = 3_600_000;
const revisionCheckMs = 300_000;
const samplesPerPeriod = 10;

export class AutoCompactor {
  readonly #o: AutoCompactorOptions;
  #timer: Timer | undefined;
  /** Of the last period, oldest first. */
  #samples: Revision[] = [];
  #lastSuccessMs: number;
  #lastRevision: Revision = 0;
  /** The first one waits for a whole period. */
  #hasTried = false;
  #isRunning = false;

  constructor(options: AutoCompactorOptions) {
    this.#o = options;
    this.#lastSuccessMs = options.clock.nowMs();
  }

  start(): void {
    const { clock, policy } = this.#o;
    if (policy.mode === 'off') return;
    this.#lastSuccessMs = clock.nowMs();
    this.#sample();
    this.#later();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #later(): void {
    this.#timer = this.#o.clock.after(this.#intervalMs(), () => {
      this.#run();
      this.#sample();
      if (this.#timer !== undefined) this.#later();
    });
  }

  #intervalMs(): number {
    const { policy } = this.#o;
    if (policy.mode !== 'periodic') return revisionCheckMs;
    return Math.min(policy.retentionMs, hourMs) / samplesPerPeriod;
  }

  /** As in etcd one more than a period has, so that the oldest is never younger than a period. */
  #sample(): void {
    const { policy, revision } = this.#o;
    if (policy.mode !== 'periodic') return;
    const samplesMax = Math.floor(policy.retentionMs / this.#intervalMs()) + 1;
    this.#samples.push(revision());
    if (this.#samples.length > samplesMax) this.#samples.shift();
  }

  #run(): void {
    const { policy } = this.#o;
    if (policy.mode === 'periodic') this.#runPeriodic(policy.retentionMs);
    else if (policy.mode === 'revision') {
      this.#compact(this.#o.revision() - policy.retentionRevisions);
    }
  }

  #runPeriodic(retentionMs: number): void {
    const [oldest] = this.#samples;
    const waitMs = this.#hasTried ? Math.min(retentionMs, hourMs) : retentionMs;
    // A tenth of a millisecond: times are sums of fractions.
    const isDue = this.#o.clock.nowMs() - this.#lastSuccessMs >= waitMs - 0.1;
    if (isDue && oldest !== undefined) this.#compact(oldest);
  }

  #compact(revision: Revision): void {
    const { clock, isLeader, logger } = this.#o;
    if (revision <= 0 || revision === this.#lastRevision || !isLeader()) return;
    // One that finds no majority ends with the request timeout.
    if (this.#isRunning) return;
    this.#hasTried = true;
    this.#isRunning = true;
    this.#o.compact(revision, (error) => {
      this.#isRunning = false;
      // Somebody else has done it, or more: as good as done.
      const isDone = error instanceof EtcdError && error.reason === 'COMPACTED';
      if (error !== undefined && !isDone) {
        logger.warn('compaction by policy failed', { revision, error: error.message });
        return;
      }
      this.#lastRevision = revision;
      this.#lastSuccessMs = clock.nowMs();
      logger.info('compacted by policy', { revision });
    });
  }
}
