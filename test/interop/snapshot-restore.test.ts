/**
 * Nobody is locked in: a snapshot of kvorum, taken by etcdctl, is restored by etcdctl into a data
 * directory that the real etcd starts from, with every key, revision, lease and hash.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { freePort, startKvorum } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';
import { contents, etcdctl, fill } from './snapshot-content.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-restore-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

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
    expect(before.revision).toBe(163);
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
