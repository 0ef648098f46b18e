/**
 * The numbers of a {@link Metrics} under their Prometheus names. The only import of prom-client:
 * each metric is a prom-client object whose value is copied in when it is collected.
 */

import {
  Counter,
  collectDefaultMetrics,
  Gauge,
  Histogram as PromHistogram,
  Registry,
} from 'prom-client';
import { idToHex } from '../../common/index.js';
import type { BackupMetrics } from './backups.js';
import type { CounterFamily, Histogram, HistogramFamily } from './histogram.js';
import type { GaugeReadings, Metrics } from './metrics.js';
import type { PeerMetrics } from './peers.js';
import { grpcCodeNames } from './rpc.js';
import type { MetricsText, MetricsTextOptions } from './text-options.js';

/** The text of /metrics, made anew at each call. */
export function createMetricsText(metrics: Metrics, options: MetricsTextOptions): MetricsText {
  const registry = new Registry();
  let now: GaugeReadings | undefined;
  const add = new Adder(registry);
  addCounters(add, metrics);
  addGauges(add, metrics, () => now);
  addLabelledGauges(registry, metrics, () => now, options);
  addHistograms(add, metrics);
  if (metrics.backups !== undefined) addBackups(add, metrics.backups);
  addPeers(add, metrics.peers);
  addRpc(registry, metrics, options);
  if (options.process) addProcess(registry);
  return async () => {
    now = metrics.readings();
    metrics.scrapesInFlight += 1;
    try {
      const body = await registry.metrics();
      metrics.scrapes += 1;
      return { body, contentType: registry.contentType };
    } finally {
      metrics.scrapesInFlight -= 1;
    }
  };
}

/** Registers metrics whose value is a function. */
class Adder {
  readonly #registry: Registry;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  counter(name: string, help: string, read: () => number): void {
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  counters(name: string, help: string, family: CounterFamily): void {
    new Counter({
      name,
      help,
      labelNames: [...family.labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of family.rows()) this.inc(labels, value);
      },
    });
  }

  /** A family whose values go down as well. */
  gauges(name: string, help: string, family: CounterFamily): void {
    new Gauge({
      name,
      help,
      labelNames: [...family.labelNames],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const { labels, value } of family.rows()) this.set(labels, value);
      },
    });
  }

  histogram(name: string, help: string, histogram: Histogram): void {
    const { bounds } = histogram;
    this.#histograms(name, help, [], bounds, () => [{ labels: {}, histogram }]);
  }

  histograms(name: string, help: string, family: HistogramFamily): void {
    const rows = () => family.rows();
    this.#histograms(name, help, family.labelNames, [], rows);
  }

  #histograms(
    name: string,
    help: string,
    labelNames: readonly string[],
    buckets: readonly number[],
    rows: () => Iterable<HistogramRow>,
  ): void {
    const registers = [this.#registry];
    const prom = new PromHistogram({
      name,
      help,
      labelNames: [...labelNames],
      buckets: [...buckets],
      registers,
    });
    readHistogramFrom(prom, name, help, rows);
  }
}

interface HistogramRow {
  readonly labels: Readonly<Record<string, string>>;
  readonly histogram: Histogram;
}

/** prom-client has no way to set a histogram, so its `get` is replaced by one that reads ours. */
function readHistogramFrom(
  prom: PromHistogram,
  name: string,
  help: string,
  rows: () => Iterable<HistogramRow>,
): void {
  const get = async () => ({
    name,
    help,
    type: 'histogram' as never,
    aggregator: 'sum' as const,
    values: [...rows()].flatMap((row) => histogramValues(name, row)),
  });
  Object.assign(prom, { get, getForPromString: get });
}

function histogramValues(name: string, { labels, histogram }: HistogramRow) {
  const { bounds, counts, count, sum } = histogram;
  let below = 0;
  const values: Array<{ metricName: string; labels: object; value: number }> = [];
  bounds.forEach((le, i) => {
    below += counts[i] as number;
    values.push({ metricName: `${name}_bucket`, labels: { ...labels, le }, value: below });
  });
  const infinite = { ...labels, le: '+Inf' };
  values.push({ metricName: `${name}_bucket`, labels: infinite, value: count });
  values.push({ metricName: `${name}_sum`, labels, value: sum });
  values.push({ metricName: `${name}_count`, labels, value: count });
  return values;
}

/** Only where there is a schedule: an alert for late ones must not meet members without any. */
function addBackups(add: Adder, b: BackupMetrics): void {
  const backup = (name: string, help: string, read: () => number) =>
    add.gauge(`kvorum_backup_${name}`, help, read);
  backup('interval_seconds', 'Of the schedule of backups.', () => b.intervalSeconds);
  backup(
    'last_success_timestamp_seconds',
    'When the newest backup was complete; 0: this member has made none.',
    () => b.lastSuccessMs / 1000,
  );
  backup('last_duration_seconds', 'What writing it took.', () => b.lastDurationSeconds);
  backup('last_bytes', 'What was written for it.', () => b.lastBytes);
  backup('revision', 'The newest revision that is backed up.', () => b.revision);
  add.counter('kvorum_backup_bytes_total', 'Written for backups.', () => b.bytes);
  add.counter('kvorum_backup_failures_total', 'Attempts that failed.', () => b.failures);
}

function addCounters(add: Adder, m: Metrics): void {
  const server = (name: string, help: string, read: () => number) =>
    add.counter(`etcd_server_${name}`, help, read);
  server('leader_changes_seen_total', 'Changes of leader seen.', () => m.leaderChanges);
  server('proposals_failed_total', 'Proposals that failed.', () => m.proposalsFailed);
  server('heartbeat_send_failures_total', 'Heartbeats sent late.', () => m.heartbeatSendFailures);
  server('slow_apply_total', 'Entries applied slowly.', () => m.slowApplies);
  server('slow_read_indexes_total', 'Slow read index rounds.', () => m.slowReadIndexes);
  server('read_indexes_failed_total', 'Failed read index rounds.', () => m.readIndexesFailed);
  server('health_success', 'Health checks passed.', () => m.healthSuccesses);
  server('health_failures', 'Health checks failed.', () => m.healthFailures);
  server('learner_promote_successes', 'Learners promoted.', () => m.learnerPromotions);
  add.counters(
    'etcd_server_learner_promote_failures',
    'Learners not promoted, by reason.',
    m.learnerPromotionFailures,
  );
  add.counters('etcd_server_client_requests_total', 'Requests by API.', m.clientRequests);
  add.counters('etcd_server_healthchecks_total', 'Health checks by result.', m.healthChecks);

  add.counter('etcd_mvcc_range_total', 'Ranges seen.', () => m.rangeTotal);
  add.counter('etcd_mvcc_put_total', 'Puts seen.', () => m.putTotal);
  add.counter('etcd_mvcc_delete_total', 'Deletes seen.', () => m.deleteTotal);
  add.counter('etcd_mvcc_txn_total', 'Transactions seen.', () => m.txnTotal);

  const debugging = (name: string, help: string, read: () => number) =>
    add.counter(`etcd_debugging_${name}`, help, read);
  debugging('mvcc_events_total', 'Watch events sent.', () => m.eventsTotal);
  debugging('mvcc_db_compaction_keys_total', 'Revisions compacted.', () => m.compactedKeys);
  debugging('lease_granted_total', 'Leases granted.', () => m.leasesGranted);
  debugging('lease_revoked_total', 'Leases revoked.', () => m.leasesRevoked);
  debugging('lease_renewed_total', 'Leases renewed, as leader.', () => m.leasesRenewed);
  debugging('server_lease_expired_total', 'Leases expired.', () => m.leasesExpired);

  add.counters('kvorum_tls_refusals_total', 'Handshakes refused or given up.', m.tlsRefusals);

  const { answers } = m;
  const answersTotal = (name: string, help: string, read: () => number) =>
    add.counter(`kvorum_answers_${name}_total`, help, read);
  answersTotal('waited', 'Calls that waited for memory.', () => answers.answersWaited);
  answersTotal('refused', 'Calls refused for want of memory.', () => answers.answersRefused);
  add.counters('kvorum_rate_limited_total', 'Requests above --rate-limit.', m.rateLimited);

  const failover = (name: string, help: string, read: () => number) =>
    add.counter(`kvorum_${name}_total`, help, read);
  failover('leaders_gone', 'Leaders whose process was seen to have ended.', () => m.leadersGone);
  failover('early_campaigns', 'Campaigns before a timeout.', () => m.earlyCampaigns);
  failover('proposals_resent', 'Proposals lost with a leader.', () => m.proposalsResent);

  const network = 'etcd_network_client_grpc';
  add.counter(`${network}_received_bytes_total`, 'From clients.', () => m.clientBytesReceived);
  add.counter(`${network}_sent_bytes_total`, 'To clients.', () => m.clientBytesSent);
  const own = (name: string, help: string, read: () => number) =>
    add.counter(`kvorum_${name}_total`, help, read);
  own('audit_lines', 'Lines for the audit log.', () => m.auditLines);
  own('audit_lines_dropped', 'Lines that it did not get.', () => m.auditDropped);
  own('audit_write_failures', 'Writes of it that failed.', () => m.auditWriteFailures);
  own('trace_spans_sent', 'Spans that the collector took.', () => m.spansSent);
  own('trace_spans_dropped', 'Spans that it did not get.', () => m.spansDropped);
  own('trace_export_failures', 'Attempts to reach it.', () => m.spanExportFailures);
  const cold = 'kvorum_cold_records_total';
  add.counter(cold, 'Records read that were not in memory.', () => m.coldRecords);
  const closed = 'kvorum_client_connections_closed_total';
  add.counter(closed, 'Closed for what the client did or did not do.', () => m.connectionsClosed);
}

function addGauges(add: Adder, m: Metrics, now: () => GaugeReadings | undefined): void {
  const gauge = (name: string, help: string, read: (r: GaugeReadings) => number | boolean) =>
    add.gauge(`etcd_${name}`, help, () => {
      const readings = now();
      return readings === undefined ? 0 : Number(read(readings));
    });
  gauge('server_has_leader', '1: a leader is known.', (r) => r.hasLeader);
  gauge('server_is_leader', '1: this member leads.', (r) => r.isLeader);
  gauge('server_is_learner', '1: this member is a learner.', (r) => r.isLearner);
  gauge('server_proposals_pending', 'Proposals on their way.', (r) => r.proposalsPending);
  gauge('server_proposals_committed_total', 'Index committed.', (r) => r.committedIndex);
  gauge('server_proposals_applied_total', 'Index applied.', (r) => r.appliedIndex);
  gauge('server_quota_backend_bytes', 'Quota of the data.', (r) =>
    Number.isFinite(r.quotaBytes) ? r.quotaBytes : -1,
  );
  gauge('mvcc_db_total_size_in_bytes', 'Size of the data.', (r) => r.dbBytes);
  gauge('debugging_mvcc_db_total_size_in_bytes', 'The same, as before 3.4.', (r) => r.dbBytes);
  gauge('mvcc_db_total_size_in_use_in_bytes', 'Of it, in use.', (r) => r.dbInUseBytes);
  gauge('mvcc_db_open_read_transactions', 'Open reads.', (r) => r.openReadTransactions);
  gauge('debugging_mvcc_current_revision', 'Revision.', (r) => r.revision);
  gauge('debugging_mvcc_compact_revision', 'Compacted up to.', (r) => r.compactRevision);
  gauge('debugging_mvcc_keys_total', 'Live keys.', (r) => r.keys);
  add.gauge('kvorum_value_cache_bytes', 'Of values in memory.', () => now()?.valueCacheBytes ?? 0);
  gauge('debugging_mvcc_watcher_total', 'Watchers.', (r) => r.watchers);
  gauge('debugging_mvcc_watch_stream_total', 'Watch streams.', (r) => r.watchStreams);
  gauge('debugging_mvcc_slow_watcher_total', 'Watchers behind.', (r) => r.slowWatchers);
  gauge('debugging_mvcc_pending_events_total', 'Events to send.', (r) => r.pendingEvents);
  gauge('debugging_auth_revision', 'Revision of the auth data.', (r) => r.authRevision);

  add.gauge('etcd_debugging_mvcc_total_put_size_in_bytes', 'Put.', () => m.putBytesTotal);
  add.gauge(
    'etcd_debugging_mvcc_db_compaction_last',
    'Unix time of the last compaction.',
    () => m.lastCompactionUnixSeconds,
  );
  add.gauge('etcd_disk_wal_write_bytes_total', 'Written to the log.', () => m.walBytesWritten);
  const { answers } = m;
  add.gauge('kvorum_answers_bytes', 'Of answers in the making or unsent.', () => answers.bytes);
  add.gauge('kvorum_answers_bytes_max', 'What they may be.', () => answers.bytesMax);
  add.gauge('kvorum_answers_waiting', 'Calls that wait for it.', () => answers.waiting);
  add.gauge('etcd_disk_defrag_inflight', 'Defragments running.', () => m.defragmentsRunning);
  add.gauge(
    'etcd_server_snapshot_apply_in_progress_total',
    'Snapshots being applied.',
    () => m.snapshotsBeingApplied,
  );
}

function addLabelledGauges(
  registry: Registry,
  metrics: Metrics,
  now: () => GaugeReadings | undefined,
  options: MetricsTextOptions,
): void {
  const { versions, loopLag } = options;
  type Row = readonly [Readonly<Record<string, string>>, number];
  const gauges = (name: string, help: string, labelNames: string[], rows: () => Row[]) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers: [registry],
      collect() {
        this.reset();
        for (const [labels, value] of rows()) this.set(labels, value);
      },
    });
  gauges('etcd_server_id', 'Id of this member.', ['server_id'], () => {
    const readings = now();
    return readings === undefined ? [] : [[{ server_id: idToHex(readings.memberId) }, 1]];
  });
  gauges('etcd_server_version', 'The etcd version kvorum acts as.', ['server_version'], () => [
    [{ server_version: versions.etcd }, 1],
  ]);
  gauges('etcd_cluster_version', 'Version of the cluster.', ['cluster_version'], () => {
    const version = now()?.clusterVersion;
    return version === undefined ? [] : [[{ cluster_version: version }, 1]];
  });
  const alarmLabels = ['server_id', 'alarm_type'];
  gauges('etcd_debugging_server_alarms', 'Active alarms.', alarmLabels, () =>
    (now()?.alarms ?? []).map(({ memberId, name }) => [
      { server_id: idToHex(memberId), alarm_type: name },
      1,
    ]),
  );
  gauges('etcd_server_healthcheck', 'Last result of a check.', ['type', 'name'], () =>
    [...metrics.checkResults].map(([key, healthy]) => {
      const [type = '', name = ''] = key.split(' ');
      return [{ type, name }, Number(healthy)];
    }),
  );
  gauges('etcd_server_feature_enabled', '1: the feature gate is on.', ['name', 'stage'], () =>
    metrics.features.map(({ name, stage, enabled }) => [{ name, stage }, Number(enabled)]),
  );
  gauges('kvorum_build_info', 'What runs.', ['version', 'etcd_version', 'node_version'], () => [
    [{ version: versions.kvorum, etcd_version: versions.etcd, node_version: versions.node }, 1],
  ]);
  if (loopLag === undefined) return;
  const help = 'Lateness of the event loop since the last scrape.';
  gauges('kvorum_event_loop_lag_seconds', help, ['stat'], () =>
    Object.entries(loopLag()).map(([stat, value]) => [{ stat }, value]),
  );
}

function addHistograms(add: Adder, m: Metrics): void {
  const disk = 'etcd_disk';
  add.histogram(`${disk}_wal_fsync_duration_seconds`, 'fdatasync of the log.', m.walFsync);
  add.histogram(`${disk}_wal_write_duration_seconds`, 'write to the log.', m.walWrite);
  add.histogram(`${disk}_backend_commit_duration_seconds`, 'LevelDB batch.', m.backendCommit);
  add.histogram(`${disk}_backend_defrag_duration_seconds`, 'Defragment.', m.defragment);
  add.histogram(`${disk}_backend_snapshot_duration_seconds`, 'Snapshot.', m.snapshot);
  add.histogram('etcd_snap_fsync_duration_seconds', 'fsync of a snapshot.', m.snapshotFsync);
  add.histogram('etcd_snap_db_fsync_duration_seconds', 'As received.', m.snapshotDbFsync);
  add.histogram('etcd_snap_db_save_total_duration_seconds', 'Receiving.', m.snapshotDbSave);
  add.histogram('etcd_mvcc_hash_duration_seconds', 'Hash of everything.', m.hash);
  add.histogram('etcd_mvcc_hash_rev_duration_seconds', 'HashKV.', m.hashRevision);
  const debugging = 'etcd_debugging';
  add.histogram(`${debugging}_lease_ttl_total`, 'TTLs granted, seconds.', m.leaseTtlSeconds);
  const compaction = `${debugging}_mvcc_db_compaction`;
  add.histogram(`${compaction}_pause_duration_milliseconds`, 'A slice.', m.compactionPauseMs);
  add.histogram(`${compaction}_total_duration_milliseconds`, 'All of it.', m.compactionTotalMs);
  add.histogram(
    `${debugging}_mvcc_index_compaction_pause_duration_milliseconds`,
    'Compaction of the key index.',
    m.indexCompactionPauseMs,
  );
  const send = `${debugging}_server_watch_send_loop`;
  const { watchStream, watchStreamPerEvent, controlStream, progress } = m.watchSendLoop;
  add.histogram(`${send}_watch_stream_duration_seconds`, 'To a watcher.', watchStream);
  add.histogram(
    `${send}_watch_stream_duration_per_event_seconds`,
    'To a watcher, for each event.',
    watchStreamPerEvent,
  );
  add.histogram(`${send}_control_stream_duration_seconds`, 'Control messages.', controlStream);
  add.histogram(`${send}_progress_duration_seconds`, 'Progress of a stream.', progress);
  add.histograms('etcd_server_apply_duration_seconds', 'Applying.', m.applyDuration);
  add.histograms('etcd_server_range_duration_seconds', 'Ranges.', m.rangeDuration);
  add.histograms('etcd_server_request_duration_seconds', 'Requests.', m.requestDuration);
}

function addPeers(add: Adder, m: PeerMetrics): void {
  const network = 'etcd_network';
  const peer = `${network}_peer`;
  add.counters(`${peer}_sent_bytes_total`, 'To members.', m.sentBytes);
  add.counters(`${peer}_received_bytes_total`, 'From members.', m.receivedBytes);
  add.counters(`${peer}_sent_failures_total`, 'Messages dropped.', m.sentFailures);
  add.counters(`${peer}_received_failures_total`, 'Damaged frames.', m.receivedFailures);
  add.histograms(`${peer}_round_trip_time_seconds`, 'Pings to members.', m.roundTrip);
  add.gauges(`${network}_active_peers`, '1: all links to it are up.', m.active);
  add.gauges(`${network}_known_peers`, '1: a member.', m.known);
  add.counters(`${network}_disconnected_peers_total`, 'Links lost.', m.disconnected);
  add.counters('kvorum_peer_refusals_total', 'Refused at the peer port.', m.refused);
  for (const [direction, transfer] of [
    ['send', m.snapshotSend],
    ['receive', m.snapshotReceive],
  ] as const) {
    const name = `${network}_snapshot_${direction}`;
    add.counters(`${name}_success`, 'Snapshots.', transfer.successes);
    add.counters(`${name}_failures`, 'Snapshots that failed.', transfer.failures);
    add.gauges(`${name}_inflights_total`, 'Snapshots under way.', transfer.inflight);
    add.histograms(`${name}_total_duration_seconds`, 'Of a snapshot.', transfer.seconds);
  }
}

function addRpc(registry: Registry, metrics: Metrics, options: MetricsTextOptions): void {
  const labelNames = ['grpc_type', 'grpc_service', 'grpc_method'];
  const registers = [registry];
  const { rpc } = metrics;
  const perMethod = (
    name: string,
    help: string,
    field: 'started' | 'messagesReceived' | 'messagesSent',
  ) =>
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const row of rpc.rows()) this.inc(row.labels, row[field]);
      },
    });
  perMethod('grpc_server_started_total', 'RPCs started.', 'started');
  perMethod('grpc_server_msg_received_total', 'Messages received.', 'messagesReceived');
  perMethod('grpc_server_msg_sent_total', 'Messages sent.', 'messagesSent');
  new Counter({
    name: 'grpc_server_handled_total',
    help: 'RPCs completed, by code.',
    labelNames: [...labelNames, 'grpc_code'],
    registers,
    collect() {
      this.reset();
      for (const { labels, handled } of rpc.rows()) {
        handled.forEach((count, code) => {
          this.inc({ ...labels, grpc_code: grpcCodeNames[code] ?? '' }, count);
        });
      }
    },
  });
  new Counter({
    name: 'promhttp_metric_handler_requests_total',
    help: 'Scrapes answered.',
    labelNames: ['code'],
    registers,
    collect() {
      this.reset();
      this.inc({ code: '200' }, metrics.scrapes);
      this.inc({ code: '500' }, 0);
      this.inc({ code: '503' }, 0);
    },
  });
  new Gauge({
    name: 'promhttp_metric_handler_requests_in_flight',
    help: 'Scrapes under way.',
    registers,
    collect() {
      this.set(metrics.scrapesInFlight);
    },
  });
  if (!options.extensive) return;
  const name = 'grpc_server_handling_seconds';
  const help = 'Time from the start of an RPC to its end.';
  const prom = new PromHistogram({ name, help, labelNames, registers });
  readHistogramFrom(prom, name, help, function* () {
    for (const { labels, seconds } of rpc.rows()) yield { labels, histogram: seconds };
  });
}

/** prom-client's own, and two of them again under the names that etcd adds. */
function addProcess(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  for (const { name } of registry.getMetricsAsArray()) {
    // These are NaN after a scrape that came soon after another, and kvorum_event_loop_lag_seconds
    // says the same.
    const isLag = name.startsWith('nodejs_eventloop_lag_');
    // Sums of what is there by type as well, under names that only counters may have.
    const isSum = /^nodejs_active_\w+_total$/.test(name);
    if (isLag || isSum) registry.removeSingleMetric(name);
  }
  const copy = (name: string, help: string, from: string) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      async collect() {
        const [first] = (await registry.getSingleMetric(from)?.get())?.values ?? [];
        this.set(first?.value ?? 0);
      },
    });
  copy('os_fd_used', 'Open file descriptors.', 'process_open_fds');
  copy('os_fd_limit', 'Most file descriptors that may be open.', 'process_max_fds');
}
