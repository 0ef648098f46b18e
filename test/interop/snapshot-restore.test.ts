/**
 * Nobody is locked in: a snapshot of kvorum, taken by etcdctl, is restored by etcd's own tool (of
 * the newest version, and of an old one) into a data directory that the real etcd of that version
 * starts from, with every key, revision, lease and hash.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { exec } from '../helpers/exec.js';
import { freePort, startKvorum } from '../helpers/server.js';
import { describeWith, itWith, type Tool, toolPath } from '../helpers/tools.js';
import { contents, etcdctl, fill } from './snapshot-content.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-restore-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describeWith(['etcdctl', 'kvorum'], 'a snapshot of kvorum', () => {
  const timeout = 90_000;
  itWith(['etcdutl37', 'etcd37'], 'becomes an etcd 3.7 with the same data', { timeout }, () =>
    isRestored('etcdutl37', 'etcd37'),
  );
  itWith(['etcdctl34', 'etcd34'], 'becomes an etcd 3.4 with the same data', { timeout }, () =>
    isRestored('etcdctl34', 'etcd34'),
  );

  async function isRestored(tool: Tool, etcdTool: Tool): Promise<void> {
    const file = join(dir, `${etcdTool}.db`);
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
    const dataDir = join(dir, etcdTool);
    const member = ['--name=n', `--data-dir=${dataDir}`, `--initial-cluster=n=${peerUrl}`];
    const advertised = `--initial-advertise-peer-urls=${peerUrl}`;
    const restore = ['snapshot', 'restore', file, ...member, advertised];
    const run = await exec(toolPath(tool), restore);
    expect(run.code, run.stderr).toBe(0);
    const urls = [`--listen-client-urls=${clientUrl}`, `--advertise-client-urls=${clientUrl}`];
    const args = [...member, advertised, `--listen-peer-urls=${peerUrl}`, ...urls];
    const etcd = spawn(toolPath(etcdTool), args, { stdio: 'ignore' });
    try {
      const after = await eventually(() => contents(clientUrl), 'the restored etcd answers');
      expect(after).toEqual(before);
    } finally {
      etcd.kill('SIGKILL');
    }
  }
});
