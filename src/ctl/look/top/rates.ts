/** What a member did between two looks. */

import { type BucketCounts, type MemberLook, quantile, since } from '../ask/index.js';

/** In a second, or in seconds; undefined: its metrics do not tell. */
export interface MemberRates {
  readonly putsPerSecond: number | undefined;
  readonly rangesPerSecond: number | undefined;
  readonly txnsPerSecond: number | undefined;
  readonly fsync: Times | undefined;
  readonly commit: Times | undefined;
  readonly watchers: number | undefined;
  readonly dbBytes: number | undefined;
  readonly loopLateSeconds: number | undefined;
  readonly sentBytesPerSecond: number | undefined;
}

/** Seconds; undefined: it did not happen. */
export interface Times {
  readonly p50: number | undefined;
  readonly p99: number | undefined;
}

/** What happened by a name, in a second, at all members together. */
export interface MethodRate {
  readonly name: string;
  readonly perSecond: number;
}

/** `seconds` between the two; without an earlier look only what is true now. */
export function ratesOf(
  now: MemberLook,
  before: MemberLook | undefined,
  seconds: number,
): MemberRates {
  const { metrics } = now;
  const perSecond = (name: string): number | undefined => {
    const value = metrics?.value(name);
    const earlier = before?.metrics?.value(name);
    if (value === undefined || earlier === undefined || seconds <= 0) return undefined;
    // It has begun anew in between: from nothing.
    return (value < earlier ? value : value - earlier) / seconds;
  };
  const times = (name: string): Times | undefined => {
    const histogram = metrics?.histogram(name);
    return histogram === undefined
      ? undefined
      : timesOf(since(histogram, before?.metrics?.histogram(name)));
  };
  return {
    putsPerSecond: perSecond('etcd_mvcc_put_total'),
    rangesPerSecond: perSecond('etcd_mvcc_range_total'),
    txnsPerSecond: perSecond('etcd_mvcc_txn_total'),
    fsync: times('etcd_disk_wal_fsync_duration_seconds'),
    commit: times('etcd_disk_backend_commit_duration_seconds'),
    watchers: metrics?.value('etcd_debugging_mvcc_watcher_total'),
    dbBytes: now.status?.dbSizeBytes,
    loopLateSeconds: metrics?.value('kvorum_event_loop_lag_seconds', { stat: 'p99' }),
    sentBytesPerSecond: perSecond('etcd_network_client_grpc_sent_bytes_total'),
  };
}

function timesOf(histogram: BucketCounts): Times {
  return { p50: quantile(histogram, 0.5), p99: quantile(histogram, 0.99) };
}

/** The busiest first. `labels`: of `name`, which are joined to the name of a row. */
export function busiest(
  now: readonly MemberLook[],
  before: readonly MemberLook[],
  seconds: number,
  name: string,
  labels: readonly string[],
): MethodRate[] {
  const perSecond = new Map<string, number>();
  for (const member of now) {
    const earlier = before.find(({ id }) => id === member.id);
    if (earlier?.metrics === undefined || seconds <= 0) continue;
    for (const { labels: all, value } of member.metrics?.rows(name) ?? []) {
      const was = earlier.metrics.value(name, all) ?? 0;
      const many = value < was ? value : value - was;
      if (many === 0) continue;
      const row = labels.map((label) => all[label] ?? '').join(' ');
      perSecond.set(row, (perSecond.get(row) ?? 0) + many / seconds);
    }
  }
  const rows = [...perSecond].map(([row, rate]) => ({ name: row, perSecond: rate }));
  return rows.sort((a, b) => b.perSecond - a.perSecond || (a.name < b.name ? -1 : 1));
}
