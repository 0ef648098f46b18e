/** How long entries take to be applied; slow ones are counted and logged. */

import type { Clock, Logger, LogIndex } from '../../common/index.js';
import type { EntryType } from '../entry/index.js';
import { type Histogram, type Metrics, SlowLog } from '../metrics/index.js';

export interface ApplyMeterOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly slowApplyMs: number;
}

export class ApplyMeter {
  /** Set while an entry is applied that answers with an error. */
  failed = false;
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #slowApplyMs: number;
  readonly #slow: SlowLog;
  /** By kind; looked up here once: labels are joined strings. */
  readonly #succeeded: Histogram[] = [];
  readonly #failed: Histogram[] = [];

  constructor(options: ApplyMeterOptions) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#slowApplyMs = options.slowApplyMs;
    this.#slow = new SlowLog(options.clock, options.logger);
  }

  /** Rows for all of them, so that dashboards see them before the first entry. */
  know(types: readonly EntryType[]): void {
    const { applyDuration } = this.#metrics;
    // By number, as the rows have always stood.
    for (const { kind, operation } of [...types].sort((a, b) => a.kind - b.kind)) {
      this.#succeeded[kind] = applyDuration.of('v3', operation, 'true');
      this.#failed[kind] = applyDuration.of('v3', operation, 'false');
    }
  }

  /** An entry that was begun at `startMs` has been applied, and will be answered; it is now. */
  applied({ kind, operation }: EntryType, index: LogIndex, startMs: number): number {
    const nowMs = this.#clock.nowMs();
    const tookMs = nowMs - startMs;
    const histograms = this.failed ? this.#failed : this.#succeeded;
    this.failed = false;
    histograms[kind]?.observe(tookMs / 1000);
    if (tookMs <= this.#slowApplyMs) return nowMs;
    this.#metrics.slowApplies++;
    // etcd's words. Keys and values are the clients' business and stay out of the log.
    this.#slow.warn('apply request took too long', {
      tookMs: Math.round(tookMs),
      expectedDurationMs: this.#slowApplyMs,
      operation,
      index,
    });
    return nowMs;
  }
}
