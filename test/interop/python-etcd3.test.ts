/**
 * Debian's python3-etcd3, unmodified, against the server: python/exercise.py does, this file says
 * what must have come out.
 */

import { beforeAll, expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, repoRoot, toolPath } from '../helpers/tools.js';

const expected: Readonly<Record<string, unknown>> = {
  get: ['1', 'kv/a', 1],
  'get of a missing key': null,
  get_prefix: [
    ['kv/a', '1'],
    ['kv/b', '2'],
  ],
  'get_prefix descending': ['kv/b', 'kv/a'],
  get_range: ['kv/a'],
  replace: [true, false],
  put_if_not_exists: [true, false],
  'put with prev_kv': '2',
  delete: [true, false],
  delete_prefix: 2,
  'transaction then': [true, '2'],
  'transaction else': [false, null],
  watch_prefix: [
    ['PutEvent', 'w/a', '1', ''],
    ['PutEvent', 'w/a', '2', '1'],
    ['DeleteEvent', 'w/a', '', '2'],
  ],
  'watch of a compacted revision': true,
  lease: [60, true, ['l/a']],
  refresh: [60],
  revoke: null,
  expiry: true,
  'lock acquired': [true, true],
  'lock not held by the other': false,
  'lock released': [true, false],
  'lock acquired by the other': [true, true],
  'lock in a with block': true,
  status: [true, true, true],
  members: ['default', 1, 1],
  hash: true,
  alarms: [true, 1, 1, 0],
  error: ['INVALID_ARGUMENT', 'etcdserver: key is not provided'],
  done: true,
};

describeWith([targetTool, 'python3-etcd3'], 'python-etcd3', () => {
  const server = useTarget();
  const told = new Map<string, unknown>();
  let stderr = '';

  beforeAll(async () => {
    const [host = '', port = ''] = server().endpoint.split(':');
    const script = `${repoRoot}test/interop/python/exercise.py`;
    const done = await exec(toolPath('python3-etcd3'), [script, host, port], {
      timeoutMs: 170_000,
      // The protobuf stubs of python3-etcd3 are older than the protobuf of some systems.
      env: { PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION: 'python' },
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
