/** Keys and values: ranges, puts, deletions, transactions, compactions, also those by themselves. */

import type { Feature, Host } from '../feature/index.js';
import type { LeaseBook, LeaseRights } from './apply.js';
import { AutoCompactor } from './auto-compaction.js';
import { type IsHandedOut, kvEntries } from './entries.js';
import { rangeStreamMethod } from './range-stream.js';
import { compact, kvMethods } from './rpc.js';

export interface KvFeature extends Feature {
  /** Compacts, as a client would. */
  compact(revision: number, done: (error: Error | undefined) => void): void;
}

/** What keys need of other features. */
export interface KvNeighbours {
  readonly leases: LeaseBook;
  readonly leaseRights: LeaseRights;
  readonly isHandedOut: IsHandedOut;
}

export function kvFeature(
  host: Host,
  { leases, leaseRights, isHandedOut }: KvNeighbours,
): KvFeature {
  const { clock, config, leadership, logger, metrics, store } = host;
  const target = { store, leases, leaseRights, counts: metrics };
  const entries = kvEntries({ target, metrics, clock, logger, isHandedOut });
  const autoCompactor = new AutoCompactor({
    policy: config.autoCompaction,
    clock,
    logger,
    revision: () => store.revision,
    isLeader: () => leadership.isLeader,
    compact: (revision, done) => compact(host, entries, revision, done),
  });
  return {
    name: 'kv',
    entries: Object.values(entries),
    methods: [...kvMethods(host, entries), rangeStreamMethod(host)],
    gauges() {
      metrics.compactedKeys = store.compactedKeys;
      return {
        dbBytes: store.allocatedBytes,
        dbInUseBytes: store.inUseBytes,
        openReadTransactions: store.openReads,
        revision: store.revision,
        compactRevision: store.compactRevision,
        keys: store.keyCount,
        valueCacheBytes: store.cachedBytes,
        quotaBytes: config.quotaBytes,
      };
    },
    serve: () => autoCompactor.start(),
    retire: () => autoCompactor.stop(),
    compact: (revision, done) => compact(host, entries, revision, done),
  };
}
