/**
 * Debian's python3-etcd3gw, unmodified, against the JSON gateway of the server: python/gateway.py
 * does, this file says what must have come out; everything twice, first without users, then as a
 * user with a password who may touch a few prefixes.
 */

import { beforeAll, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, repoRoot, toolPath } from '../helpers/tools.js';

const denied = [7, 'etcdserver: permission denied'];
const wrong = [3, 'etcdserver: authentication failed, invalid user ID or password'];
const badToken = [16, 'etcdserver: invalid auth token'];

const alike: Readonly<Record<string, unknown>> = {
  put: true,
  get: ['1'],
  'get of a missing key': [],
  metadata: ['1', 'kv/a', '1', true],
  get_prefix: [
    ['1', 'kv/a'],
    ['2', 'kv/b'],
  ],
  'get_prefix descending': ['kv/b', 'kv/a'],
  create: [true, false],
  replace: [true, false],
  bytes: [true, [0, 255]],
  delete: [true, false],
  delete_prefix: [true, []],
  watch_prefix: [
    ['PUT', 'w/a', '1'],
    ['PUT', 'w/a', '2'],
    ['DELETE', 'w/a', ''],
  ],
  'watch_once from a revision': 'before',
  lease: [true, ['l/a']],
  refresh: 60,
  revoke: [true, []],
  'refresh of a revoked lease': -1,
  lock: [true, true, false, false],
  'lock refreshed': 60,
  'lock released': [true, true, true],
  'lock in a with block': true,
};

const expected: Readonly<Record<string, unknown>> = {
  status: [2, true],
  members: [1, 'default', 1],
  'authenticate where auth is off': [9, 'etcdserver: authentication is not enabled'],
  ...alike,
  ...Object.fromEntries(Object.entries(alike).map(([k, v]) => [`with a user: ${k}`, v])),
  'no token': [3, 'etcdserver: user name is empty'],
  'wrong password': wrong,
  'unknown user': wrong,
  'wrong token': badToken,
  'not permitted': [denied, denied],
  Bearer: true,
  'token after a change of the password': badToken,
  done: true,
};

describeWith([targetTool, 'python3-etcd3gw'], 'python-etcd3gw', () => {
  const server = useTarget();
  const told = new Map<string, unknown>();
  let stderr = '';

  beforeAll(async () => {
    const [host = '', port = ''] = server().endpoint.split(':');
    const script = `${repoRoot}test/interop/python/gateway.py`;
    const done = await exec(toolPath('python3-etcd3gw'), [script, host, port], {
      timeoutMs: 170_000,
    });
    stderr = done.stderr;
    for (const line of done.stdout.toString('utf8').split('\n').filter(Boolean)) {
      const { name, value } = JSON.parse(line) as { name: string; value: unknown };
      told.set(name, value);
    }
  });

  for (const [name, value] of Object.entries(expected)) {
    it(name, () => {
      expect(told.has(name), `not reached; python's error:\n${stderr}`).toBe(true);
      expect(told.get(name)).toEqual(value);
    });
  }
});
