/**
 * etcd's own Go client (go.etcd.io/etcd/client/v3), unmodified, against the server: the program in
 * go/ does and tells, this file says what must have come out.
 */

import { expect, it } from 'vitest';
import { exec } from '../helpers/exec.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith, toolPath } from '../helpers/tools.js';

type Observations = readonly (readonly [name: string, value: unknown])[];

const expected: Readonly<Record<string, Observations>> = {
  kv: [
    ['prefix', ['kv/a', 'kv/b', 'kv/c']],
    ['limit', [['kv/a', 'kv/b'], true]],
    ['count', 3],
    ['descending', ['kv/c', 'kv/b', 'kv/a']],
    ['by value', ['kv/c', 'kv/b', 'kv/a']],
    ['by mod', ['kv/a', 'kv/b', 'kv/c']],
    ['first created', ['kv/c']],
    ['last key', ['kv/c']],
    ['serializable', ['kv/a', 'kv/b', 'kv/c']],
    ['old revision', '3'],
    ['newer only', ['kv/a']],
    ['future', [true, 'etcdserver: mvcc: required revision is a future revision']],
    ['empty key', true],
    ['unknown lease', true],
    ['deleted', [3, 3, '4']],
    ['compacted', true],
  ],
  txn: [
    ['then', [true, 'one']],
    ['else', [false, 'one']],
    ['nested', [true, 2, 1]],
    ['duplicate key', true],
    ['too many operations', true],
  ],
  ordering: [['reads that went back', 0]],
  watch: [
    ['history', ['put w/a=1', 'put w/b=2', 'delete w/a']],
    ['only deletes', ['delete w/a']],
    ['previous value', '1'],
    ['created', true],
    ['live', ['put w/c=3', true]],
    ['progress', [true, true]],
    ['cancelled', false],
    ['compacted', [true, true, true]],
    ['many watchers', 200],
  ],
  leases: [
    ['time to live', [2, true, 1]],
    ['expiry', ['delete lease/a']],
    ['keepalive of a dead lease', true],
    ['time to live of a dead lease', -1],
    ['revoke of a dead lease', true],
    ['leases', 1],
    ['key of a closed session', 0],
    ['session lease revoked', true],
  ],
  concurrency: [
    ['mutex', [5, 1]],
    ['try lock', true],
    ['no leader', true],
    ['leader', 'one'],
    ['proclaimed', 'one again'],
    ['next leader', 'two'],
    ['not leader', true],
    ['software transactions', 'aaaaaaaaaa'],
  ],
  namespace: [
    ['event', ['put a=1']],
    ['keys', [['a'], ['ns/a']]],
  ],
  mirror: [
    ['base', 1200],
    ['updates', ['put mirror/late=1', 'delete mirror/late']],
  ],
  naming: [
    ['list', ['10.0.0.1:1', '10.0.0.2:2']],
    ['updates', ['add service/one', 'add service/two', 'delete service/one']],
  ],
  maintenance: [
    ['status', [true, false, true]],
    ['members', [1, true]],
    ['synced endpoints', 1],
    ['bad transferee', true],
    ['alarms', 0],
    ['snapshot', [32, true]],
    ['with require leader', true],
  ],
  membership: [
    ['unknown member', true],
    ['added', [true, '', 2]],
    ['not in sync', true],
    ['updated', ['http://127.0.0.1:10']],
    ['removed', 1],
  ],
};

describeWith([targetTool, 'go-client'], "etcd's Go client", () => {
  const server = useTarget();
  const program = () => toolPath('go-client');

  for (const [scenario, observations] of Object.entries(expected)) {
    it(scenario, async () => {
      const done = await exec(program(), [scenario, server().endpoint]);
      expect(done.stderr).toBe('');
      expect(parse(done.stdout.toString('utf8'))).toEqual([...observations, ['done', true]]);
    });
  }

  it('a watch over restarts of the server sees every key once, in order', async () => {
    let kills = 0;
    let restarting = Promise.resolve();
    const done = await exec(program(), ['restart', server().endpoint], {
      timeoutMs: 280_000,
      onOutput: (out) => {
        const wanted = out.match(/"wrote"/g)?.length ?? 0;
        if (wanted <= kills) return;
        kills++;
        restarting = restarting.then(() => server().killAndRestart());
      },
    });
    await restarting;
    expect(done.stderr).toBe('');
    expect(kills).toBe(4);
    expect(parse(done.stdout.toString('utf8')).at(-2)).toEqual(['every key once, in order', 400]);
  });
});

function parse(stdout: string): (readonly [string, unknown])[] {
  const lines = stdout.split('\n').filter(Boolean);
  return lines.map((line) => {
    const { name, value } = JSON.parse(line) as { name: string; value: unknown };
    return [name, value] as const;
  });
}
