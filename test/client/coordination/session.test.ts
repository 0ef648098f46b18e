import { describe, expect, it } from 'vitest';
import { Etcd, mutex, openSession, type Session } from '../../../src/client/index.js';
import { startNode } from '../../../src/testing/index.js';
import { startProxy } from '../proxy.js';
import { describeTargets } from '../target.js';

function over(session: Session): Promise<unknown> {
  return new Promise((resolve) => {
    if (session.signal.aborted) resolve(session.signal.reason);
    else session.signal.addEventListener('abort', () => resolve(session.signal.reason));
  });
}

describeTargets('session', {}, (target) => {
  it('is a lease, shared by many things, revoked with all of them', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const session = await openSession(client, { ttlSeconds: 20 });
    const a = await mutex(kv, 'a').acquire(session);
    const b = await mutex(kv, 'b').acquire(session);
    await kv.put('c', 'x', { lease: session });
    expect([a.owned, b.owned, session.state, session.ttlSeconds]).toEqual([
      true,
      true,
      'alive',
      20,
    ]);
    expect(session.remainingMs()).toBeGreaterThan(10_000);
    await session.close();
    expect(await kv.count({ all: true })).toBe(0);
    expect(await client.leases.list()).not.toContain(session.id);
    expect([a.owned, b.owned, session.state]).toEqual([false, false, 'closed']);
    expect(session.signal.reason).toMatchObject({ reason: 'CLOSED' });
    expect(a.signal.reason).toMatchObject({ reason: 'CLOSED' });
    await a.release();
    await session.close();
  });

  it('is over when somebody revokes its lease, and says so once', async () => {
    const client = target.client();
    const told: string[] = [];
    const session = await openSession(client, {
      ttlSeconds: 30,
      intervalMs: 50,
      onLost: (error) => told.push(error.reason),
    });
    const held = await mutex(client.kv, target.prefix()).acquire(session);
    await target.client().leases.revoke(session.id);
    expect(await over(session)).toMatchObject({ reason: 'LEASE_LOST' });
    expect(held.owned).toBe(false);
    expect(held.signal.aborted).toBe(true);
    await held.release();
    await session.close();
    expect(told).toEqual(['LEASE_LOST']);
  });

  it('is over with its client, which it does not keep busy', async () => {
    const client = target.client();
    const session = await openSession(client, { ttlSeconds: 30 });
    await client.close();
    expect(session.signal.reason).toMatchObject({ reason: 'CLOSED' });
    expect(session.state).toBe('closed');
    await session.close();
    await target.client().leases.revoke(session.id);
  });

  it('is not opened by a signal that has aborted, and leaves no lease', async () => {
    const client = target.client();
    const before = await client.leases.list();
    const opening = openSession(client, { signal: AbortSignal.abort() });
    await expect(opening).rejects.toMatchObject({ reason: 'ABORTED' });
    expect(await client.leases.list()).toEqual(before);
  });

  it('the signal it was opened with does not end it', async () => {
    const client = target.client();
    const opening = new AbortController();
    await using session = await openSession(client, { ttlSeconds: 30, signal: opening.signal });
    opening.abort();
    await mutex(client.kv, target.prefix()).acquire(session);
    expect(session.state).toBe('alive');
  });

  it('warns before it is lost, and is lost before the server has expired it', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint });
    const direct = target.client();
    const kv = direct.kv.namespace(target.prefix());
    const steps: string[] = [];
    const session = await openSession(client, {
      ttlSeconds: 3,
      onWarning: (remainingMs) => steps.push(remainingMs > 0 ? 'warning' : 'too late'),
      onLost: () => steps.push('lost'),
    });
    await kv.put('alive', '1', { lease: session.id });
    await using expiry = kv.watch({ key: 'alive' }, { only: 'delete' });
    await expiry.ready;
    const expired = expiry.next().then(() => void steps.push('expired'));
    steps.length = 0; // a machine that stood still has warned before
    proxy.dropReplies();
    proxy.dropRequests();
    await over(session);
    await expired;
    expect(steps).toEqual(['warning', 'lost', 'expired']);
    await proxy[Symbol.asyncDispose]();
  });
});

describe('session', () => {
  it('that was not closed does not keep a closed client busy', async () => {
    const node = await startNode();
    const client = new Etcd(node.endpoint);
    const session = await openSession(client, { ttlSeconds: 30 });
    const held = await mutex(client.kv, 'm').acquire(session);
    expect(held.signal.aborted).toBe(false);
    await client.close();
    expect(held.signal.aborted).toBe(true);
    await node.stop();
  });
});
