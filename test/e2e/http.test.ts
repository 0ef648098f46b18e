import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import { createWatch, readEvents, type WatchStream } from '../helpers/watching.js';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

function ask(
  server: ServerProcess,
  path: string,
  options: { readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(`${server.clientUrl}${path}`, { agent: false, ...options });
    asked.once('error', reject);
    asked.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    asked.end();
  });
}

/** Samples of a Prometheus text by name and labels; throws on a line that is none. */
function parseMetrics(text: string): Map<string, number> {
  const samples = new Map<string, number>();
  const typed = new Map<string, string>();
  const label = '[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\\\\n]|\\\\["\\\\n])*"';
  const sample = new RegExp(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{${label}(?:,${label})*\\})? (\\S+)$`);
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) {
      if (typed.has(type[1] ?? '')) throw new Error(`declared twice: ${line}`);
      typed.set(type[1] ?? '', type[2] ?? '');
      continue;
    }
    if (line === '' || line.startsWith('# HELP ')) continue;
    const match = sample.exec(line);
    const value = Number((match?.[3] ?? '').replace('+Inf', 'Infinity'));
    if (match === null || Number.isNaN(value)) throw new Error(`not a sample: ${line}`);
    const name = match[1] ?? '';
    const family = name.replace(/_(bucket|sum|count)$/, '');
    if (!typed.has(name) && typed.get(family) !== 'histogram' && typed.get(family) !== 'summary') {
      throw new Error(`a sample without a type: ${line}`);
    }
    const key = name + (match[2] ?? '');
    if (samples.has(key)) throw new Error(`twice: ${line}`);
    samples.set(key, value);
  }
  return samples;
}

/** What etcd's Grafana dashboard and the alerts of its mixin ask for, but for those of peers. */
const names = [
  'etcd_server_has_leader',
  'etcd_server_is_leader',
  'etcd_server_leader_changes_seen_total',
  'etcd_server_proposals_failed_total',
  'etcd_server_proposals_pending',
  'etcd_server_proposals_committed_total',
  'etcd_server_proposals_applied_total',
  'etcd_server_slow_apply_total',
  'etcd_server_quota_backend_bytes',
  'etcd_server_health_success',
  'etcd_server_health_failures',
  'etcd_disk_wal_fsync_duration_seconds_bucket{le="0.001"}',
  'etcd_disk_wal_fsync_duration_seconds_bucket{le="8.192"}',
  'etcd_disk_wal_fsync_duration_seconds_bucket{le="+Inf"}',
  'etcd_disk_backend_commit_duration_seconds_bucket{le="+Inf"}',
  'etcd_disk_wal_write_bytes_total',
  'etcd_network_client_grpc_sent_bytes_total',
  'etcd_network_client_grpc_received_bytes_total',
  'etcd_mvcc_db_total_size_in_bytes',
  'etcd_mvcc_db_total_size_in_use_in_bytes',
  'etcd_mvcc_put_total',
  'etcd_mvcc_range_total',
  'etcd_mvcc_delete_total',
  'etcd_mvcc_txn_total',
  'etcd_debugging_mvcc_keys_total',
  'etcd_debugging_mvcc_watcher_total',
  'etcd_debugging_mvcc_watch_stream_total',
  'etcd_debugging_mvcc_slow_watcher_total',
  'etcd_debugging_mvcc_events_total',
  'etcd_debugging_lease_granted_total',
  'etcd_debugging_lease_ttl_total_bucket{le="+Inf"}',
  'process_resident_memory_bytes',
  'process_cpu_seconds_total',
  'process_open_fds',
  'process_max_fds',
  'process_start_time_seconds',
  'etcd_server_version{server_version="3.7.3"}',
  'etcd_cluster_version{cluster_version="3.7"}',
];

describeWith(['kvorum'], 'HTTP of a server process', () => {
  let server: ServerProcess;
  let client: RawClient;
  const args = ['--host-whitelist', '127.0.0.1,etcd.example', '--cors', 'https://ui.example'];
  const extras = ['--metrics', 'extensive', '--warning-apply-duration', '0s'];
  beforeAll(async () => {
    server = await startKvorum({
      args: [...args, ...extras, '--warning-unary-request-duration', '1ns'],
    });
    client = new RawClient(server);
  });
  afterAll(async () => {
    client?.close();
    await server?.dispose();
  });

  const metrics = async () => parseMetrics((await ask(server, '/metrics')).body);
  /** How much each metric grew while `act` ran. */
  const growth = async (act: () => Promise<unknown>) => {
    const before = await metrics();
    await act();
    const after = await metrics();
    return (name: string) => (after.get(name) ?? Number.NaN) - (before.get(name) ?? Number.NaN);
  };

  describe('health', () => {
    const good = '{"health":"true","reason":""}';

    it('answers /health as etcd does', async () => {
      const answer = await ask(server, '/health');
      expect([answer.status, answer.body]).toEqual([200, good]);
      // As etcd, which names no type: Go takes it for text.
      expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
      expect((await ask(server, '/health?serializable=true')).body).toBe(good);
      const post = await ask(server, '/health', { method: 'POST' });
      expect([post.status, post.headers.allow]).toEqual([405, 'GET']);
    });

    it('reports alarms, unless they are excluded', async () => {
      const { header } = await client.status();
      const alarm = { memberID: header?.member_id ?? '0', alarm: 1 };
      await client.alarm({ action: 1, ...alarm });
      try {
        const sick = await ask(server, '/health');
        expect(sick.status).toBe(503);
        expect(JSON.parse(sick.body)).toEqual({ health: 'false', reason: 'ALARM NOSPACE' });
        expect((await ask(server, '/health?exclude=NOSPACE')).body).toBe(good);
        expect((await ask(server, '/readyz')).status).toBe(200);
      } finally {
        await client.alarm({ action: 2, ...alarm });
      }
      expect((await ask(server, '/health')).body).toBe(good);
    });

    it('answers the probes of Kubernetes', async () => {
      expect((await ask(server, '/livez')).body).toBe('ok\n');
      const verbose = await ask(server, '/readyz?verbose');
      for (const check of ['data_corruption', 'serializable_read', 'linearizable_read']) {
        expect(verbose.body).toContain(`[+]${check} ok\n`);
        expect((await ask(server, `/readyz/${check}`)).status).toBe(200);
      }
      expect(verbose.body).toMatch(/ok\n$/);
      const less = await ask(server, '/readyz?verbose&exclude=linearizable_read');
      expect(less.body).toContain('[+]linearizable_read excluded: ok\n');
      expect((await ask(server, '/readyz/nonsense')).status).toBe(404);
    });
  });

  it('says how long each answer is, and sends no body to HEAD', async () => {
    const paths = ['/health', '/livez', '/readyz', '/version', '/metrics', '/debug/vars', '/none'];
    for (const path of [...paths, '//health']) {
      for (const method of ['GET', 'POST', 'OPTIONS', 'HEAD']) {
        const { headers, body } = await ask(server, path, { method });
        expect(headers['transfer-encoding'], `${method} ${path}`).toBeUndefined();
        const length = Number(headers['content-length']);
        if (method === 'HEAD') expect([body, length > 0]).toEqual(['', true]);
        else expect(length, `${method} ${path}`).toBe(Buffer.byteLength(body));
      }
    }
  });

  it('has the variables of etcd that mean something here', async () => {
    const { body } = await ask(server, '/debug/vars');
    const vars = JSON.parse(body) as Record<string, Record<string, unknown>>;
    expect(Object.keys(vars)).toEqual([
      ...['cmdline', 'file_descriptor_limit', 'memstats', 'raft.status'],
    ]);
    expect(vars.cmdline).toContain('--metrics');
    expect(Number(vars.file_descriptor_limit)).toBeGreaterThan(100);
    expect(Number(vars.memstats?.Sys)).toBeGreaterThan(Number(vars.memstats?.Alloc));
    const status = vars['raft.status'] ?? {};
    expect(status).toMatchObject({ raftState: 'StateLeader', lead: status.id });
    const [own] = Object.values(status.progress as Record<string, { match: number }>);
    expect(own).toMatchObject({ state: 'StateReplicate', match: status.commit });
  });

  it('has no profiles unless they were asked for', async () => {
    for (const path of ['/debug/pprof/', '/debug/pprof/heap', '/debug/pprof/profile']) {
      expect((await ask(server, path)).status).toBe(404);
    }
  });

  it('answers HEAD and POST of /metrics, and redirects //health, as etcd does', async () => {
    const got = await ask(server, '/metrics');
    const head = await ask(server, '/metrics', { method: 'HEAD' });
    expect([head.status, head.headers['content-type']]).toEqual([200, got.headers['content-type']]);
    const post = await ask(server, '/metrics', { method: 'POST' });
    expect([post.status, parseMetrics(post.body).size > 0]).toEqual([200, true]);
    const doubled = await ask(server, '//health');
    expect([doubled.status, doubled.headers.location]).toEqual([307, '/health']);
  });

  it('tells versions that parse as dotted numbers', async () => {
    const { body } = await ask(server, '/version');
    const version = JSON.parse(body) as Record<string, string>;
    expect(Object.keys(version)).toEqual(['etcdserver', 'etcdcluster', 'storage']);
    for (const value of Object.values(version)) expect(value).toMatch(/^\d+\.\d+\.\d+$/);
  });

  describe('access', () => {
    it('refuses hosts that are not on the whitelist', async () => {
      const other = await ask(server, '/health', { headers: { host: 'evil.example' } });
      expect(other.status).toBe(421);
      const listed = await ask(server, '/health', { headers: { host: 'etcd.example:2379' } });
      expect(listed.status).toBe(200);
    });

    it('lets browsers of the listed origins in', async () => {
      const headers = { origin: 'https://ui.example' };
      const allowed = await ask(server, '/version', { headers });
      expect(allowed.headers['access-control-allow-origin']).toBe('https://ui.example');
      const preflight = await ask(server, '/version', { method: 'OPTIONS', headers });
      expect(preflight.status).toBe(200);
      expect(preflight.headers['access-control-allow-methods']).toContain('POST');
      const other = await ask(server, '/version', { headers: { origin: 'https://evil.example' } });
      expect(other.headers['access-control-allow-origin']).toBeUndefined();
    });

    it('answers what it does not have with 404', async () => {
      for (const path of ['/', '/v2/keys', '/debug/pprof/', '/nothing']) {
        expect((await ask(server, path)).status).toBe(404);
      }
    });
  });

  describe('metrics', () => {
    it('are Prometheus text with the names of dashboards and alerts', async () => {
      const { headers } = await ask(server, '/metrics');
      expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
      const samples = await metrics();
      expect(names.filter((name) => !samples.has(name))).toEqual([]);
      const watch =
        '{grpc_type="bidi_stream",grpc_service="etcdserverpb.Watch",grpc_method="Watch"}';
      expect(samples.has(`grpc_server_started_total${watch}`)).toBe(true);
      expect(samples.get('etcd_server_has_leader')).toBe(1);
    });

    it('count puts, ranges, deletes and transactions', async () => {
      const key = bytes('count');
      const value = Buffer.alloc(1000, 'x');
      const grew = await growth(async () => {
        await client.put({ key, value });
        await client.range({ key });
        await client.range({ key, serializable: true });
        const ops = [{ request_put: { key, value } }, { request_range: { key } }];
        await client.txn({ success: ops });
        await client.deleteRange({ key });
      });
      expect(grew('etcd_mvcc_put_total')).toBe(2);
      expect(grew('etcd_mvcc_range_total')).toBe(3);
      expect(grew('etcd_mvcc_txn_total')).toBe(1);
      expect(grew('etcd_mvcc_delete_total')).toBe(1);
      expect(grew('etcd_debugging_mvcc_total_put_size_in_bytes')).toBe(2 * (key.length + 1000));
      expect(grew('etcd_server_proposals_committed_total')).toBeGreaterThanOrEqual(3);
      expect(grew('etcd_server_proposals_applied_total')).toBeGreaterThanOrEqual(3);
      expect(grew('etcd_disk_wal_fsync_duration_seconds_count')).toBeGreaterThanOrEqual(3);
      expect(grew('etcd_disk_wal_write_bytes_total')).toBeGreaterThan(2000);
      expect(grew('etcd_network_client_grpc_received_bytes_total')).toBeGreaterThan(2000);
      expect(grew('etcd_network_client_grpc_sent_bytes_total')).toBeGreaterThan(2000);
      const applied =
        'etcd_server_apply_duration_seconds_count{version="v3",op="Put",success="true"}';
      expect(grew(applied)).toBe(1);
      const put = 'grpc_type="unary",grpc_service="etcdserverpb.KV",grpc_method="Put"';
      expect(grew(`grpc_server_handled_total{${put},grpc_code="OK"}`)).toBe(1);
      expect(grew(`grpc_server_handling_seconds_count{${put}}`)).toBe(1);
    });

    it('count watchers and events', async () => {
      const key = bytes('watched');
      let watching: WatchStream | undefined;
      const grew = await growth(async () => {
        watching = client.watch();
        await createWatch(watching, { key });
        await client.put({ key, value: bytes('1') });
        await readEvents(watching, 1);
      });
      expect(grew('etcd_debugging_mvcc_watcher_total')).toBe(1);
      expect(grew('etcd_debugging_mvcc_watch_stream_total')).toBe(1);
      expect(grew('etcd_debugging_mvcc_events_total')).toBe(1);
      watching?.reader.cancel();
    });

    it('count leases', async () => {
      const grew = await growth(async () => {
        const { ID } = await client.leaseGrant({ TTL: '100', ID: '0' });
        const keeping = client.keepAlive();
        keeping.send({ ID });
        await keeping.reader.next();
        keeping.reader.cancel();
        await client.leaseRevoke({ ID });
      });
      expect(grew('etcd_debugging_lease_granted_total')).toBe(1);
      expect(grew('etcd_debugging_lease_renewed_total')).toBe(1);
      expect(grew('etcd_debugging_lease_revoked_total')).toBe(1);
      expect(grew('etcd_debugging_lease_ttl_total_sum')).toBe(100);
    });

    it('time compaction and hashes', async () => {
      await client.put({ key: bytes('c'), value: bytes('1') });
      const { header } = await client.put({ key: bytes('c'), value: bytes('2') });
      const grew = await growth(async () => {
        await client.compact({ revision: Number(header?.revision), physical: true });
        await client.hashKv({ revision: 0 });
      });
      expect(grew('etcd_debugging_mvcc_db_compaction_total_duration_milliseconds_count')).toBe(1);
      expect(grew('etcd_debugging_mvcc_db_compaction_last')).toBeGreaterThan(1e9);
      expect(grew('etcd_mvcc_hash_rev_duration_seconds_count')).toBe(1);
      expect(server.log).toContain('"msg":"finished scheduled compaction"');
    });

    it('time snapshots', async () => {
      await client.serverStream('etcdserverpb.Maintenance', 'Snapshot', {}).rest();
      // The server tidies up before it counts.
      await eventually(async () => {
        const name = 'etcd_disk_backend_snapshot_duration_seconds_count';
        return (await metrics()).get(name) === 1 ? true : undefined;
      }, 'the time of the snapshot');
    });

    it('count slow applies, and the log says so without keys and values', async () => {
      const grew = await growth(() =>
        client.put({ key: bytes('secret-key'), value: bytes('secret-value') }),
      );
      expect(grew('etcd_server_slow_apply_total')).toBe(1);
      expect(server.log).toContain('"msg":"apply request took too long"');
      expect(server.log).toContain('"msg":"request stats"');
      expect(server.log).not.toContain('secret');
    });

    it('count health checks', async () => {
      const grew = await growth(() => ask(server, '/health'));
      expect(grew('etcd_server_health_success')).toBe(1);
    });
  });
});
