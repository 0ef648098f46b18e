/** /metrics of a running member against the list of etcd 3.7.3, and against docs/metrics.md. */

import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import { etcdMetrics } from './etcd-metrics.js';
import { temporaryDirectory } from './program.js';

const page = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');

/** Names, or beginnings of names with a star, in the table of a section. */
function documented(section: string): readonly string[] {
  const [, text = ''] = page.split(`## ${section}\n`);
  const [table = ''] = text.split('\n## ');
  const names = [...table.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name);
  expect(names.length).toBeGreaterThan(3);
  return names;
}

function matches(name: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) =>
    pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern,
  );
}

interface Family {
  readonly type: string;
  help: boolean;
  /** Label names of each row. */
  readonly labels: Set<string>;
  readonly rows: Map<string, number>;
}

function familiesOf(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const helped = new Set<string>();
  for (const line of text.split('\n')) {
    const [, what = '', name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)/.exec(line) ?? [];
    if (what === 'HELP') helped.add(name);
    if (what === 'TYPE') {
      families.set(name, { type: rest, help: false, labels: new Set(), rows: new Map() });
    }
    const row = /^([a-zA-Z0-9_:]+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (row === null) continue;
    const [, full = '', labels = '', value] = row;
    const family = families.get(full) ?? families.get(full.replace(/_(bucket|sum|count)$/, ''));
    if (family === undefined) throw new Error(`a row of nothing: ${line}`);
    const names = [...labels.matchAll(/(\w+)="/g)].map(([, label = '']) => label);
    family.labels.add(
      names
        .filter((label) => label !== 'le')
        .sort()
        .join(','),
    );
    family.rows.set(`${full}{${labels}}`, Number(value));
  }
  for (const [name, family] of families) family.help = helped.has(name);
  return families;
}

describeWith(['kvorum'], '/metrics', () => {
  let server: ServerProcess;
  let client: RawClient;
  let fresh: Map<string, Family>;
  let used: Map<string, Family>;

  const scrape = async () => familiesOf(await (await fetch(`${server.clientUrl}/metrics`)).text());

  beforeAll(async () => {
    server = await startKvorum({
      args: [
        ...['--metrics', 'extensive', '--feature-gates', 'LeaseCheckpoint=true'],
        ...['--backup-dir', temporaryDirectory()],
      ],
    });
    client = new RawClient(server);
    fresh = await scrape();
    await client.put({ key: Buffer.from('a'), value: Buffer.from('1') });
    await client.range({ key: Buffer.from('a') });
    await client.range({ key: Buffer.alloc(0) }).catch(() => {});
    await client.compact({ revision: 2, physical: true });
    for (const path of ['health', 'livez', 'readyz']) await fetch(`${server.clientUrl}/${path}`);
    used = await scrape();
  });
  afterAll(async () => {
    client?.close();
    await server?.dispose();
  });

  it('has all that etcd has, under its type and labels, but for what the page leaves out', () => {
    const leftOut = documented('What etcd has and kvorum has not');
    const wrong = etcdMetrics.flatMap(([name, type, labels]) => {
      const family = used.get(name);
      if (matches(name, leftOut)) return family === undefined ? [] : [`${name} is there`];
      if (family === undefined) return [`${name} is missing`];
      const ours = [...family.labels].join(' ');
      if (family.type !== type) return [`${name} is a ${family.type}, not a ${type}`];
      if (family.rows.size > 0 && ours !== labels) return [`${name} has ${ours}, not ${labels}`];
      return family.help ? [] : [`${name} does not say what it is`];
    });
    expect(wrong).toEqual([]);
  });

  it('has nothing besides that the page does not tell', () => {
    const besides = documented('What kvorum has besides');
    const known = new Set(etcdMetrics.map(([name]) => name));
    const untold = [...used.keys()].filter((name) => !known.has(name) && !matches(name, besides));
    expect(untold).toEqual([]);
    const stale = [...besides, ...documented('What means something slightly else')].filter(
      (pattern) => ![...used.keys()].some((name) => matches(name, [pattern])),
    );
    expect(stale).toEqual([]);
  });

  it('shows at once what etcd shows at once', () => {
    const value = (name: string, labels: string) =>
      fresh.get(name.replace(/_count$/, ''))?.rows.get(`${name}{${labels}}`);
    const requests = 'etcd_server_request_duration_seconds_count';
    for (const type of ['Range', 'Put', 'DeleteRange', 'Txn', 'Compaction', 'LeaseGrant']) {
      expect(value(requests, `type="${type}",success="true"`), type).toBe(0);
    }
    expect(value(requests, 'type="ClusterMemberAttrSet",success="true"')).toBe(1);
    const feature = (name: string, stage: string) =>
      value('etcd_server_feature_enabled', `name="${name}",stage="${stage}"`);
    expect(fresh.get('etcd_server_feature_enabled')?.rows.size).toBe(11);
    expect(feature('LeaseCheckpoint', 'ALPHA')).toBe(1);
    expect(feature('CompactHashCheck', 'ALPHA')).toBe(0);
    expect(feature('FastLeaseKeepAlive', 'BETA')).toBe(1);
    expect(value('etcd_cluster_version', 'cluster_version="3.7"')).toBe(1);
    expect(value('promhttp_metric_handler_requests_in_flight', '')).toBe(1);
    expect(value('etcd_mvcc_db_total_size_in_bytes', '')).toBeGreaterThan(0);
    expect(value('etcd_mvcc_db_total_size_in_use_in_bytes', '')).toBeGreaterThan(0);
  });

  it('measures requests by type and success, but not those that are no requests', () => {
    const rows = used.get('etcd_server_request_duration_seconds')?.rows;
    const count = (type: string, success: boolean) =>
      rows?.get(`etcd_server_request_duration_seconds_count{type="${type}",success="${success}"}`);
    expect(count('Put', true)).toBe(1);
    expect(count('Range', true)).toBe(1);
    expect(count('Range', false)).toBe(0);
    expect(count('Compaction', true)).toBe(1);
    expect(count('Compaction', false)).toBe(0);
  });
});
