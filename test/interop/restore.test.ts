/**
 * The way into kvorum, and back after a disaster: a snapshot of the real etcd, or of kvorum itself,
 * is restored by `kvorum restore`, and everything that a client can see is there again: keys,
 * history, leases, and the hash that etcd computes. The way out is snapshot-restore.test.ts.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec, type Finished } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import {
  freePort,
  type ServerKind,
  ServerProcess,
  startEtcd,
  startKvorum,
} from '../helpers/server.js';
import { describeWith, kvorumBin } from '../helpers/tools.js';

const leaseId = 0x7b;
const dir = mkdtempSync(join(tmpdir(), 'kvorum-restore-'));
let servers: ServerProcess[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.dispose()));
  servers = [];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

async function etcdctl(endpoint: string, ...args: readonly string[]): Promise<string> {
  const done = await exec('etcdctl', [`--endpoints=${endpoint}`, ...args]);
  expect(done.code, `etcdctl ${args.join(' ')}: ${done.stderr}`).toBe(0);
  return done.stdout.toString();
}

/** History, big values, deletions, a compaction, and a lease with keys. */
async function fill(endpoint: string): Promise<void> {
  const client = new RawClient(endpoint);
  try {
    await client.leaseGrant({ ID: leaseId, TTL: 3000 });
    for (let i = 0; i < 80; i++) {
      await client.put({ key: bytes('often'), value: bytes(`${i}`) });
      const lease = i % 10 === 0 ? leaseId : 0;
      const value = bytes('v'.repeat(i % 40 === 39 ? 300_000 : i * 100));
      await client.put({ key: bytes(`key-${i % 60}`), value, lease });
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
  const hashes = await json('endpoint', 'hashkv');
  const oldHashes = await json('endpoint', 'hashkv', '--rev=100');
  const lease = await json('lease', 'timetolive', leaseId.toString(16), '--keys');
  return {
    kvs: all.kvs,
    revision: all.header.revision,
    old: old.kvs,
    hash: hashes[0].HashKV.hash,
    oldHash: oldHashes[0].HashKV.hash,
    compacted: hashes[0].HashKV.compact_revision,
    granted: lease['granted-ttl'],
    leasedKeys: [...lease.keys].sort(),
  };
}

/** Fills a server of this kind, saves it, and stops it. */
async function saved(kind: ServerKind): Promise<{ file: string; before: object }> {
  const server = await (kind === 'etcd' ? startEtcd() : startKvorum());
  servers.push(server);
  await fill(server.endpoint);
  const before = await contents(server.endpoint);
  const file = join(dir, `${kind}-${Math.random()}.db`);
  await etcdctl(server.endpoint, 'snapshot', 'save', file);
  await server.dispose();
  return { file, before };
}

/** Members that do not run yet, with a data directory from `file`. */
async function restored(
  file: string,
  count: number,
  ...options: readonly string[]
): Promise<{ members: ServerProcess[]; runs: Finished[] }> {
  const ports: Array<{ client: number; peer: number }> = [];
  for (let i = 0; i < count; i++) ports.push({ client: await freePort(), peer: await freePort() });
  const initialCluster = ports.map((p, i) => `m${i}=http://127.0.0.1:${p.peer}`).join(',');
  const members = ports.map(
    (p, i) => new ServerProcess('kvorum', { name: `m${i}`, initialCluster, ports: p }),
  );
  servers.push(...members);
  const runs: Finished[] = [];
  for (const { name, dataDir, peerUrl } of members) {
    const cluster = ['--initial-cluster', initialCluster, '--initial-cluster-token=again'];
    const member = ['--name', name, `--initial-advertise-peer-urls=${peerUrl}`];
    const args = ['restore', file, '--data-dir', dataDir, ...member, ...cluster, ...options];
    const run = await exec(kvorumBin, args);
    expect(run.stderr).toBe('');
    expect(run.code).toBe(0);
    runs.push(run);
  }
  return { members, runs };
}

describeWith(['etcd', 'etcdctl', 'kvorum'], 'kvorum restore', () => {
  for (const kind of ['etcd', 'kvorum'] as const) {
    it(`makes a member of a snapshot of ${kind}, with the same data`, {
      timeout: 60_000,
    }, async () => {
      const { file, before } = await saved(kind);
      const { members, runs } = await restored(file, 1);
      expect(runs[0]?.stdout.toString()).toMatch(/^restored \d+ revisions of keys, 1 leases/);
      const [member] = members as [ServerProcess];
      await member.start();
      expect(await contents(member.endpoint)).toEqual(before);
      await etcdctl(member.endpoint, 'put', 'a', 'b');
      await member.killAndRestart();
      expect(await etcdctl(member.endpoint, 'get', 'a', '--print-value-only')).toBe('b\n');
    });
  }

  it('makes three members of one snapshot, which form a cluster', { timeout: 60_000 }, async () => {
    const { file, before } = await saved('etcd');
    const { members } = await restored(file, 3);
    await Promise.all(members.map((member) => member.start()));
    for (const { endpoint } of members) {
      expect(await eventually(() => contents(endpoint), 'it answers')).toEqual(before);
    }
    const [first, , last] = members as [ServerProcess, ServerProcess, ServerProcess];
    await etcdctl(first.endpoint, 'put', 'through', 'all');
    expect(await etcdctl(last.endpoint, 'get', 'through', '--print-value-only')).toBe('all\n');
    const hashes = JSON.parse(
      await etcdctl(
        members.map(({ endpoint }) => endpoint).join(),
        'endpoint',
        'hashkv',
        '-w=json',
      ),
    );
    expect(new Set(hashes.map((one: { HashKV: { hash: number } }) => one.HashKV.hash)).size).toBe(
      1,
    );
    const list = JSON.parse(await etcdctl(first.endpoint, 'member', 'list', '-w=json'));
    expect(list.members.map((one: { name: string }) => one.name).sort()).toEqual([
      'm0',
      'm1',
      'm2',
    ]);
  });

  it('raises the revision, and lets no watcher go on with an old one', {
    timeout: 60_000,
  }, async () => {
    const { file, before } = await saved('etcd');
    const options = ['--bump-revision=1000000', '--mark-compacted'];
    const { members } = await restored(file, 1, ...options);
    const [member] = members as [ServerProcess];
    await member.start();
    const { revision } = before as { revision: number };
    const found = JSON.parse(await etcdctl(member.endpoint, 'get', 'last', '-w', 'json'));
    expect(found.header.revision).toBe(revision + 1_000_000);
    expect(found.kvs[0].mod_revision).toBe(revision);
    const watch = ['watch', 'often', `--rev=${revision}`];
    const watched = await exec('etcdctl', [`--endpoints=${member.endpoint}`, ...watch]);
    expect(watched.stderr + watched.stdout).toContain('required revision has been compacted');
  });
});
