/**
 * Nobody is locked in: a snapshot of kvorum, taken by etcdctl, is restored by etcdctl into a data
 * directory that the real etcd starts from, with every key, revision, lease and hash.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

const leaseId = 0x7b;
const dir = mkdtempSync(join(tmpdir(), 'kvorum-restore-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function etcdctl(endpoint: string, ...args: readonly string[]): Promise<string> {
  const done = await exec('etcdctl', [`--endpoints=${endpoint}`, ...args], {
    env: { ETCDCTL_API: '3' },
  });
  expect(done.code, `etcdctl ${args.join(' ')}: ${done.stderr}`).toBe(0);
  return done.stdout.toString();
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** History, big values, deletions, a compaction, and a lease with keys. */
async function fill(endpoint: string): Promise<void> {
  const client = new RawClient(endpoint);
  try {
    await client.leaseGrant({ ID: leaseId, TTL: 3000 });
    for (let i = 0; i < 60; i++) {
      await client.put({ key: bytes('often'), value: bytes(`${i}`) });
      const lease = i % 10 === 0 ? leaseId : 0;
      await client.put({ key: bytes(`key-${i}`), value: bytes('v'.repeat(i * 200)), lease });
    }
    await client.deleteRange({ key: bytes('key-7') });
    await client.compact({ revision: 20, physical: true });
    await client.put({ key: bytes('last'), value: bytes('one') });
  } finally {
    client.close();
  }
}

/** Everything that a client can see of the data. */
async function contents(endpoint: string): Promise<Record<string, unknown>> {
  const json = async (...args: readonly string[]) =>
    JSON.parse(await etcdctl(endpoint, ...args, '-w', 'json'));
  const all = await json('get', '', '--prefix');
  const old = await json('get', 'often', '--rev=40');
  const hash = await json('endpoint', 'hashkv', '--rev=100');
  const lease = await json('lease', 'timetolive', leaseId.toString(16), '--keys');
  return {
    kvs: all.kvs,
    revision: all.header.revision,
    old: old.kvs,
    hash: hash[0].HashKV.hash,
    granted: lease['granted-ttl'],
    leasedKeys: [...lease.keys].sort(),
  };
}

describeWith(['etcd', 'etcdctl', 'kvorum'], 'a snapshot of kvorum', () => {
  it('becomes an etcd with the same data', { timeout: 60_000 }, async () => {
    const file = join(dir, 'snapshot.db');
    const kvorum = await startKvorum();
    let before: Record<string, unknown> = {};
    try {
      await fill(kvorum.endpoint);
      before = await contents(kvorum.endpoint);
      await etcdctl(kvorum.endpoint, 'snapshot', 'save', file);
    } finally {
      await kvorum.dispose();
    }
    expect(before.revision).toBe(123);
    const peerUrl = `http://127.0.0.1:${await freePort()}`;
    const clientUrl = `http://127.0.0.1:${await freePort()}`;
    const dataDir = join(dir, 'restored');
    const member = ['--name=n', `--data-dir=${dataDir}`, `--initial-cluster=n=${peerUrl}`];
    const advertised = `--initial-advertise-peer-urls=${peerUrl}`;
    await etcdctl(clientUrl, 'snapshot', 'restore', file, ...member, advertised);
    const urls = [`--listen-client-urls=${clientUrl}`, `--advertise-client-urls=${clientUrl}`];
    const args = [...member, advertised, `--listen-peer-urls=${peerUrl}`, ...urls];
    const etcd = spawn('etcd', args, { stdio: 'ignore' });
    try {
      const after = await eventually(() => contents(clientUrl), 'the restored etcd answers');
      expect(after).toEqual(before);
    } finally {
      etcd.kill('SIGKILL');
    }
  });
});
