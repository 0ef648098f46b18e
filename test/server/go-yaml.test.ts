/** --config-file as etcd 3.7.3 reads it: each row was asked of it. */

import { describe, expect, it } from 'vitest';
import { buildConfig, type ServerConfig } from '../../src/server/options/config.js';
import { parseCommandLine } from '../../src/server/options/flags.js';
import { UsageError } from '../../src/server/options/usage-error.js';

function read(text: string): ServerConfig {
  const readFile = () => text;
  const line = parseCommandLine(['--config-file=/c.yml'], {}, readFile);
  if (line.kind !== 'run') throw new Error(line.kind);
  return buildConfig(line.flags, readFile);
}

describe('a config file', () => {
  it.each([
    ['snapshot-count: 010', { snapshotCount: 8 }],
    ['snapshot-count: 0o10', { snapshotCount: 8 }],
    ['snapshot-count: 0x10', { snapshotCount: 16 }],
    ['snapshot-count: 0b11', { snapshotCount: 3 }],
    ['snapshot-count: 1_000', { snapshotCount: 1000 }],
    ['snapshot-count: 1e3', { snapshotCount: 1000 }],
    ['snapshot-count: 10.0', { snapshotCount: 10 }],
    ['snapshot-count: ~', { snapshotCount: 10_000 }],
    ['snapshot-count:', { snapshotCount: 10_000 }],
    ['snapshot-count: 10\nsnapshot-count: 20', { snapshotCount: 20 }],
    ['snapshot-count: 10\nSnapshot-Count: 20', { snapshotCount: 10 }],
    ['quota-backend-bytes: 8_000_000_000', { quotaBytes: 8e9 }],
    ['quota-backend-bytes: -1', { quotaBytes: Number.POSITIVE_INFINITY }],
    ['pre-vote: off', { preVote: false }],
    ['pre-vote: n', { preVote: false }],
    ['pre-vote: y', { preVote: true }],
    ['pre-vote: No', { preVote: false }],
    ['name: "yes"', { name: 'yes' }],
    ['name: !!str yes', { name: 'yes' }],
    ['name: !!binary Zm9v', { name: 'foo' }],
    ['name: 2001-01-01', { name: '2001-01-01' }],
    ['name: null', { name: 'default' }],
    ['name:\tx', { name: 'x' }],
    ['name: &a foo\ninitial-cluster-token: *a', { name: 'foo', initialClusterToken: 'foo' }],
    ['name: a\n---\nname: b', { name: 'a' }],
    ['auto-compaction-retention: "1"', { autoCompaction: { mode: 'periodic', retentionMs: 36e5 } }],
    ['x: &x {cert-file: ""}\nclient-transport-security:\n  <<: *x', { clientTls: undefined }],
    ['log-outputs: [stderr]', { logOutputs: ['stderr'] }],
  ])('says with %j what etcd reads', (text, expected) => {
    expect(read(text)).toMatchObject(expected);
  });

  it.each([
    ['name: yes', /name must be a text; write it in quotes/],
    ['name: 12', /name must be a text/],
    ['name: 1.50', /name must be a text/],
    ['initial-cluster-token: no', /initial-cluster-token must be a text/],
    ['auto-compaction-retention: 1', /auto-compaction-retention must be a text/],
    ['snapshot-count: 10.5', /--snapshot-count/],
    ['snapshot-count: 1:30', /--snapshot-count/],
    ['snapshot-count: .inf', /--snapshot-count/],
    ['snapshot-count: 99999999999999999999', /--snapshot-count/],
    ['pre-vote: oFF', /--pre-vote/],
    ['- a\nname: b', /not valid YAML/],
  ])('refuses %j, as etcd does', (text, why) => {
    expect(() => read(text)).toThrow(UsageError);
    expect(() => read(text)).toThrow(why);
  });

  it('may be read where etcd refuses, if there is one thing that it can mean', () => {
    expect(read('snapshot-count: "10"').snapshotCount).toBe(10);
    expect(read('pre-vote: "false"').preVote).toBe(false);
    expect(read('log-outputs: stderr').logOutputs).toEqual(['stderr']);
    expect(read('grpc-keepalive-min-time: 5s').keepaliveMinTimeMs).toBe(5000);
  });

  it('says that only its first document counts', () => {
    expect(read('name: a\n---\nname: b').warnings[0]).toContain('only the first document');
  });
});
