/**
 * npm etcd3 (microsoft/etcd3), unmodified, as a user with a password: it makes users, roles and
 * grants, and then does as a user what it does without: keys, transactions, watches, leases, locks
 * and elections, also after its token has ended.
 */

import {
  Etcd3,
  EtcdAuthenticationFailedError,
  EtcdLockFailedError,
  EtcdPermissionDeniedError,
  EtcdRoleExistsError,
  EtcdRoleNotFoundError,
  EtcdUserExistsError,
  EtcdUserNotFoundError,
  type IOptions,
  Range,
} from 'etcd3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';

const root = { username: 'root', password: 'secret' };
const alice = { username: 'alice', password: 'wonder' };

describeWith([targetTool], 'npm etcd3 with users', () => {
  const server = useTarget();
  const clients: Etcd3[] = [];
  const clientOf = (auth?: IOptions['auth']): Etcd3 => {
    const client = new Etcd3({
      hosts: server().clientUrl,
      ...(auth === undefined ? {} : { auth }),
    });
    clients.push(client);
    return client;
  };

  beforeAll(async () => {
    const etcd = clientOf();
    await etcd.user('root').create('secret');
    await etcd.role('root').create();
    await etcd.user('root').addRole('root');
    const app = await etcd.role('app').create();
    await app.grant({ permission: 'Readwrite', range: Range.prefix('app/') });
    await etcd.user('alice').create('wonder');
    await etcd.user('alice').addRole('app');
    await etcd.auth.authEnable();
  });
  afterAll(() => {
    for (const client of clients) client.close();
  });

  it('who has no token, or the wrong password, is refused', async () => {
    await expect(clientOf().put('app/a').value('1')).rejects.toThrow('user name is empty');
    for (const auth of [
      { username: 'alice', password: 'no' },
      { username: 'nobody', password: 'no' },
    ]) {
      await expect(clientOf(auth).get('app/a')).rejects.toThrow(EtcdAuthenticationFailedError);
    }
  });

  it('keys and transactions, where they are permitted', async () => {
    const etcd = clientOf(alice);
    await etcd.put('app/a').value('1');
    expect(await etcd.get('app/a').string()).toBe('1');
    expect(await etcd.getAll().prefix('app/').strings()).toMatchObject({ 'app/a': '1' });
    const done = await etcd
      .if('app/a', 'Value', '==', '1')
      .then(etcd.put('app/a').value('2'))
      .commit();
    expect(done.succeeded).toBe(true);
    for (const call of [
      () => etcd.put('other').value('1'),
      () => etcd.get('other'),
      () => etcd.getAll().prefix(''),
      () => etcd.delete().key('other'),
      () => etcd.if('other', 'Version', '==', 0).then(etcd.put('app/a').value('3')).commit(),
      () => etcd.if('app/a', 'Version', '==', 0).then(etcd.put('other').value('3')).commit(),
      () => etcd.getUsers(),
      () => etcd.role('mine').create(),
    ]) {
      await expect(async () => call()).rejects.toThrow(EtcdPermissionDeniedError);
    }
    expect(await etcd.get('app/a').string()).toBe('2');
  });

  it('watches', async () => {
    const etcd = clientOf(alice);
    const watcher = await etcd.watch().prefix('app/w').create();
    const seen: string[] = [];
    watcher.on('put', (kv) => seen.push(`${kv.key}=${kv.value}`));
    await etcd.put('app/w').value('1');
    await eventually(() => seen.length === 1 || undefined, 'an event');
    expect(seen).toEqual(['app/w=1']);
    await watcher.cancel();
  });

  it('leases, locks and elections', async () => {
    const etcd = clientOf(alice);
    const lease = etcd.lease(60);
    await lease.put('app/l').value('1');
    await lease.keepaliveOnce();
    await lease.revoke();
    expect(await etcd.get('app/l')).toBeNull();
    const own = etcd.namespace('app/');
    const lock = await own.lock('mutex').ttl(10).acquire();
    await expect(own.lock('mutex').acquire()).rejects.toThrow(EtcdLockFailedError);
    await lock.release();
    await expect(etcd.lock('mutex').acquire()).rejects.toThrow(EtcdPermissionDeniedError);
    const campaign = own.election('office', 10).campaign('me');
    await campaign.wait();
    expect(await own.election('office', 10).leader()).toBe('me');
    await campaign.resign();
  });

  it('a token that has ended is replaced', async () => {
    const etcd = clientOf(alice);
    await etcd.put('app/t').value('1');
    await clientOf(root).user('alice').setPassword('wonder');
    await etcd.put('app/t').value('2');
    expect(await etcd.get('app/t').string()).toBe('2');
    const bare = clientOf(alice);
    await bare.get('app/t');
    await clientOf(root).user('alice').setPassword('changed');
    await expect(bare.get('app/t')).rejects.toThrow(EtcdAuthenticationFailedError);
    await clientOf(root).user('alice').setPassword('wonder');
  });

  it('administration, and what is said to mistakes', async () => {
    const etcd = clientOf(root);
    expect((await etcd.getUsers()).map(({ name }) => name)).toEqual(['alice', 'root']);
    expect((await etcd.getRoles()).map(({ name }) => name)).toEqual(['app', 'root']);
    expect((await etcd.user('alice').roles()).map(({ name }) => name)).toEqual(['app']);
    const role = await etcd.role('more').create();
    await role.grant([
      { permission: 'Read', key: 'k' },
      { permission: 'Write', range: Range.prefix('p/') },
    ]);
    const told = (await role.permissions()).map(({ permission, range }) => [
      permission,
      range.start.toString(),
      range.end.toString(),
    ]);
    expect(told).toEqual([
      ['Read', 'k', ''],
      ['Write', 'p/', 'p0'],
    ]);
    await role.revoke({ permission: 'Read', key: 'k' });
    expect(await role.permissions()).toHaveLength(1);
    await role.addUser('alice');
    await clientOf(alice).put('p/a').value('1');
    await role.removeUser('alice');
    await expect(async () => clientOf(alice).put('p/a').value('2')).rejects.toThrow(
      EtcdPermissionDeniedError,
    );
    await expect(etcd.role('more').create()).rejects.toThrow(EtcdRoleExistsError);
    await expect(etcd.user('alice').create('x')).rejects.toThrow(EtcdUserExistsError);
    await expect(etcd.user('nobody').delete()).rejects.toThrow(EtcdUserNotFoundError);
    await role.delete();
    await expect(etcd.role('more').permissions()).rejects.toThrow(EtcdRoleNotFoundError);
  });

  it('the server restarts: users stay, a new token is asked for', async () => {
    const etcd = clientOf(alice);
    await etcd.put('app/r').value('1');
    await server().killAndRestart();
    await eventually(async () => {
      await etcd.put('app/r').value('2');
      return true;
    }, 'a put after the restart');
    await expect(clientOf().get('app/r')).rejects.toThrow('user name is empty');
  });
});
