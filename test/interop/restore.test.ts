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
import {
  freePort,
  type ServerKind,
  ServerProcess,
  startEtcd,
  startKvorum,
} from '../helpers/server.js';
import { describeWith, kvorumBin, toolPath } from '../helpers/tools.js';
import { contents, etcdctl, fill } from './snapshot-content.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-restore-'));
let servers: ServerProcess[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.dispose()));
  servers = [];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

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
    it(`makes a member of a snapshot of ${kind}, with the same data`, async () => {
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

  it('makes three members of one snapshot, which form a cluster', async () => {
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

  it('raises the revision, and lets no watcher go on with an old one', async () => {
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
    const watched = await exec(toolPath('etcdctl'), [`--endpoints=${member.endpoint}`, ...watch]);
    expect(watched.stderr + watched.stdout).toContain('required revision has been compacted');
  });
});
