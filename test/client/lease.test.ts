import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Etcd, type LeaseHandle, text } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { startProxy } from './proxy.js';
import { describeTargets, everywhere } from './target.js';

/** Resolves when the lease is lost, with the reason. */
function lost(lease: LeaseHandle): Promise<unknown> {
  return new Promise((resolve) => {
    if (lease.signal.aborted) resolve(lease.signal.reason);
    else lease.signal.addEventListener('abort', () => resolve(lease.signal.reason));
  });
}

describeTargets('lease', { targets: everywhere }, (target) => {
  it('is granted, seen, renewed and revoked', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const lease = await client.leases.grant(30, { id: 0x1234n });
    expect(lease).toMatchObject({ id: 0x1234n, ttlSeconds: 30 });
    await kv.put('a', '1', { lease });
    const seen = await client.leases.timeToLive(lease.id, { keys: true });
    expect(seen.keys.map(String)).toEqual([`${kv.prefix}a`]);
    expect(seen.grantedTtlSeconds).toBe(30);
    await eventually(
      () => client.leases.list().then((ids) => ids.includes(0x1234n) || undefined),
      'the lease is listed',
    );
    expect(await client.leases.keepAliveOnce(lease.id)).toEqual({ ttlSeconds: 30 });
    await expect(client.leases.grant(30, { id: 0x1234n })).rejects.toMatchObject({
      reason: 'LEASE_EXISTS',
      outcome: 'failed',
    });
    await client.leases.revoke(lease.id);
    expect(await kv.exists('a')).toBe(false);
    expect((await client.leases.timeToLive(lease.id)).ttlSeconds).toBe(-1);
    await expect(client.leases.revoke(lease.id)).rejects.toMatchObject({
      reason: 'LEASE_NOT_FOUND',
    });
    await expect(client.leases.keepAliveOnce(lease.id)).rejects.toMatchObject({
      reason: 'LEASE_NOT_FOUND',
    });
  });

  it('keeps ids of 64 bits exact', async () => {
    const client = target.client();
    const id = 0x7fff_ffff_ffff_fff1n;
    await client.leases.grant(30, { id });
    // Each member lists what it knows.
    const listed = () => client.leases.list().then((ids) => ids.includes(id) || undefined);
    await eventually(listed, 'the lease is listed');
    await client.leases.revoke(id);
  });

  it('is kept alive beyond its TTL', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    // Long enough for a machine that stands still now and then.
    const lease = await client.leases.create(4, { intervalMs: 100 });
    await kv.put('a', '1', { lease });
    await sleep(5500);
    expect(lease.state).toBe('alive');
    expect(lease.remainingMs()).toBeGreaterThan(0);
    expect(await kv.exists('a')).toBe(true);
    await lease.renew();
    await lease.revoke();
    expect(lease.state).toBe('stopped');
    expect(lease.signal.aborted).toBe(false);
    expect(await kv.exists('a')).toBe(false);
    await lease.revoke();
  });

  it('is revoked at the end of its scope', async () => {
    const client = target.client();
    let id = 0n;
    {
      await using lease = await client.leases.create(30);
      id = lease.id;
      expect((await client.leases.timeToLive(id)).ttlSeconds).toBeGreaterThan(0);
    }
    expect((await client.leases.timeToLive(id)).ttlSeconds).toBe(-1);
  });

  it('many are kept over one stream', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint });
    const leases = await Promise.all(
      Array.from({ length: 50 }, () => client.leases.create(30, { intervalMs: 50 })),
    );
    await Promise.all(leases.map((lease) => lease.renew()));
    expect(proxy.accepted).toBe(1);
    await Promise.all(leases.map((lease) => lease.revoke()));
    await proxy[Symbol.asyncDispose]();
  });

  it('"lost leases not detected" (etcd3#13): one that was revoked by another is lost', async () => {
    const client = target.client();
    const told: string[] = [];
    const lease = await client.leases.create(30, {
      intervalMs: 50,
      onLost: (error) => told.push(error.reason),
    });
    await target.client().leases.revoke(lease.id);
    expect(await lost(lease)).toMatchObject({ reason: 'LEASE_LOST' });
    expect(told).toEqual(['LEASE_LOST']);
    expect(lease.state).toBe('lost');
    expect(lease.remainingMs()).toBe(0);
    await expect(lease.renew()).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    // What is gone need not be revoked.
    await lease.revoke();
  });

  it('"lost before revoked" (etcd3#52): revoking is not a loss', async () => {
    const client = target.client();
    let told = 0;
    const lease = await client.leases.create(30, { intervalMs: 20, onLost: () => (told += 1) });
    await lease.revoke();
    await sleep(100);
    expect(told).toBe(0);
    expect(lease.signal.aborted).toBe(false);
  });

  it('"endless lease not found" (etcd3#50): asks no more once it is lost', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint, keepalive: false });
    const lease = await client.leases.create(30, { intervalMs: 20 });
    await target.client().leases.revoke(lease.id);
    await lost(lease);
    // Asking every 20 ms it would never be silent for so long.
    await eventually(async () => {
      const { sentBytes } = proxy;
      await sleep(500);
      return proxy.sentBytes === sentBytes || undefined;
    }, 'silence');
    await proxy[Symbol.asyncDispose]();
  });

  it('"keepalive goes silent" (etcd3#110): warns, and is lost before the server expires it', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const prefix = target.prefix();
    const client = target.client({ endpoints: proxy.endpoint });
    const other = target.client();
    const events: string[] = [];
    const lease = await client.leases.create(3, {
      intervalMs: 100,
      onWarning: () => events.push('warning'),
      onRecovered: () => events.push('recovered'),
      onLost: () => events.push('lost'),
    });
    await client.kv.namespace(prefix).put('a', '1', { lease });
    await using expiry = other.kv.namespace(prefix).watch({ key: 'a' }, { only: 'delete' });
    await expiry.ready;
    const expired = expiry.next().then(() => void events.push('expired'));
    events.length = 0; // a machine that stood still has warned before
    proxy.dropRequests();
    await lost(lease);
    await expired;
    // Nobody else has seen it expire before.
    expect(events).toEqual(['warning', 'lost', 'expired']);
    await proxy[Symbol.asyncDispose]();
  });

  it('recovers from a cut connection with time to spare', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint });
    const events: string[] = [];
    const lease = await client.leases.create(30, {
      intervalMs: 100,
      warnAfter: 0.05,
      onWarning: () => events.push('warning'),
      onRecovered: () => events.push('recovered'),
      onLost: () => events.push('lost'),
    });
    await lease.renew();
    events.length = 0;
    await proxy.refuse();
    await eventually(() => (lease.state === 'warning' ? true : undefined), 'warning');
    await proxy.accept();
    await eventually(() => (lease.state === 'alive' ? true : undefined), 'alive again');
    expect(events.slice(0, 2)).toEqual(['warning', 'recovered']);
    expect(events).not.toContain('lost');
    await lease.revoke();
    await proxy[Symbol.asyncDispose]();
  });

  it('is asked for elsewhere when the server hangs', async () => {
    const endpoint = target.server().endpoints[0] ?? '';
    const hanging = await startProxy(endpoint);
    const good = await startProxy(endpoint);
    const client = target.client({ endpoints: [hanging.endpoint, good.endpoint] });
    await client.connect();
    await eventually(() => (hanging.open + good.open === 2 ? true : undefined), 'both connected');
    const lease = await client.leases.create(10, { intervalMs: 100 });
    await lease.renew();
    hanging.pause();
    // What was under way at the pause may still have been answered: renewals a second later not.
    const endMs = () => performance.now() + lease.remainingMs();
    const [pausedEndMs, pausedMs] = [endMs(), performance.now()];
    await eventually(
      () => (endMs() > pausedEndMs + 1000 && performance.now() > pausedMs + 1000) || undefined,
      'a renewal by the other',
    );
    expect(lease.signal.aborted).toBe(false);
    hanging.resume();
    await lease.revoke();
    await Promise.all([hanging, good].map((proxy) => proxy[Symbol.asyncDispose]()));
  });

  it('stops with its signal and with its client, without loss', async () => {
    const client = target.client();
    const abort = new AbortController();
    const first = await client.leases.create(30, { signal: abort.signal });
    const second = await client.leases.create(30);
    abort.abort();
    expect(first.state).toBe('stopped');
    await client.close();
    expect(second.state).toBe('stopped');
    expect(second.signal.aborted).toBe(false);
    const other = target.client();
    for (const { id } of [first, second]) await other.leases.revoke(id);
  });
});

describe('a lease on a clock of the test', () => {
  it('is lost a margin before the TTL after the request was sent, whatever the timers do', async () => {
    let nowMs = 1000;
    const clock = {
      nowMs: () => nowMs,
      wallMs: () => nowMs,
      after: () => ({ cancel: () => undefined }),
      afterTurn: (fire: () => void) => void setImmediate(fire),
    };
    const client = new Etcd({ endpoints: '127.0.0.1:1', runtime: { clock } });
    const lease = client.leases.keepAlive({ id: 7n, ttlSeconds: 5, sentMs: 500 }, {});
    // Half a second has passed already, and a tenth of the TTL is the margin.
    expect(lease.remainingMs()).toBe(4000);
    nowMs += 3999;
    expect(lease.state).toBe('alive');
    nowMs += 1;
    expect(lease.state).toBe('lost');
    expect(lease.signal.reason).toMatchObject({ reason: 'LEASE_LOST' });
    await client.close();
  });
});
