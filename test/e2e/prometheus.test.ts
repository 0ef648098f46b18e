/**
 * What watches a cluster finds what it asks for: the dashboard and the alerts in deploy/, the
 * dashboard and alerts that etcd's own project has, and what Kubernetes' measurements read. A
 * cluster of three under load is scraped, and promtool evaluates each expression over the scrapes.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { Etcd } from '../../src/client/index.js';
import { exec } from '../helpers/exec.js';
import { type ServerProcess, startCluster } from '../helpers/server.js';
import { describeWith, repoRoot, toolPath } from '../helpers/tools.js';

interface Rule {
  readonly alert: string;
  readonly expr: string;
}

const rulesFile = join(repoRoot, 'deploy/prometheus/kvorum.rules.yaml');
const { groups } = parse(readFileSync(rulesFile, 'utf8')) as {
  readonly groups: ReadonlyArray<{ readonly rules: readonly Rule[] }>;
};
const alerts = groups.flatMap(({ rules }) => rules);

interface Panel {
  readonly type: string;
  readonly title: string;
  readonly targets?: ReadonlyArray<{ readonly expr: string }>;
}

const dashboard = JSON.parse(
  readFileSync(join(repoRoot, 'deploy/grafana/kvorum.json'), 'utf8'),
) as { readonly panels: readonly Panel[] };
const queries = dashboard.panels.flatMap(({ targets = [], title }) =>
  targets.map(({ expr }) => [title, expr] as const),
);

/** As Grafana does with its variables. */
function filled(expr: string): string {
  return expr
    .replaceAll('$__rate_interval', '1m')
    .replaceAll('$job', 'kvorum')
    .replaceAll('$instance', '.*');
}

/**
 * Series that others ask for, as selectors. Of etcd 3.7's contrib/mixin (dashboard and alerts), of
 * Kubernetes' clusterloader2 (its measurement of etcd), and of dashboards made for etcd 3.4.
 */
const othersAskFor = [
  'etcd_server_has_leader',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_failed_total',
  'etcd_server_proposals_pending',
  'etcd_server_proposals_committed_total',
  'etcd_server_proposals_applied_total',
  'etcd_server_quota_backend_bytes',
  'etcd_server_heartbeat_send_failures_total',
  'etcd_server_slow_apply_total',
  'etcd_server_slow_read_indexes_total',
  'etcd_server_is_leader',
  'etcd_server_version',
  'etcd_server_id',
  'etcd_cluster_version',
  'etcd_mvcc_db_total_size_in_bytes',
  'etcd_mvcc_db_total_size_in_use_in_bytes',
  'etcd_debugging_mvcc_db_total_size_in_bytes',
  'etcd_debugging_mvcc_keys_total',
  'etcd_debugging_mvcc_watcher_total',
  'etcd_debugging_mvcc_slow_watcher_total',
  'etcd_debugging_mvcc_events_total',
  'etcd_mvcc_put_total',
  'etcd_mvcc_range_total',
  'etcd_mvcc_delete_total',
  'etcd_mvcc_txn_total',
  'etcd_disk_wal_fsync_duration_seconds_bucket',
  'etcd_disk_wal_fsync_duration_seconds_sum',
  'etcd_disk_backend_commit_duration_seconds_bucket',
  'etcd_disk_backend_snapshot_duration_seconds_bucket',
  'etcd_network_peer_round_trip_time_seconds_bucket',
  'etcd_network_peer_sent_failures_total{To!=""}',
  'etcd_network_peer_received_bytes_total{From!=""}',
  'etcd_network_peer_sent_bytes_total{To!=""}',
  'etcd_network_client_grpc_received_bytes_total',
  'etcd_network_client_grpc_sent_bytes_total',
  'etcd_network_active_peers{Local!="",Remote!=""}',
  'etcd_server_request_duration_seconds_bucket{type="Put",success="true"}',
  'grpc_server_started_total{grpc_type="unary"}',
  'grpc_server_started_total{grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}',
  'grpc_server_handled_total{grpc_service="etcdserverpb.Watch",grpc_type="bidi_stream"}',
  'grpc_server_started_total{grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"}',
  'grpc_server_handled_total{grpc_service="etcdserverpb.Lease",grpc_type="bidi_stream"}',
  'grpc_server_handled_total{grpc_code=~"Unknown|Internal|Unavailable|DeadlineExceeded"}',
  'grpc_server_msg_received_total{grpc_method="Put"}',
  'grpc_server_msg_sent_total{grpc_method="Put"}',
  'grpc_server_handling_seconds_bucket{grpc_method!="Defragment",grpc_type="unary"}',
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'process_open_fds',
  'process_max_fds',
  'process_start_time_seconds',
  'nodejs_heap_size_used_bytes',
  'kvorum_event_loop_lag_seconds{stat="p99"}',
];

/** Rows of one scrape: series with the labels that Prometheus adds, and their values. */
function rowsOf(text: string, instance: string): Map<string, number> {
  const rows = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || labels.includes('\\')) continue;
    const own = `job="kvorum",instance="${instance}"`;
    rows.set(`${name}{${own}${labels === '' ? '' : ','}${labels}}`, Number(value));
  }
  return rows;
}

describe('the dashboard', () => {
  it('has panels, and each of them asks for something', () => {
    const panels = dashboard.panels.filter(({ type }) => type !== 'row');
    expect(panels.length).toBeGreaterThan(20);
    expect(panels.filter(({ targets = [] }) => targets.length === 0)).toEqual([]);
    expect(new Set(panels.map(({ title }) => title)).size).toBe(panels.length);
  });
});

describeWith(['kvorum', 'promtool'], 'a loaded cluster in the eyes of Prometheus', () => {
  let dir: string;
  let members: readonly ServerProcess[] = [];
  /** What was scraped at the first and at the last of so many steps. */
  let before: ReadonlyMap<string, number>;
  let after: ReadonlyMap<string, number>;
  const steps = 20;

  const scrape = async (): Promise<Map<string, number>> => {
    const all = new Map<string, number>();
    for (const [at, { clientUrl }] of members.entries()) {
      const text = await (await fetch(`${clientUrl}/metrics`)).text();
      for (const [series, value] of rowsOf(text, `m${at + 1}`)) all.set(series, value);
      all.set(`up{job="kvorum",instance="m${at + 1}"}`, 1);
    }
    return all;
  };

  const load = async (): Promise<void> => {
    const endpoints = members.map(({ endpoint }) => endpoint);
    await using client = new Etcd({ endpoints });
    await using watcher = client.kv.watch({ prefix: 'k' });
    await watcher.ready;
    await using lease = await client.leases.create(60);
    await lease.renew();
    for (let i = 0; i < 300; i++) await client.kv.put(`k${i % 50}`, 'v'.repeat(100));
    await client.kv.deleteRange({ prefix: 'k1' });
    for (const endpoint of endpoints) {
      await using one = new Etcd({ endpoints: endpoint });
      for (let i = 0; i < 50; i++) await one.kv.get(`k${i}`);
      await one.kv.put('own', 'v');
    }
  };

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'kvorum-prometheus-'));
    members = await startCluster('kvorum', 3, { args: ['--metrics', 'extensive'] });
    await load();
    before = await scrape();
    await load();
    after = await scrape();
  }, 120_000);
  afterAll(async () => {
    await Promise.all(members.map((member) => member.dispose()));
    rmSync(dir, { recursive: true, force: true });
  });

  /** Where each series was at each step, between what was scraped; for promtool. */
  const seriesNamed = (names: ReadonlySet<string>): string[] =>
    [...after].flatMap(([series, last]) => {
      const [name = ''] = series.split('{');
      if (!names.has(name)) return [];
      const first = before.get(series) ?? last;
      const step = Number.isFinite(first) ? (last - first) / steps : 0;
      const values = `${first}${step < 0 ? '-' : '+'}${Math.abs(step).toFixed(9)}x${steps}`;
      return [`      - {series: ${JSON.stringify(series)}, values: '${values}'}`];
    });

  const known = (): Set<string> => new Set([...after.keys()].map((s) => s.split('{')[0] ?? ''));

  /** Of an expression of PromQL: what in it is the name of a series. */
  const namesIn = (expr: string): string[] => [
    ...new Set(
      expr.match(/\b(?:etcd|kvorum|grpc_server|process|nodejs|os|up)(?:_\w+)?\b(?=[{[])/g),
    ),
  ];

  /** Those of `exprs` that promtool finds nothing for. */
  const without = async (exprs: readonly string[]): Promise<string> => {
    const path = join(dir, 'test.yaml');
    const names = new Set(exprs.flatMap(namesIn));
    const cases = exprs.map(
      (expr) =>
        `      - expr: ${JSON.stringify(`count(${expr}) > bool 0`)}\n` +
        "        eval_time: 5m\n        exp_samples: [{labels: '{}', value: 1}]",
    );
    const series = seriesNamed(names);
    expect(series.length).toBeGreaterThan(0);
    const test = [
      'evaluation_interval: 15s',
      'tests:',
      '  - interval: 15s',
      '    input_series:',
      ...series,
      '    promql_expr_test:',
      ...cases,
    ];
    writeFileSync(path, test.join('\n'));
    const { stderr, stdout } = await exec(toolPath('promtool'), ['test', 'rules', path]);
    const said = `${stdout}\n${stderr}`;
    return said.includes('SUCCESS') ? '' : said;
  };

  it('has a value for each query of the dashboard', { timeout: 120_000 }, async () => {
    expect(queries.length).toBeGreaterThan(30);
    expect(await without(queries.map(([, expr]) => filled(expr)))).toBe('');
  });

  it('has each series that the alerts look at', async () => {
    const names = known();
    // These two have no rows while all is well.
    const onlyThen = ['etcd_debugging_server_alarms', 'etcd_network_peer_sent_failures_total'];
    for (const { alert, expr } of alerts) {
      const asked = namesIn(expr);
      expect(asked.length, alert).toBeGreaterThan(0);
      for (const name of asked) if (!onlyThen.includes(name)) expect(names, alert).toContain(name);
    }
    const text = await (await fetch(`${members[0]?.clientUrl}/metrics`)).text();
    for (const name of onlyThen) expect(text).toContain(`# TYPE ${name} `);
  });

  it('has what etcd and Kubernetes ask for', { timeout: 120_000 }, async () => {
    const asked = othersAskFor
      .filter((selector) => !selector.startsWith('etcd_network_peer_sent_failures_total'))
      .map((selector) => (selector.includes('{') ? selector : `${selector}{job="kvorum"}`));
    expect(await without(asked)).toBe('');
  });

  it('would be told of an expression that finds nothing', async () => {
    const missing = ['etcd_server_has_leader{job="kvorum"}', 'etcd_server_id{server_id="none"}'];
    expect(await without(missing)).toContain('server_id=\\"none\\"');
  });
});

describeWith(['promtool'], 'the alerts', () => {
  it('are rules that Prometheus loads', async () => {
    const { code, stdout } = await exec(toolPath('promtool'), ['check', 'rules', rulesFile]);
    expect(code).toBe(0);
    expect(String(stdout)).toContain(`${alerts.length} rules found`);
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
  });

  it('fire for what is wrong, and not for what is well', async () => {
    const tests = join(repoRoot, 'deploy/prometheus/kvorum.test.yaml');
    const { code, stderr, stdout } = await exec(toolPath('promtool'), ['test', 'rules', tests]);
    expect(code, `${stdout}${stderr}`).toBe(0);
  });
});
