/**
 * Compaction by itself (--auto-compaction-mode, C-6.13). Only the leader proposes; the
 * others keep sampling, so that a new leader knows what was one period ago.
 *
 * periodic: the revision is sampled ten times a period (or each 6 minutes for periods above an
 * hour); compacts to what was seen one period ago, once a period but at least hourly.
 * revision: each five minutes, keeps the last N revisions.
 */

import type { Clock, Logger, Revision, Timer } from '../../common/index.js';
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
  #samples: Revision[] = [];
  #lastCompactMs: number;
  #lastRevision: Revision = 0;

  constructor(options: AutoCompactorOptions) {
    this.#o = options;
    this.#lastCompactMs = options.clock.nowMs();
  }

  start(): void {
    if (this.#o.policy.mode !== 'off') this.#later();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #later(): void {
    this.#timer = this.#o.clock.after(this.#intervalMs(), () => {
      this.#run();
      if (this.#timer !== undefined) this.#later();
    });
  }

  #intervalMs(): number {
    const { policy } = this.#o;
    if (policy.mode !== 'periodic') return revisionCheckMs;
    return Math.min(policy.retentionMs, hourMs) / samplesPerPeriod;
  }

  #run(): void {
    const { policy } = this.#o;
    if (policy.mode === 'periodic') this.#runPeriodic(policy.retentionMs);
    else if (policy.mode === 'revision') {
      this.#compact(this.#o.revision() - policy.retentionRevisions);
    }
  }

  #runPeriodic(retentionMs: number): void {
    const samplesMax = Math.ceil(retentionMs / this.#intervalMs());
    this.#samples.push(this.#o.revision());
    if (this.#samples.length > samplesMax) {
      this.#samples = this.#samples.slice(this.#samples.length - samplesMax);
    }
    const now = this.#o.clock.nowMs();
    const [oldest] = this.#samples;
    const due = now - this.#lastCompactMs >= Math.min(retentionMs, hourMs);
    if (!due || this.#samples.length < samplesMax || oldest === undefined) return;
    this.#lastCompactMs = now;
    this.#compact(oldest);
  }

  #compact(revision: Revision): void {
    if (revision <= 0 || revision === this.#lastRevision || !this.#o.isLeader()) return;
    this.#o.compact(revision, (error) => {
      if (error === undefined) {
        this.#lastRevision = revision;
        this.#o.logger.info('compacted by policy', { revision });
      } else {
        this.#o.logger.warn('compaction by policy failed', { revision, error: error.message });
      }
    });
  }
}
