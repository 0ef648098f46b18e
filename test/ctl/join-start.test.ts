/** `kvorum join`: with which members the server is started, and what becomes of it. */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { joining } from '../../src/cli/join/join.js';
import type { RunningNode } from '../../src/cli/server/command.js';
import { silentLogger } from '../../src/common/index.js';
import { defaultConfig, type ServerConfig, UsageError } from '../../src/server/index.js';
import { eventually } from '../helpers/eventually.js';
import { FakeCluster } from './fake-cluster.js';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-join-'));
afterAll(() => rmSync(dir, { recursive: true }));

const peerUrl = 'http://127.0.0.1:52380';

function configIn(dataDir: string, ...more: readonly string[]): ServerConfig {
  const urls = ['--initial-advertise-peer-urls', peerUrl];
  return defaultConfig('--name', 'new', '--data-dir', join(dir, dataDir), ...urls, ...more);
}

/** Starts as `kvorum join` does; the server tells the cluster its name, as one does. */
async function started(cluster: FakeCluster, config: ServerConfig, fails: readonly string[] = []) {
  const configs: ServerConfig[] = [];
  const failures = [...fails];
  const start = joining(cluster.calls, async (given) => {
    configs.push(given);
    const message = failures.shift();
    if (message !== undefined) throw new UsageError(message);
    for (const { id, name } of cluster.members) {
      if (name === '') cluster.set(id, { name: 'new', clientUrls: ['http://cnew'] });
    }
    const node = { clientUrls: [], isNewData: true, failed: new Promise(() => {}) };
    return { ...node, rereadFiles: async () => {}, stop: async () => {} } as unknown as RunningNode;
  });
  const node = await start(config, silentLogger, new AbortController().signal);
  return { configs, node };
}

describe('kvorum join', () => {
  it('starts with all members, itself among them, and becomes a voter', async () => {
    const cluster = new FakeCluster(3);
    const { configs, node } = await started(cluster, configIn('a'));
    const [config] = configs;
    expect(config?.initialClusterState).toBe('existing');
    expect([...(config?.initialCluster ?? [])]).toEqual([
      ['member-1', ['http://p1']],
      ['member-2', ['http://p2']],
      ['member-3', ['http://p3']],
      ['new', [peerUrl]],
    ]);
    await eventually(() => cluster.done.length === 2 || undefined, 'promoted');
    expect(cluster.done).toEqual([`add ${peerUrl}`, 'promote 13']);
    await node.stop();
  });

  it('asks once more when another one joined at the same time', async () => {
    const cluster = new FakeCluster(3);
    cluster.onSleep = () => {
      if (cluster.members.length === 4) cluster.put(9n, 'other', true);
    };
    const stale = ['error validating peerURLs {...}: member count is unequal'];
    const { configs } = await started(cluster, configIn('b'), stale);
    expect(configs.map(({ initialCluster }) => initialCluster.size)).toEqual([4, 5]);
    expect(cluster.done.filter((one) => one.startsWith('add'))).toHaveLength(1);
    const other = started(new FakeCluster(3), configIn('c'), ['something else']);
    await expect(other).rejects.toThrow('something else');
  });

  it('stays a learner if it only reads', async () => {
    const cluster = new FakeCluster(3);
    await started(cluster, configIn('d', '--read-only-member'));
    await new Promise((resolve) => setImmediate(resolve));
    expect(cluster.done).toEqual([`add ${peerUrl}`]);
  });

  it('is an ordinary start once there is data, and no start at all if that is elsewhere', async () => {
    const cluster = new FakeCluster(3);
    cluster.put(4n, 'new', false, peerUrl);
    await expect(started(cluster, configIn('e'))).rejects.toThrow('its data is not in');
    mkdirSync(join(dir, 'f/member/wal'), { recursive: true });
    writeFileSync(join(dir, 'f/member/wal/0.wal'), '');
    const config = configIn('f');
    const { configs } = await started(cluster, config);
    expect(configs).toEqual([config]);
    expect(cluster.done).toEqual([]);
  });
});
