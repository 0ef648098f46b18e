/**
 * Users go along with a snapshot: whoever could log in before a move from etcd 3.7 to kvorum, or
 * back, can log in after it, with the same password, and may do the same and no more.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { freePort, type ServerKind, ServerProcess, startServer } from '../helpers/server.js';
import { describeWith, kvorumBin, toolPath } from '../helpers/tools.js';
import { etcdctl } from './snapshot-content.js';

const root = '--user=root:secret';
const alice = '--user=alice:wonder.land';

const dir = mkdtempSync(join(tmpdir(), 'kvorum-snapshot-auth-'));
let servers: ServerProcess[] = [];
afterEach(async () => {
  await Promise.all(servers.map((server) => server.dispose()));
  servers = [];
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** The words of each step of etcdctl. */
const setUp = [
  'put a/1 one',
  'put b/1 two',
  'put d 4',
  'user add root:secret',
  'user add alice:wonder.land',
  'user add bare --no-password',
  'role add readers',
  'role add empty',
  'role grant-permission readers read a/ b/',
  'role grant-permission readers readwrite b/1',
  'role grant-permission readers write c --from-key',
  'user grant-role root root',
  'user grant-role alice readers',
  'user grant-role alice empty',
  'auth enable',
];

/** What somebody sees of it. */
const looks: ReadonlyArray<readonly string[]> = [
  [root, 'auth', 'status'],
  [root, 'user', 'list'],
  [root, 'role', 'list'],
  [root, 'user', 'get', 'alice', '--detail'],
  [root, 'role', 'get', 'readers'],
  [root, 'get', '', '--prefix'],
  [alice, 'get', 'a/1'],
  [alice, 'get', 'a/', 'b/2'],
  [alice, 'put', 'd', '4'],
  [alice, 'put', 'a/1', '4'],
  ['get', 'a/1'],
  ['--user=alice:wrong', 'get', 'a/1'],
  ['--user=bare:any', 'get', 'a/1'],
];

/** Each command with what it said and how it ended. */
async function seen(endpoint: string): Promise<string[]> {
  const lines: string[] = [];
  for (const words of looks) {
    const { code, stderr, stdout } = await exec(toolPath('etcdctl37'), [
      ...[`--endpoints=${endpoint}`, ...words],
    ]);
    const error = /^Error: .*$/m.exec(stderr)?.[0] ?? '';
    lines.push(`${words.join(' ')}: ${stdout.toString()}${error} ${code}`);
  }
  return lines;
}

const etcdArgs = (server: ServerProcess): string[] => [
  ...['--name', server.name, '--data-dir', server.dataDir],
  ...['--initial-cluster', `${server.name}=${server.peerUrl}`],
  `--initial-advertise-peer-urls=${server.peerUrl}`,
];

describeWith(['etcd37', 'etcdctl37', 'etcdutl37', 'kvorum'], 'the users of a snapshot', () => {
  for (const [from, to] of [
    ['etcd', 'kvorum'],
    ['kvorum', 'etcd'],
    ['kvorum', 'kvorum'],
  ] as ReadonlyArray<readonly [ServerKind, ServerKind]>) {
    it(`of ${from} are those of the ${to} made of it`, { timeout: 120_000 }, async () => {
      const source = await startServer(from, {});
      servers.push(source);
      for (const step of setUp) await etcdctl(source.endpoint, ...step.split(' '));
      const before = await seen(source.endpoint);
      const file = join(dir, `${from}-${to}.db`);
      await etcdctl(source.endpoint, root, 'snapshot', 'save', file);
      await source.dispose();

      const ports = { client: await freePort(), peer: await freePort() };
      const target = new ServerProcess(to, { ports });
      servers.push(target);
      const restored =
        to === 'etcd'
          ? await exec(toolPath('etcdutl37'), ['snapshot', 'restore', file, ...etcdArgs(target)])
          : await exec(kvorumBin, ['restore', file, ...etcdArgs(target)]);
      expect(restored.code, restored.stderr).toBe(0);
      await target.start();
      expect(await seen(target.endpoint)).toEqual(before);
      expect(before.join('\n')).toContain('permission denied');
    });
  }
});
