import { describe, expect, it } from 'vitest';
import { forPeople } from '../../src/ctl/cluster/for-people.js';
import { paintOf } from '../../src/ctl/print/index.js';
import { startNode } from '../../src/testing/index.js';
import { runCtlHere } from '../helpers/ctl-in-process.js';

const table = {
  header: ['ID', 'name', 'Peer Addrs', 'db size'],
  rows: [
    ['8e9e05c5', 'one', 'http://a:2380', '12 kB'],
    ['1f', 'second', 'http://b:2380', '1.2 MB'],
  ],
};
const plain = paintOf({ pretty: false, io: { env: {} } } as unknown as Parameters<
  typeof paintOf
>[0]);

describe('rows for people', () => {
  it('stand in columns, sizes to the right', () => {
    expect(forPeople(table, ['Peer Addrs'], 80)(plain)).toBe(
      [
        'ID        NAME    PEER ADDRS     DB SIZE',
        '8e9e05c5  one     http://a:2380    12 kB',
        '1f        second  http://b:2380   1.2 MB',
        '',
      ].join('\n'),
    );
  });

  it('leave out what can be missed where there is no room', () => {
    expect(forPeople(table, ['Peer Addrs'], 30)(plain)).toBe(
      [
        'ID        NAME    DB SIZE',
        '8e9e05c5  one       12 kB',
        '1f        second   1.2 MB',
        '',
      ].join('\n'),
    );
  });

  it('are what a terminal shows of members and endpoints, and nobody else', async () => {
    await using node = await startNode();
    const run = (line: string, program: string) =>
      runCtlHere([...line.split(' '), '--endpoints', node.endpoint], {
        ...{ program, onTerminal: true, env: { NO_COLOR: '1' } },
      });
    const members = (await run('member list', 'kvorum')).stdout.toString();
    expect(members).toMatch(/^ID +STATUS +NAME +.*\n[0-9a-f]+ +started /);
    const status = (await run('endpoint status', 'kvorum')).stdout.toString();
    expect(status).toMatch(/^ENDPOINT +ID +VERSION .*\n127\.0\.0\.1:/);
    expect(Math.max(...status.split('\n').map((line) => line.length))).toBeLessThan(120);
    expect((await run('member list', 'etcdctl')).stdout.toString()).toMatch(
      /^[0-9a-f]+, started, /,
    );
  });
});
