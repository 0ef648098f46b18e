/** The findings of `kvorum diagnose` one by one: a cluster that is well, and one thing wrong with it. */

import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { ClusterLook, MemberLook } from '../../src/ctl/look/ask/index.js';
import { Metrics } from '../../src/ctl/look/ask/metrics-text.js';
import type { Finding, SlowLine } from '../../src/ctl/look/diagnose/finding.js';
import { findingsOf } from '../../src/ctl/look/diagnose/findings.js';
import { slowLinesOf } from '../../src/ctl/look/diagnose/slow-log.js';
import { statusResponse } from '../../src/proto/index.js';
import { repoRoot } from '../helpers/tools.js';

const gibi = 1_000_000_000;
const dayMs = 86_400_000;
const nowMs = Date.UTC(2026, 10, 30);

const healthyMetrics: Readonly<Record<string, number>> = {
  etcd_debugging_mvcc_current_revision: 120_000,
  etcd_debugging_mvcc_compact_revision: 110_000,
  etcd_server_proposals_failed_total: 4,
  etcd_server_slow_apply_total: 4,
  etcd_server_slow_read_indexes_total: 4,
  etcd_server_leader_changes_seen_total: 2,
  etcd_server_proposals_pending: 1,
  etcd_debugging_mvcc_slow_watcher_total: 0,
  process_open_fds: 50,
  process_max_fds: 1024,
  'kvorum_event_loop_lag_seconds{stat="p99"}': 0.002,
  'kvorum_build_info{version="1.0.0"}': 1,
  ...histogram('etcd_disk_wal_fsync_duration_seconds', '', [990, 10, 0]),
  ...histogram('etcd_disk_backend_commit_duration_seconds', '', [990, 10, 0]),
  ...histogram('etcd_network_peer_round_trip_time_seconds', 'To="2"', [990, 10, 0]),
};

/** So many up to 1 ms, up to 8 ms, and up to 500 ms. */
function histogram(name: string, label: string, counts: readonly [number, number, number]) {
  const [fast, well, slow] = counts;
  const more = label === '' ? '' : `${label},`;
  const all = fast + well + slow;
  return {
    [`${name}_bucket{${more}le="0.001"}`]: fast,
    [`${name}_bucket{${more}le="0.008"}`]: fast + well,
    [`${name}_bucket{${more}le="0.5"}`]: all,
    [`${name}_bucket{${more}le="+Inf"}`]: all,
    [`${name}_sum{${label}}`]: all * 0.002,
    [`${name}_count{${label}}`]: all,
  };
}

interface MemberChange extends Partial<Omit<MemberLook, 'metrics' | 'status'>> {
  readonly metrics?: Readonly<Record<string, number>> | 'none';
  readonly status?: Partial<NonNullable<MemberLook['status']>> | 'none';
}

function member(number: number, change: MemberChange = {}): MemberLook {
  const { metrics, status, ...rest } = change;
  const text = Object.entries({ ...healthyMetrics, ...(metrics === 'none' ? {} : metrics) })
    .map(([name, value]) => `${name} ${value}\n`)
    .join('');
  const told = statusResponse.decode(
    statusResponse.encode({
      version: '3.7.3',
      leader: 1n,
      raftIndex: 150_000,
      raftAppliedIndex: 150_000,
      raftTerm: 3,
      dbSizeBytes: gibi,
      dbSizeInUseBytes: 0.9 * gibi,
      dbSizeQuotaBytes: 2 * gibi,
      ...(status === 'none' ? {} : status),
    }),
  );
  return {
    id: BigInt(number),
    name: `m${number}`,
    isLearner: false,
    peerUrls: [`https://10.0.0.${number}:2380`],
    clientUrls: [`https://10.0.0.${number}:2379`],
    endpoint: `https://10.0.0.${number}:2379`,
    status: status === 'none' ? undefined : told,
    error: status === 'none' ? 'no answer' : undefined,
    metrics: metrics === 'none' ? undefined : new Metrics(text),
    metricsText: text,
    metricsError: undefined,
    certificate: { subject: `m${number}`, endsMs: nowMs + 300 * dayMs, refusedFor: undefined },
    clock: { offsetMs: 300, uncertaintyMs: 510 },
    ...rest,
  };
}

/** Three members that are well, the second one changed. */
function changed(change: MemberChange, more: Partial<ClusterLook> = {}): ClusterLook {
  return cluster([member(1), member(2, change), member(3)], more);
}

function cluster(members: readonly MemberLook[], more: Partial<ClusterLook> = {}): ClusterLook {
  return {
    takenMs: nowMs,
    clusterId: 7n,
    members,
    alarms: [],
    authEnabled: true,
    listError: undefined,
    ...more,
  };
}

const well = cluster([member(1), member(2), member(3)]);

function found(now: ClusterLook, slowLines: readonly SlowLine[] = []): readonly Finding[] {
  return findingsOf({ now, before: well, slowLines });
}

const provoked = new Set<string>();

/** What is found there, by weight and id; each counts as provoked. */
function idsOf(now: ClusterLook, slowLines?: readonly SlowLine[]): string[] {
  const findings = found(now, slowLines);
  for (const { id, what, todo } of findings) {
    provoked.add(id);
    // Sentences, with numbers and names filled in.
    expect(what).toMatch(/^[\w(].*[.]$/s);
    expect(`${what} ${todo}`).not.toMatch(/undefined|NaN|Infinity|\[object/);
  }
  return findings.map(({ id, weight }) => `${weight} ${id}`);
}

describe('diagnose', () => {
  it('finds nothing where nothing is wrong', () => {
    expect(idsOf(well)).toEqual([]);
  });

  const down = { status: 'none', metrics: 'none', certificate: undefined } as const;
  const slowHalf = [500, 0, 500] as const;

  it.each<readonly [string, ClusterLook, readonly string[]]>([
    ['a member that is down', changed(down), ['critical member-down']],
    [
      'a member that is down where others are to spare',
      cluster([1, 2, 3, 4, 5].map((n) => member(n, n === 2 ? down : {}))),
      ['warning member-down'],
    ],
    [
      'no leader',
      cluster([member(1, { status: { leader: 0n } }), member(2, down), member(3, down)]),
      ['critical no-leader', 'critical member-down', 'critical member-down'],
    ],
    [
      'nobody who tells who the members are',
      cluster([], { listError: 'no answer' }),
      ['critical members-unknown'],
    ],
    ['a single member', cluster([member(1)]), ['note single-member']],
    ['four voters', cluster([1, 2, 3, 4].map((n) => member(n))), ['warning even-members']],
    [
      'another version',
      changed({
        metrics: {
          'kvorum_build_info{version="1.0.0"}': Number.NaN,
          'kvorum_build_info{version="1.1.0"}': 1,
        },
      }),
      ['warning versions-differ'],
    ],
    [
      'a learner that has caught up',
      cluster([member(1), member(2), member(3), member(4, { isLearner: true })]),
      ['note learner-forgotten'],
    ],
    [
      'a member that is behind',
      changed({ status: { raftIndex: 100_000, raftAppliedIndex: 100_000 } }),
      ['warning member-behind'],
    ],
    [
      'entries that are not applied',
      changed({ status: { raftAppliedIndex: 100_000 } }),
      ['warning apply-behind'],
    ],
    [
      'leaders that come and go',
      changed({ metrics: { etcd_server_leader_changes_seen_total: 40 } }),
      ['warning leader-changes'],
    ],
    [
      'a full store',
      changed({}, { alarms: [{ memberId: 2n, type: 'NOSPACE' }] }),
      ['critical alarm-nospace'],
    ],
    [
      'a corrupt store',
      changed({}, { alarms: [{ memberId: 2n, type: 'CORRUPT' }] }),
      ['critical alarm-corrupt'],
    ],
    [
      'a store that is nearly full',
      changed({ status: { dbSizeBytes: 2 * gibi, dbSizeInUseBytes: 1.8 * gibi } }),
      ['warning quota-near'],
    ],
    [
      'free space in files',
      changed({ status: { dbSizeInUseBytes: 0.2 * gibi } }),
      ['note fragmented'],
    ],
    [
      'no compaction',
      changed({ metrics: { etcd_debugging_mvcc_compact_revision: -1 } }),
      ['warning compaction-off'],
    ],
    [
      'a slow disk',
      changed({ metrics: histogram('etcd_disk_wal_fsync_duration_seconds', '', slowHalf) }),
      ['warning disk-slow'],
    ],
    [
      'slow commits',
      changed({ metrics: histogram('etcd_disk_backend_commit_duration_seconds', '', slowHalf) }),
      ['warning commit-slow'],
    ],
    [
      'a slow link',
      changed({
        metrics: histogram('etcd_network_peer_round_trip_time_seconds', 'To="2"', [0, 100, 900]),
      }),
      ['warning peer-slow'],
    ],
    [
      'a late loop',
      changed({ metrics: { 'kvorum_event_loop_lag_seconds{stat="p99"}': 0.2 } }),
      ['warning loop-late'],
    ],
    [
      'a clock that is off',
      changed({ clock: { offsetMs: -3_000, uncertaintyMs: 510 } }),
      ['warning clock-off'],
    ],
    [
      'writes that wait',
      changed({ metrics: { etcd_server_proposals_pending: 4_000 } }),
      ['warning proposals-pending'],
    ],
    [
      'writes that fail',
      changed({ metrics: { etcd_server_proposals_failed_total: 9 } }),
      ['warning proposals-fail'],
    ],
    [
      'slow applies',
      changed({ metrics: { etcd_server_slow_apply_total: 9 } }),
      ['warning slow-applies'],
    ],
    [
      'slow rounds of reads',
      changed({ metrics: { etcd_server_slow_read_indexes_total: 9 } }),
      ['warning slow-read-indexes'],
    ],
    [
      'watchers that are behind',
      changed({ metrics: { etcd_debugging_mvcc_slow_watcher_total: 3 } }),
      ['note slow-watchers'],
    ],
    [
      'many open files',
      changed({ metrics: { process_open_fds: 1_000 } }),
      ['warning files-near-limit'],
    ],
    [
      'a certificate that has ended',
      changed({
        certificate: { subject: 'm2', endsMs: nowMs - dayMs, refusedFor: 'CERT_HAS_EXPIRED' },
      }),
      ['critical certificate-ended'],
    ],
    [
      'a certificate that ends',
      changed({ certificate: { subject: 'm2', endsMs: nowMs + 9 * dayMs, refusedFor: undefined } }),
      ['warning certificate-ends'],
    ],
    [
      'a certificate that is not believed',
      changed({
        certificate: { subject: 'm2', endsMs: nowMs + 99 * dayMs, refusedFor: 'SELF_SIGNED' },
      }),
      ['warning certificate-refused'],
    ],
    ['clients without TLS', changed({ clientUrls: ['http://10.0.0.2:2379'] }), ['warning tls-off']],
    [
      'members without TLS',
      changed({ peerUrls: ['http://10.0.0.2:2380'] }),
      ['warning peer-tls-off'],
    ],
    ['auth that is off', changed({}, { authEnabled: false }), ['warning auth-off']],
    [
      'metrics that can not be read',
      changed({ metrics: 'none', metricsError: 'HTTP status 404' }),
      ['note metrics-missing'],
    ],
  ])('finds %s', (_what, look, expected) => {
    expect(idsOf(look)).toEqual(expected);
  });

  it('finds messages that members could not send', () => {
    const failures = (value: number) => ({
      'etcd_network_peer_sent_failures_total{To="1"}': value,
    });
    const before = changed({ metrics: failures(3) });
    const findings = findingsOf({ now: changed({ metrics: failures(8) }), before, slowLines: [] });
    for (const { id } of findings) provoked.add(id);
    expect(findings).toMatchObject([
      {
        id: 'peer-failures',
        what: 'm2 could not send 5 messages to other members while it was looked at.',
      },
    ]);
  });

  it('has nothing to say of plain text on the machine itself', () => {
    const url = (port: number) => [`http://127.0.0.1:${port}`];
    expect(idsOf(changed({ clientUrls: url(2379), peerUrls: url(2380) }))).toEqual([]);
  });

  it('finds what is slow in a log, counted by message', () => {
    const line = (msg: string, level = 'warn') => JSON.stringify({ level, msg, took: '120ms' });
    const log = [
      line('apply request took too long'),
      'no JSON that took too long',
      line('ready to serve client requests'),
      line('request stats'),
      line('request stats', 'debug'),
      line('apply request took too long'),
    ].join('\n');
    const lines = slowLinesOf(Buffer.from(log));
    expect(lines).toMatchObject([
      { message: 'apply request took too long', times: 2 },
      { message: 'request stats', times: 1 },
    ]);
    expect(idsOf(well, lines)).toEqual(['note slow-log', 'note slow-log']);
  });

  it('lists the worst first', () => {
    const look = cluster([member(1), member(2, down), member(3)], { authEnabled: false });
    expect(idsOf(look)).toEqual(['critical member-down', 'warning auth-off']);
  });

  it('has a test above and a line in the docs for each finding', () => {
    const folder = `${repoRoot}src/ctl/look/diagnose`;
    const sources = readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`, 'utf8'));
    const ids = sources.flatMap((text) =>
      [...text.matchAll(/\bid: '([a-z-]+)'/g)].map(([, id]) => id ?? ''),
    );
    expect(new Set(ids)).toEqual(provoked);
    const page = readFileSync(`${repoRoot}docs/look.md`, 'utf8');
    const documented = [...page.matchAll(/^\| `([a-z-]{4,})` \|/gm)].map(([, id]) => id);
    expect(documented.sort()).toEqual([...provoked].sort());
  });
});
