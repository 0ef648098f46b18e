/**
 * npm etcd3 (microsoft/etcd3), unmodified, against the server: keys, transactions, namespaces,
 * leases, locks, elections, and a watch that lives through a kill of the server.
 */

import { Etcd3, EtcdLeaseInvalidError, EtcdLockFailedError, type Watcher } from 'etcd3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../helpers/eventually.js';
import { useTarget } from '../helpers/server.js';
import { targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';

describeWith([targetTool], 'npm etcd3', () => {
  const server = useTarget();
  let etcd: Etcd3;
  beforeAll(() => {
    etcd = new Etcd3({ hosts: server().clientUrl });
  });
  afterAll(() => etcd.close());

  it('puts, gets, ranges and deletes', async () => {
    await etcd.put('kv/a').value('1');
    await etcd.put('kv/b').value('2');
    await etcd.put('kv/c').value('{"x":3}');
    expect(await etcd.get('kv/a').string()).toBe('1');
    expect(await etcd.get('kv/b').number()).toBe(2);
    expect(await etcd.get('kv/c').json()).toEqual({ x: 3 });
    expect(await etcd.get('kv/none')).toBeNull();
    expect(await etcd.get('kv/a').exists()).toBe(true);
    expect(await etcd.getAll().prefix('kv/').strings()).toEqual({
      'kv/a': '1',
      'kv/b': '2',
      'kv/c': '{"x":3}',
    });
    expect(await etcd.getAll().prefix('kv/').sort('Key', 'Descend').limit(2).keys()).toEqual([
      'kv/c',
      'kv/b',
    ]);
    expect(await etcd.getAll().prefix('kv/').count()).toBe(3);
    const old = await etcd.put('kv/a').value('9').getPrevious();
    expect(old?.value.toString()).toBe('1');
    expect((await etcd.delete().prefix('kv/').exec()).deleted).toBe('3');
  });

  it('runs then and else of a transaction', async () => {
    const create = () =>
      etcd
        .if('tx/a', 'Create', '==', 0)
        .then(etcd.put('tx/a').value('made'))
        .else(etcd.get('tx/a'))
        .commit();
    expect((await create()).succeeded).toBe(true);
    const second = await create();
    expect(second.succeeded).toBe(false);
    expect(second.responses[0]?.response_range?.kvs[0]?.value.toString()).toBe('made');
    const byValue = await etcd
      .if('tx/a', 'Value', '==', 'made')
      .and('tx/a', 'Version', '==', 1)
      .then(etcd.delete().key('tx/a'))
      .commit();
    expect(byValue.succeeded).toBe(true);
    expect(await etcd.get('tx/a')).toBeNull();
  });

  it('runs its software transactions with retries under contention', async () => {
    await etcd.put('stm').value(0);
    const add = () =>
      etcd.stm({ retries: 50 }).transact(async (tx) => {
        const now = await tx.get('stm').number();
        await tx.put('stm').value((now ?? 0) + 1);
      });
    await Promise.all(Array.from({ length: 5 }, add));
    expect(await etcd.get('stm').number()).toBe(5);
  });

  it('keeps namespaces apart', async () => {
    const one = etcd.namespace('ns1/');
    const two = one.namespace('ns2/');
    await one.put('k').value('1');
    await two.put('k').value('2');
    expect(await etcd.getAll().prefix('ns1/').strings()).toEqual({
      'ns1/k': '1',
      'ns1/ns2/k': '2',
    });
    expect(await two.getAll().strings()).toEqual({ k: '2' });
    const watcher = await two.watch().prefix('').create();
    const seen = events(watcher);
    await two.put('k').value('3');
    await eventually(() => seen.length === 1 || undefined, 'an event in the namespace');
    expect(seen).toEqual(['put k=3']);
    await watcher.cancel();
  });

  it('keeps a lease alive beyond its time, and lets it expire when told to', async () => {
    const lease = etcd.lease(1);
    await lease.put('lease/a').value('x');
    let renewed = 0;
    lease.on('keepaliveSucceeded', () => renewed++);
    await lease.grant();
    // A lease of one second (two after the minimum) lives on as long as it is renewed.
    await eventually(() => renewed >= 4 || undefined, 'four renewals');
    expect(await etcd.get('lease/a').string()).toBe('x');
    lease.release();
    await eventually(
      async () => ((await etcd.get('lease/a').exists()) ? undefined : true),
      'the key of a released lease expires',
    );
    const kept = etcd.lease(600);
    const id = await kept.grant();
    await kept.put('lease/b').value('y');
    const told = await etcd.leaseClient.leaseTimeToLive({ ID: id, keys: true });
    expect(told.keys.map(String)).toEqual(['lease/b']);
    await kept.revoke();
    expect(await etcd.get('lease/b')).toBeNull();
  });

  it('tells the owner of a revoked lease that it is lost', async () => {
    const lease = etcd.lease(2);
    const id = await lease.grant();
    const lost = new Promise<Error>((resolve) => lease.on('lost', resolve));
    await etcd.leaseClient.leaseRevoke({ ID: id });
    expect(await lost).toBeInstanceOf(EtcdLeaseInvalidError);
  });

  it('locks exclude each other', async () => {
    const lock = await etcd.lock('mutex').ttl(5).acquire();
    await expect(etcd.lock('mutex').acquire()).rejects.toThrow(EtcdLockFailedError);
    await lock.release();
    expect(await etcd.lock('mutex').do(() => 'inside')).toBe('inside');
  });

  it('elections: one leader at a time, observers see the change', async () => {
    const election = etcd.election('office', 5);
    const first = election.campaign('one');
    await first.wait();
    const second = election.campaign('two');
    const observer = await election.observe();
    expect(observer.leader()).toBe('one');
    const changes: (string | undefined)[] = [];
    observer.on('change', (leader) => changes.push(leader));
    await first.proclaim('one again');
    await eventually(() => changes.includes('one again') || undefined, 'the proclamation');
    await first.resign();
    await second.wait();
    await eventually(() => changes.includes('two') || undefined, 'the change of leaders');
    expect(await election.leader()).toBe('two');
    await second.resign();
    await observer.cancel();
  });

  describe('with the server killed in between', () => {
    it('a watch sees every change once, in order', async () => {
      const watcher = await etcd.watch().prefix('re/').create();
      const seen = events(watcher);
      await etcd.put('re/a').value('before');
      await eventually(() => seen.length === 1 || undefined, 'the first event');
      await server().killAndRestart();
      await eventually(async () => {
        await etcd.put('re/b').value('after');
        return true;
      }, 'the client finds the restarted server');
      await eventually(() => seen.some((e) => e.includes('after')) || undefined, 'an event after');
      await etcd.delete().key('re/a').exec();
      await eventually(() => seen.includes('delete re/a') || undefined, 'the last event');
      // A put may have been tried twice; nothing else may be repeated, lost or out of order.
      expect([...new Set(seen)]).toEqual(['put re/a=before', 'put re/b=after', 'delete re/a']);
      expect(seen.filter((e) => e.startsWith('put re/a'))).toHaveLength(1);
      await watcher.cancel();
    });
  });
});

/** A growing list of what the watcher saw. */
function events(watcher: Watcher): string[] {
  const seen: string[] = [];
  watcher.on('put', (kv) => seen.push(`put ${kv.key}=${kv.value}`));
  watcher.on('delete', (kv) => seen.push(`delete ${kv.key}`));
  watcher.on('error', (error) => seen.push(`error ${error.message}`));
  return seen;
}
