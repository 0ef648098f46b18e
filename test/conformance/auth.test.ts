/**
 * Users, roles and permissions, step by step, on kvorum and on etcd 3.7: each answer and each error
 * is the same (C-4). Whose call it is stands before each step; tokens are got on the way.
 */

import { Metadata } from '@grpc/grpc-js';
import { afterAll, expect, it } from 'vitest';
import { asFailure, bytes, RawClient } from '../helpers/grpc.js';
import { startServer } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

/** A call: who makes it ('' nobody, '!' with a token that is none), which, with what. */
type Step = readonly [who: string, method: string, request?: object];

const read = 0;
const write = 1;
const both = 2;
const perm = (permType: number, key: string, end = ''): object => ({
  permType,
  key: bytes(key),
  range_end: bytes(end),
});
const span = (key: string, end = ''): object => ({ key: bytes(key), range_end: bytes(end) });
const put = (key: string, more: object = {}): object => ({
  key: bytes(key),
  value: bytes('v'),
  ...more,
});

/** What is asked of ranges, of a user with r1: [b, d) and [d, f) read, k both, x.. write. */
const ranges: readonly Step[] = [
  ['b', 'd'],
  ['b', 'f'],
  ['b', 'f\0'],
  ['c', 'e'],
  ['a', 'c'],
  ['b', '\0'],
  ['\0', '\0'],
  ['d', 'b'],
  ['f', 'b'],
  ['e', 'e'],
  ['b'],
  ['d'],
  ['f'],
  ['k'],
  ['k', 'k\0'],
  ['k\0'],
  ['k', 'k\0\0'],
  ['x'],
  ['x', '\0'],
].map(([key = '', end = '']) => ['u1', 'KV/Range', span(key, end)]);

const deletes: readonly Step[] = [
  ['k'],
  ['x'],
  ['w'],
  ['x', '\0'],
  ['xx', 'y'],
  ['w', '\0'],
  ['k', 'x'],
].map(([key = '', end = '']) => ['u1', 'KV/DeleteRange', span(key, end)]);

const steps: readonly Step[] = [
  ['', 'Auth/AuthStatus'],
  ['', 'Auth/Authenticate', { name: 'root', password: 'x' }],
  ['', 'Auth/AuthDisable'],
  ['', 'Auth/AuthEnable'],
  ['', 'Auth/UserAdd', { name: '' }],
  ['', 'Auth/UserAdd', { name: 'root', password: 'root' }],
  ['', 'Auth/UserAdd', { name: 'root', password: 'other' }],
  ['', 'Auth/UserAdd', { name: 'long', password: 'p'.repeat(73) }],
  ['', 'Auth/UserAdd', { name: 'long', password: 'p'.repeat(72) }],
  ['', 'Auth/UserAdd', { name: 'bare', options: { no_password: true }, password: 'given' }],
  ['', 'Auth/UserAdd', { name: 'empty' }],
  ['', 'Auth/AuthEnable'],
  ['', 'Auth/RoleAdd', { name: '' }],
  ['', 'Auth/RoleAdd', { name: 'r1' }],
  ['', 'Auth/RoleAdd', { name: 'r1' }],
  ['', 'Auth/RoleGet', { role: 'r1' }],
  ['', 'Auth/RoleGet', { role: 'none' }],
  ['', 'Auth/RoleGet', { role: 'root' }],
  ['', 'Auth/RoleDelete', { role: 'none' }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1' }],
  ['', 'Auth/RoleGrantPermission', { name: 'none', perm: perm(read, 'a') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(read, '') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(read, '', '\0') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(read, 'b', 'b') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(read, 'b', 'a') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(write, 'd', 'f') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(read, 'd', 'f') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(read, 'b', 'd') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(both, 'k') }],
  ['', 'Auth/RoleGrantPermission', { name: 'r1', perm: perm(write, 'x', '\0') }],
  ['', 'Auth/RoleGet', { role: 'r1' }],
  ['', 'Auth/RoleRevokePermission', { role: 'r1', key: bytes('b') }],
  ['', 'Auth/RoleRevokePermission', { role: 'none', key: bytes('b') }],
  ['', 'Auth/UserGrantRole', { user: 'none', role: 'r1' }],
  ['', 'Auth/UserGrantRole', { user: 'root', role: 'none' }],
  ['', 'Auth/UserGrantRole', { user: 'root', role: 'root' }],
  ['', 'Auth/AuthStatus'],
  ['', 'Auth/UserGrantRole', { user: 'root', role: 'root' }],
  ['', 'Auth/AuthStatus'],
  ['', 'Auth/UserRevokeRole', { name: 'root', role: 'r1' }],
  ['', 'Auth/UserRevokeRole', { name: 'none', role: 'r1' }],
  ['', 'Auth/UserDelete', { name: 'none' }],
  ['', 'Auth/UserChangePassword', { name: 'none', password: 'p' }],
  ['', 'Auth/UserChangePassword', { name: 'empty', hashedPassword: '*' }],
  ['', 'Auth/UserAdd', { name: 'u1', password: 'u1' }],
  ['', 'Auth/UserAdd', { name: 'u2', password: 'u2' }],
  ['', 'Auth/UserGrantRole', { user: 'u1', role: 'r1' }],
  ['', 'Auth/UserList'],
  ['', 'Auth/RoleList'],
  ['', 'KV/Put', put('k')],
  ['', 'KV/Put', put('secret')],
  ['', 'Lease/LeaseGrant', { ID: 77, TTL: 500 }],
  ['', 'KV/Put', put('secret', { lease: 77 })],
  ['', 'Auth/AuthEnable'],
  // From here on auth is on.
  ['', 'Auth/AuthEnable'],
  ['', 'Auth/AuthStatus'],
  ['!', 'Auth/AuthStatus'],
  ['', 'KV/Range', span('k')],
  ['!', 'KV/Range', span('k')],
  ['', 'Auth/UserList'],
  ['!', 'Auth/UserList'],
  ['', 'Auth/UserGet', { name: '' }],
  ['', 'Auth/UserGet', { name: 'root' }],
  ['', 'Auth/Authenticate', { name: 'root', password: 'wrong' }],
  ['', 'Auth/Authenticate', { name: 'none', password: 'wrong' }],
  ['', 'Auth/Authenticate', { name: '', password: '' }],
  ['', 'Auth/Authenticate', { name: 'bare', password: 'given' }],
  ['root', 'Auth/AuthEnable'],
  ['root', 'Auth/UserList'],
  ['root', 'Auth/RoleList'],
  ['u1', 'Auth/UserList'],
  ['u1', 'Auth/RoleList'],
  ['u1', 'Auth/UserGet', { name: 'u1' }],
  ['u1', 'Auth/UserGet', { name: 'u2' }],
  ['u1', 'Auth/UserGet', { name: 'none' }],
  ['root', 'Auth/UserGet', { name: 'none' }],
  ['u1', 'Auth/RoleGet', { role: 'r1' }],
  ['u2', 'Auth/RoleGet', { role: 'r1' }],
  ['u1', 'Auth/RoleGet', { role: 'none' }],
  ['u1', 'Auth/UserAdd', { name: 'x', password: 'x' }],
  ['u1', 'Auth/AuthDisable'],
  ['long', 'Auth/UserGet', { name: 'long' }],
  ...ranges,
  ...deletes,
  ['u1', 'KV/Put', put('k')],
  ['u1', 'KV/Put', put('b')],
  ['u1', 'KV/Put', put('x')],
  ['u1', 'KV/Put', put('x', { prev_kv: true })],
  ['u1', 'KV/Put', put('k', { prev_kv: true })],
  ['u1', 'KV/Put', put('k', { lease: 77 })],
  ['u1', 'KV/DeleteRange', { ...span('x'), prev_kv: true }],
  ['u1', 'KV/Compact', { revision: 2 }],
  ['u1', 'KV/Txn', { compare: [{ key: bytes('secret'), result: 0, target: 0, version: 0 }] }],
  ['u1', 'KV/Txn', { success: [{ request_txn: { failure: [{ request_put: put('b') }] } }] }],
  [
    'u1',
    'KV/Txn',
    { success: [{ request_put: put('k') }], failure: [{ request_range: span('b') }] },
  ],
  ['root', 'Auth/UserDelete', { name: 'root' }],
  ['root', 'Auth/UserRevokeRole', { name: 'root', role: 'root' }],
  ['root', 'Auth/RoleDelete', { role: 'root' }],
  ['root', 'Auth/RoleAdd', { name: 'root' }],
  ['root', 'Auth/RoleGet', { role: 'root' }],
  ['root', 'Auth/RoleDelete', { role: 'root' }],
  ['root', 'Auth/RoleGrantPermission', { name: 'root', perm: perm(read, 'a') }],
  ['root', 'Auth/RoleRevokePermission', { role: 'r1', key: bytes('k') }],
  ['u1', 'KV/Range', span('k')],
  ['root', 'Auth/RoleDelete', { role: 'r1' }],
  ['u1', 'KV/Range', span('b')],
  ['u1', 'Auth/UserGet', { name: 'u1' }],
  ['root', 'Auth/UserChangePassword', { name: 'u1', password: 'new' }],
  // The token that it had is no more.
  ['u1', 'Auth/UserGet', { name: 'u1' }],
  ['root', 'Auth/UserDelete', { name: 'u2' }],
  ['u2', 'Auth/UserGet', { name: 'u2' }],
  ['root', 'Auth/UserDelete', { name: 'long' }],
  ['root', 'Auth/AuthDisable'],
  ['', 'Auth/AuthStatus'],
  ['', 'KV/Range', { ...span('k'), keys_only: true }],
  // A token is not asked for, so not looked at.
  ['!', 'KV/Range', { ...span('k'), count_only: true }],
  ['', 'Auth/UserDelete', { name: 'root' }],
  ['', 'Auth/AuthEnable'],
];

describeWith(['etcd37', 'kvorum'], 'users and roles, on kvorum and on etcd 3.7', () => {
  const ends: Array<() => Promise<void> | void> = [];
  afterAll(async () => {
    for (const end of ends) await end();
  });

  const answersOf = async (kind: 'etcd' | 'kvorum'): Promise<string[]> => {
    const server = await startServer(kind, {});
    const client = new RawClient(server);
    ends.push(
      () => client.close(),
      () => server.dispose(),
    );
    const tokens = new Map<string, string>([['!', 'abcdefghijklmnop.1']]);
    const answers: string[] = [];
    for (const [who, path, request = {}] of steps) {
      const metadata = new Metadata();
      if (who !== '') metadata.set('token', tokens.get(who) ?? (await login(client, tokens, who)));
      const [service = '', method = ''] = path.split('/');
      const answer = await client
        .unary<object>(`etcdserverpb.${service}`, method, request, { metadata, deadlineMs: 9000 })
        .catch(asFailure);
      answers.push(`${who} ${path} ${shown(request)}: ${shown(answer)}`);
    }
    return answers;
  };

  it('answer each step alike', { timeout: 120_000 }, async () => {
    const [ours, etcds] = [await answersOf('kvorum'), await answersOf('etcd')];
    expect(ours.length).toBeGreaterThan(100);
    expect(ours).toEqual(etcds);
  });
});

async function login(client: RawClient, tokens: Map<string, string>, name: string) {
  const request = { name, password: name === 'long' ? 'p'.repeat(72) : name };
  const { token } = await client.unary<{ readonly token: string }>(
    ...(['etcdserverpb.Auth', 'Authenticate', request] as const),
  );
  tokens.set(name, token);
  return token;
}

/** Without what is another at each server. */
function shown(answer: object): string {
  return JSON.stringify(answer, (key, value) => {
    if (['cluster_id', 'member_id', 'raft_term', 'token'].includes(key)) return undefined;
    return value?.type === 'Buffer' ? Buffer.from(value.data).toString('latin1') : value;
  });
}
