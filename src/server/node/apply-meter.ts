/** How long entries take to be applied; slow ones are counted and logged. */

import type { Clock, Logger, LogIndex } from '../../common/index.js';
import { EntryKind } from '../feature/entry.js';
import type { Histogram } from '../metrics/histogram.js';
import type { Metrics } from '../metrics/metrics.js';
import { SlowLog } from '../metrics/slow-log.js';

/** What etcd calls the operations, by entry kind. */
const operations: ReadonlyArray<readonly [EntryKind, string]> = [
  [EntryKind.put, 'Put'],
  [EntryKind.deleteRange, 'DeleteRange'],
  [EntryKind.txn, 'Txn'],
  [EntryKind.compaction, 'Compaction'],
  [EntryKind.leaseGrant, 'LeaseGrant'],
  [EntryKind.leaseRevoke, 'LeaseRevoke'],
  [EntryKind.leaseCheckpoint, 'LeaseCheckpoint'],
  [EntryKind.alarm, 'Alarm'],
  [EntryKind.memberAttributes, 'ClusterMemberAttrSet'],
  [EntryKind.memberUpdate, 'ClusterMemberUpdate'],
];

export class ApplyMeter {
  /** Set while an entry is applied that answers with an error. */
  failed = false;
  readonly #clock: Clock;
  readonly #metrics: Metrics;
  readonly #slowApplyMs: number;
  readonly #slow: SlowLog;
  /** Looked up here once: labels are joined strings. */
  readonly #succeeded: Histogram[] = [];
  readonly #failed: Histogram[] = [];

  constructor(options: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly slowApplyMs: number;
  }) {
    this.#clock = options.clock;
    this.#metrics = options.metrics;
    this.#slowApplyMs = options.slowApplyMs;
    this.#slow = new SlowLog(options.clock, options.logger);
    for (const [kind, name] of operations) {
      this.#succeeded[kind] = options.metrics.applyDuration.of('v3', name, 'true');
      this.#failed[kind] = options.metrics.applyDuration.of('v3', name, 'false');
    }
  }

  /** An entry that was begun at `startMs` has been applied. */
  applied(kind: EntryKind, index: LogIndex, startMs: number): void {
    const tookMs = this.#clock.nowMs() - startMs;
    const histograms = this.failed ? this.#failed : this.#succeeded;
    this.failed = false;
    histograms[kind]?.observe(tookMs / 1000);
    if (tookMs <= this.#slowApplyMs) return;
    this.#metrics.slowApplies++;
    // etcd's words. Keys and values are the clients' business and stay out of the log.
    this.#slow.warn('apply request took too long', {
      tookMs: Math.round(tookMs),
      expectedDurationMs: this.#slowApplyMs,
      operation: operations.find(([other]) => other === kind)?.[1],
      index,
    });
  }
}
