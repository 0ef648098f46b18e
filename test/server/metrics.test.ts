import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { exponentialBuckets, Histogram } from '../../src/server/metrics/histogram.js';
import { measureLoopLag } from '../../src/server/metrics/loop-lag.js';
import { type GaugeReadings, Metrics } from '../../src/server/metrics/metrics.js';
import { createMetricsText } from '../../src/server/metrics/registry.js';
import { useServer } from '../helpers/server.js';
import { describeWith, type Tool, toolPath } from '../helpers/tools.js';

const versions = { kvorum: '0.1.0', etcd: '3.7.3', node: 'v20.0.0' };
const put = '/etcdserverpb.KV/Put';
const watch = '/etcdserverpb.Watch/Watch';

const readings: GaugeReadings = {
  memberId: 0x8e9e05c52164694dn,
  hasLeader: true,
  isLeader: false,
  isLearner: false,
  proposalsPending: 3,
  committedIndex: 12,
  appliedIndex: 11,
  quotaBytes: Number.POSITIVE_INFINITY,
  dbBytes: 4096,
  dbInUseBytes: 2048,
  openReadTransactions: 1,
  revision: 7,
  compactRevision: 5,
  keys: 4,
  valueCacheBytes: 64,
  watchers: 2,
  watchStreams: 1,
  slowWatchers: 0,
  pendingEvents: 0,
  authRevision: 1,
  clusterVersion: '3.7',
  alarms: [{ memberId: 1n, name: 'NOSPACE' }],
};

function setUp(options: { extensive?: boolean; process?: boolean } = {}) {
  const metrics = new Metrics();
  metrics.rpc.register([
    [put, 'unary'],
    [watch, 'bidi'],
  ]);
  const text = createMetricsText(metrics, {
    extensive: options.extensive ?? false,
    process: options.process ?? false,
    versions,
    loopLag: () => ({ p50: 0, p99: 0.002, max: 0.01 }),
  });
  const scrape = async () => parse((await text()).body);
  return { metrics, text, scrape };
}

/** `name{labels}` -> value, and `name` -> type. */
function parse(body: string) {
  const values = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of body.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '');
    const sample = /^([^#\s{]+)(\{.*\})? (\S+)$/.exec(line);
    if (sample === null) continue;
    const labels = [...(sample[2] ?? '').matchAll(/(\w+)="([^"]*)"/g)]
      .map(([, name, value]) => `${name}=${value}`)
      .sort()
      .join(',');
    values.set(labels === '' ? (sample[1] ?? '') : `${sample[1]}{${labels}}`, Number(sample[3]));
  }
  return { values, types };
}

describe('metrics', () => {
  it('are there at zero before anything happened', async () => {
    const { values } = await setUp().scrape();
    expect(values.get('etcd_server_has_leader')).toBe(0);
    expect(values.get('etcd_mvcc_put_total')).toBe(0);
    expect(values.get('etcd_disk_wal_fsync_duration_seconds_count')).toBe(0);
    const labels = 'grpc_code=OK,grpc_method=Put,grpc_service=etcdserverpb.KV,grpc_type=unary';
    expect(values.get(`grpc_server_handled_total{${labels}}`)).toBe(0);
  });

  it('show counters and what is true now', async () => {
    const { metrics, scrape } = setUp();
    metrics.putTotal += 5;
    metrics.attach(() => readings);
    metrics.healthChecks.inc('readyz', 'serializable_read', 'success');
    metrics.check('livez', 'serializable_read', false);
    const { values } = await scrape();
    expect(Object.fromEntries(values)).toMatchObject({
      etcd_mvcc_put_total: 5,
      etcd_server_has_leader: 1,
      etcd_server_is_leader: 0,
      etcd_server_proposals_pending: 3,
      etcd_server_proposals_committed_total: 12,
      etcd_server_quota_backend_bytes: -1,
      etcd_debugging_mvcc_keys_total: 4,
      'etcd_server_id{server_id=8e9e05c52164694d}': 1,
      'etcd_cluster_version{cluster_version=3.7}': 1,
      'etcd_debugging_server_alarms{alarm_type=NOSPACE,server_id=1}': 1,
      'etcd_server_healthcheck{name=serializable_read,type=livez}': 0,
      'kvorum_build_info{etcd_version=3.7.3,node_version=v20.0.0,version=0.1.0}': 1,
      'kvorum_event_loop_lag_seconds{stat=p99}': 0.002,
    });
    metrics.putTotal += 1;
    expect((await scrape()).values.get('etcd_mvcc_put_total')).toBe(6);
  });

  it('drop an alarm that is over', async () => {
    const { metrics, scrape } = setUp();
    let alarms = readings.alarms;
    metrics.attach(() => ({ ...readings, alarms }));
    await scrape();
    alarms = [];
    const { values } = await scrape();
    expect([...values.keys()].some((name) => name.includes('alarm_type'))).toBe(false);
  });

  it('count RPCs by method and code, and streams that are still open', async () => {
    const { metrics, scrape } = setUp({ extensive: true });
    const { rpc } = metrics;
    rpc.started(put);
    rpc.started(put);
    rpc.started(watch);
    rpc.started('/made.Up/Method');
    rpc.ended(put, 'unary', 0, 3);
    rpc.ended(put, 'unary', 14, 7000);
    rpc.ended('/made.Up/Method', 'unary', 12, 1);
    const counters = rpc.of(watch);
    if (counters !== undefined) counters.messagesSent += 4;
    const { values } = await scrape();
    const kv = 'grpc_method=Put,grpc_service=etcdserverpb.KV,grpc_type=unary';
    const stream = 'grpc_method=Watch,grpc_service=etcdserverpb.Watch,grpc_type=bidi_stream';
    expect(Object.fromEntries(values)).toMatchObject({
      [`grpc_server_started_total{${kv}}`]: 2,
      [`grpc_server_started_total{${stream}}`]: 1,
      [`grpc_server_handled_total{grpc_code=OK,${kv}}`]: 1,
      [`grpc_server_handled_total{grpc_code=Unavailable,${kv}}`]: 1,
      [`grpc_server_handled_total{grpc_code=OK,${stream}}`]: 0,
      [`grpc_server_msg_received_total{${kv}}`]: 2,
      [`grpc_server_msg_sent_total{${kv}}`]: 1,
      [`grpc_server_msg_sent_total{${stream}}`]: 4,
      [`grpc_server_handling_seconds_count{${kv}}`]: 2,
      [`grpc_server_handling_seconds_sum{${kv}}`]: 7.003,
    });
    expect([...values.keys()].join('\n')).not.toContain('made.Up');
  });

  it('bound the label values that clients invent', async () => {
    const { metrics, scrape } = setUp();
    for (let i = 0; i < 10_000; i++) metrics.clientRequests.inc('unary', `v${i}`);
    const { values } = await scrape();
    const rows = [...values.keys()].filter((n) => n.startsWith('etcd_server_client_requests'));
    expect(rows.length).toBeLessThan(40);
    const total = rows.reduce((sum, name) => sum + (values.get(name) ?? 0), 0);
    expect(total).toBe(10_000);
  });

  it('tell about the process when asked to', async () => {
    const { values } = await setUp({ process: true }).scrape();
    for (const name of ['process_resident_memory_bytes', 'process_start_time_seconds']) {
      expect(values.get(name)).toBeGreaterThan(0);
    }
    if (process.platform === 'linux') {
      expect(values.get('os_fd_used')).toBeGreaterThan(0);
      expect(values.get('os_fd_limit')).toBeGreaterThan(0);
    }
  });

  it('come as Prometheus text', async () => {
    expect((await setUp().text()).contentType).toContain('text/plain; version=0.0.4');
  });
});

describe('histograms', () => {
  it('have the bounds people write', () => {
    expect(exponentialBuckets(0.001, 2, 14).slice(-2)).toEqual([4.096, 8.192]);
  });

  it('count each value once, in the first bucket that holds it', async () => {
    const bounds = [1, 2, 4];
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 10, noNaN: true })), (observed) => {
        const histogram = new Histogram(bounds);
        for (const value of observed) histogram.observe(value);
        expect(histogram.count).toBe(observed.length);
        const upTo = (bound: number) => observed.filter((value) => value <= bound).length;
        let below = 0;
        bounds.forEach((bound, i) => {
          below += histogram.counts[i] ?? 0;
          expect(below).toBe(upTo(bound));
        });
      }),
    );
  });

  it('are cumulative in the text', async () => {
    const { metrics, scrape } = setUp();
    for (const seconds of [0.0005, 0.001, 0.0015, 100]) metrics.walFsync.observe(seconds);
    metrics.applyDuration.of('v3', 'Put', 'true').observe(0.0001);
    const { values } = await scrape();
    const name = 'etcd_disk_wal_fsync_duration_seconds';
    expect(values.get(`${name}_bucket{le=0.001}`)).toBe(2);
    expect(values.get(`${name}_bucket{le=0.002}`)).toBe(3);
    expect(values.get(`${name}_bucket{le=8.192}`)).toBe(3);
    expect(values.get(`${name}_bucket{le=+Inf}`)).toBe(4);
    expect(values.get(`${name}_count`)).toBe(4);
    const labels = 'op=Put,success=true,version=v3';
    expect(values.get(`etcd_server_apply_duration_seconds_count{${labels}}`)).toBe(1);
  });
});

describe('the lag of the event loop', () => {
  it('is never negative, and starts over with each reading', () => {
    const lag = measureLoopLag();
    const { p50, p99, max } = lag.read();
    expect(Math.min(p50, p99, max)).toBeGreaterThanOrEqual(0);
    expect(lag.read()).toEqual({ p50: 0, p99: 0, max: 0 });
    lag.stop();
  });
});

describeWith(['etcd37'], 'metrics, against those of etcd 3.7', () => againstEtcd('etcd37'));
describeWith(['etcd34'], 'metrics, against those of etcd 3.4', () => againstEtcd('etcd34'));

function againstEtcd(tool: Tool): void {
  const server = useServer('etcd', () => ({ program: toolPath(tool) }));
  let theirs = parse('');

  beforeAll(async () => {
    theirs = parse(await (await fetch(`${server().clientUrl}/metrics`)).text());
  });

  it('have the same type where they have the same name', async () => {
    const { metrics, scrape } = setUp({ process: true, extensive: true });
    metrics.attach(() => readings);
    const ours = await scrape();
    const shared = [...ours.types].filter(([name]) => theirs.types.has(name));
    expect(shared.length).toBeGreaterThan(60);
    for (const [name, type] of shared) expect(type, name).toBe(theirs.types.get(name));
  });

  it('have the same buckets where they have the same name', async () => {
    const ours = await setUp().scrape();
    const bucketsOf = (from: typeof ours, name: string) =>
      [...from.values.keys()]
        .filter((key) => key.startsWith(`${name}_bucket{le=`))
        .map((key) => Number(/le=([^}]*)/.exec(key)?.[1]))
        .filter((bound) => !Number.isNaN(bound));
    const shared = [...ours.types]
      .filter(([name, type]) => type === 'histogram' && theirs.types.get(name) === 'histogram')
      .map(([name]) => name);
    expect(shared.length).toBeGreaterThan(8);
    for (const name of shared) expect(bucketsOf(ours, name), name).toEqual(bucketsOf(theirs, name));
  });

  it('have every name a single node has, except those of parts that kvorum has not', async () => {
    const { metrics, scrape } = setUp({ process: true, extensive: true });
    metrics.attach(() => readings);
    const ours = await scrape();
    const absent =
      /^(go_|etcd_grpc_proxy_|etcd_debugging_(store|snap)_|etcd_debugging_disk_backend_commit_)/;
    const gone = new Set([
      // Renamed without "debugging" before 3.7.
      ...['delete', 'put', 'range', 'txn'].map((op) => `etcd_debugging_mvcc_${op}_total`),
      // The Go runtime, and what its library reads of the whole machine.
      'process_network_receive_bytes_total',
      'process_network_transmit_bytes_total',
      'etcd_server_go_version',
      'process_virtual_memory_max_bytes',
    ]);
    const missing = [...theirs.types.keys()].filter(
      (name) => !ours.types.has(name) && !absent.test(name) && !gone.has(name),
    );
    expect(missing).toEqual([]);
  });
}
