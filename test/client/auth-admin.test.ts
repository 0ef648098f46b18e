/** Administration of users, roles and permissions, and what the server says to mistakes. */

import { beforeAll, expect, it } from 'vitest';
import type { GrantedPermission, KeyRange } from '../../src/client/index.js';
import { authTargets, enableAuth, root } from './auth-target.js';
import { describeTargets } from './target.js';

describeTargets('auth administration, switched off', { targets: authTargets }, (target) => {
  it('can only be switched on with a root that has the role root', async () => {
    const { auth } = target.client();
    expect(await auth.status()).toMatchObject({ enabled: false });
    await expect(auth.enable()).rejects.toMatchObject({
      reason: 'ROOT_USER_NOT_EXIST',
      code: 'FAILED_PRECONDITION',
      outcome: 'failed',
    });
    await auth.addUser('root', 'secret');
    await expect(auth.enable()).rejects.toMatchObject({ reason: 'ROOT_ROLE_NOT_EXIST' });
    await auth.grantRole('root', 'root');
    await auth.enable();
    await expect(auth.users()).rejects.toMatchObject({ reason: 'USER_EMPTY' });
    const on = target.client({ credentials: root });
    const { enabled, authRevision } = await on.auth.status();
    expect(enabled).toBe(true);
    await on.auth.addRole('any');
    expect((await on.auth.status()).authRevision).toBe(authRevision + 1);
    await on.auth.disable();
    expect(await auth.status()).toMatchObject({ enabled: false });
  });
});

describeTargets('auth administration', { targets: authTargets }, (target) => {
  beforeAll(() => enableAuth({ endpoints: target.server().endpoints }));
  const admin = () => target.client({ credentials: root }).auth;

  it('administers users, roles and permissions', async () => {
    const auth = admin();
    expect(await auth.users()).toEqual(['alice', 'root']);
    expect(await auth.user('alice')).toEqual(['app']);
    expect(await auth.roles()).toEqual(['app', 'root']);
    expect(await auth.role('app')).toEqual([
      {
        kind: 'readwrite',
        range: { prefix: 'app/' },
        key: Buffer.from('app/'),
        rangeEnd: Buffer.from('app0'),
      },
    ]);
    expect((await auth.role('root')).map(({ range }) => range)).toEqual([{ all: true }]);
    await auth.addUser('bob', 'x');
    await auth.changePassword('bob', 'y');
    await auth.addRole('r');
    await auth.grantPermission('r', { kind: 'read', range: { key: 'k' } });
    await auth.grantRole('bob', 'r');
    await auth.grantRole('bob', 'r'); // no change, no error
    const bob = target.client({ credentials: { user: 'bob', password: 'y' } });
    expect(await bob.kv.get('k')).toBeUndefined();
    await expect(bob.kv.put('k', '1')).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    expect(await bob.auth.user('bob')).toEqual(['r']);
    expect(await bob.auth.role('r')).toHaveLength(1);
    await expect(bob.auth.users()).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    await expect(bob.auth.addRole('x')).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    await auth.grantPermission('r', { kind: 'readwrite', range: { key: 'k' } });
    expect((await auth.role('r')).map(({ kind }) => kind)).toEqual(['readwrite']);
    await bob.kv.put('k', '1');
    await auth.revokePermission('r', { key: 'k' });
    await expect(bob.kv.get('k')).rejects.toMatchObject({ reason: 'PERMISSION_DENIED' });
    await auth.revokeRole('bob', 'r');
    await auth.deleteRole('r');
    await auth.deleteUser('bob');
    expect(await auth.users()).toEqual(['alice', 'root']);
  });

  const high = Buffer.from([0xff, 0xfe]);
  const ranges: ReadonlyArray<readonly [string, KeyRange]> = [
    ['a key', { key: 'k' }],
    ['a key of bytes', { key: high }],
    ['a prefix', { prefix: 'p/' }],
    ['a prefix of bytes', { prefix: Buffer.from([0x61, 0xff]) }],
    ['a range', { from: 'a', to: 'c' }],
    ['a range of bytes', { from: 'a', to: high }],
    ['a range without end', { from: 'x' }],
    ['all keys', { all: true }],
    ['text', { prefix: 'grüße/' }],
  ];
  it.each(ranges)('grants, tells and takes back %s', async (_, range) => {
    const auth = admin();
    await auth.addRole('ranges');
    try {
      await auth.grantPermission('ranges', { kind: 'write', range });
      const [granted, ...others] = await auth.role('ranges');
      expect(others).toEqual([]);
      expect(granted).toMatchObject({ kind: 'write', range });
      await auth.addRole('copy');
      await auth.grantPermission('copy', granted as GrantedPermission);
      expect(await auth.role('copy')).toEqual([granted]);
      await auth.revokePermission('copy', (granted as GrantedPermission).range);
      expect(await auth.role('copy')).toEqual([]);
      await auth.deleteRole('copy');
      await auth.revokePermission('ranges', range);
    } finally {
      await auth.deleteRole('ranges');
    }
  });

  it('a user without a password is let in by certificate only', async () => {
    const auth = admin();
    await auth.addUser('cert', undefined);
    const client = target.client({ credentials: { user: 'cert', password: '' } });
    await expect(client.kv.get('a')).rejects.toMatchObject({ reason: 'NO_PASSWORD_USER' });
    await auth.deleteUser('cert');
  });

  it('mistakes are told by what they are', async () => {
    const auth = admin();
    const mistakes: ReadonlyArray<readonly [() => Promise<unknown>, string]> = [
      [() => auth.user('nobody'), 'USER_NOT_FOUND'],
      [() => auth.deleteUser('nobody'), 'USER_NOT_FOUND'],
      [() => auth.changePassword('nobody', 'x'), 'USER_NOT_FOUND'],
      [() => auth.addUser('alice', 'z'), 'USER_EXISTS'],
      [() => auth.addUser('', 'z'), 'USER_EMPTY'],
      [() => auth.role('none'), 'ROLE_NOT_FOUND'],
      [() => auth.deleteRole('none'), 'ROLE_NOT_FOUND'],
      [() => auth.addRole('app'), 'ROLE_EXISTS'],
      [() => auth.addRole(''), 'ROLE_EMPTY'],
      [() => auth.grantRole('alice', 'none'), 'ROLE_NOT_FOUND'],
      [() => auth.grantRole('nobody', 'app'), 'USER_NOT_FOUND'],
      [() => auth.revokeRole('alice', 'root'), 'ROLE_NOT_GRANTED'],
      [() => auth.revokePermission('app', { key: 'app/' }), 'PERMISSION_NOT_GRANTED'],
      [() => auth.grantPermission('none', { kind: 'read', range: { key: 'k' } }), 'ROLE_NOT_FOUND'],
      [
        () => auth.grantPermission('app', { kind: 'read', range: { from: 'b', to: 'a' } }),
        'INVALID_AUTH_MANAGEMENT',
      ],
      [() => auth.deleteUser('root'), 'INVALID_AUTH_MANAGEMENT'],
      [() => auth.deleteRole('root'), 'INVALID_AUTH_MANAGEMENT'],
      [() => auth.revokeRole('root', 'root'), 'INVALID_AUTH_MANAGEMENT'],
    ];
    for (const [call, reason] of mistakes) {
      await expect(call(), reason).rejects.toMatchObject({
        name: 'EtcdClientError',
        reason,
        outcome: 'failed',
      });
    }
  });

  it('many changes at once', async () => {
    const auth = admin();
    const names = Array.from({ length: 20 }, (_, i) => `many${i}`);
    await Promise.all(
      names.map(async (name) => {
        await auth.addUser(name, undefined);
        await auth.grantRole(name, 'app');
      }),
    );
    expect(await auth.users()).toEqual(expect.arrayContaining(names));
    await Promise.all(names.map((name) => auth.deleteUser(name)));
  });
});
