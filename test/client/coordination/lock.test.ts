import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { nodeClock } from '../../../src/client/connection/runtime-node.js';
import {
  mutex,
  openSession,
  readWriteLock,
  type Session,
  semaphore,
  text,
} from '../../../src/client/index.js';
import { eventually } from '../../helpers/eventually.js';
import { startProxy } from '../proxy.js';
import { describeTargets, everywhere } from '../target.js';

/** Lets what can happen without the server happen. */

describeTargets('mutex', { targets: everywhere }, (target) => {
  it('excludes other sessions, and hands over in the order of asking', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const lock = mutex(kv, 'job');
    const order: number[] = [];
    let inside = 0;
    const sessions = await Promise.all([1, 2, 3, 4].map(() => openSession(client)));
    const first = await lock.acquire(sessions[0] as (typeof sessions)[0]);
    const fences = [first.fencingRevision];
    const waiting: Promise<void>[] = [];
    for (const [i, session] of sessions.slice(1).entries()) {
      waiting.push(
        (async () => {
          await using held = await lock.acquire(session);
          inside += 1;
          expect(inside).toBe(1);
          order.push(i);
          fences.push(held.fencingRevision);
          await kv.put('seen', String(i));
          inside -= 1;
        })(),
      );
      await eventually(
        async () => (await kv.count({ prefix: 'job/' })) === i + 2 || undefined,
        'queued',
      );
    }
    expect(await lock.tryAcquire(sessions[1] as (typeof sessions)[0])).toBeUndefined();
    expect((await lock.holder())?.fencingRevision).toBe(first.fencingRevision);
    await first.release();
    await Promise.all(waiting);
    expect(order).toEqual([0, 1, 2]);
    expect(fences).toEqual([...fences].sort((a, b) => a - b));
    expect(new Set(fences).size).toBe(4);
    expect(await lock.holder()).toBeUndefined();
    for (const session of sessions) await session.close();
  });

  it('excludes two tasks of one session', async () => {
    const client = target.client();
    await using session = await openSession(client);
    const lock = mutex(client.kv.namespace(target.prefix()), 'job');
    const first = await lock.acquire(session);
    expect(await lock.tryAcquire(session)).toBeUndefined();
    let granted = false;
    const second = lock.acquire(session).then((held) => {
      granted = true;
      return held;
    });
    await turn();
    expect(granted).toBe(false);
    await first.release();
    await using held = await second;
    expect(held.fencingRevision).toBeGreaterThan(first.fencingRevision);
    expect([first.owned, held.owned]).toEqual([false, true]);
  });

  it('whoever gives up waiting leaves nothing behind', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const lock = mutex(kv, 'job');
    await using one = await openSession(client);
    await using two = await openSession(client);
    await using held = await lock.acquire(one);
    await expect(lock.acquire(two, { timeoutMs: 50 })).rejects.toMatchObject({
      reason: 'CALL_TIMEOUT',
    });
    const abort = new AbortController();
    const waiting = lock.acquire(two, { signal: abort.signal });
    abort.abort();
    await expect(waiting).rejects.toMatchObject({ reason: 'ABORTED' });
    const alone = async () => ((await kv.count({ all: true })) === 1 ? true : undefined);
    await eventually(alone, 'only the holder is left');
    expect(held.owned).toBe(true);
    // And may come again.
    expect(await lock.tryAcquire(two)).toBeUndefined();
    await held.release();
    const later = await lock.tryAcquire(two);
    expect(later?.owned).toBe(true);
    await later?.release();
  });

  it('is not granted to a session that was over while it waited (L-21)', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const lock = mutex(kv, 'job');
    await using one = await openSession(client);
    const held = await lock.acquire(one);
    // Its client sees nothing of the world for longer than the TTL, while the lock becomes free.
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const cutOff = target.client({ endpoints: proxy.endpoint });
    const two = await openSession(cutOff, { ttlSeconds: 2 });
    const waiting = lockOf(cutOff, kv.prefix).acquire(two);
    waiting.catch(() => undefined);
    await eventually(async () => ((await kv.count({ all: true })) === 2 ? true : undefined), 'two');
    proxy.pause();
    await eventually(async () => ((await kv.count({ all: true })) === 1 ? true : undefined), 'one');
    await held.release();
    proxy.resume();
    await expect(waiting).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    expect(two.state).toBe('lost');
    await expect(lockOf(cutOff, kv.prefix).acquire(two)).rejects.toMatchObject({
      reason: 'LEASE_LOST',
    });
    expect(await kv.count({ all: true })).toBe(0);
    await proxy[Symbol.asyncDispose]();
  });

  it('is not granted after a standstill, even before any timer could tell (L-21)', async () => {
    let standstillMs = 0;
    let stopped = false;
    const clock = { ...nodeClock, nowMs: () => nodeClock.nowMs() + standstillMs };
    const client = target.client({
      runtime: { clock },
      interceptors: [
        async (call, next) => {
          const reply = await next(call);
          // The process stands still with the reply that grants the lock in its hands.
          if (stopped && call.method.endsWith('/Txn')) standstillMs = 60_000;
          return reply;
        },
      ],
    });
    const session = await openSession(client, { ttlSeconds: 30 });
    stopped = true;
    const acquiring = mutex(client.kv, `${target.prefix()}job`).acquire(session);
    await expect(acquiring).rejects.toMatchObject({ reason: 'LEASE_LOST' });
    expect(session.state).toBe('lost');
    await session.close();
  });

  it('is not granted when the waiting key was deleted by somebody else (L-21)', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const lock = mutex(kv, 'job');
    await using one = await openSession(client);
    await using two = await openSession(client);
    const held = await lock.acquire(one);
    const waiting = lock.acquire(two);
    waiting.catch(() => undefined);
    const key = `job/${two.id.toString(16)}`;
    await eventually(async () => ((await kv.exists(key)) ? true : undefined), 'waits');
    await kv.delete(key);
    await held.release();
    await expect(waiting).rejects.toMatchObject({ reason: 'NOT_OWNER' });
  });

  it('fences: what a former holder does late does not happen', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const entries = kv.as(text);
    const lock = mutex(kv, 'job');
    await using one = await openSession(client);
    await using two = await openSession(client);
    const former = await lock.acquire(one);
    const put = (by: string) => entries.ops.put('state', by);
    expect((await former.txn().then(put('one')).commit()).ok).toBe(true);
    expect(await former.verify()).toBe(true);
    const { signal } = former;
    expect(signal.aborted).toBe(false);
    // Somebody breaks the lock.
    await client.kv.delete(`${kv.prefix}${former.key}`);
    await using latter = await lock.acquire(two);
    expect((await former.txn().then(put('former')).commit()).ok).toBe(false);
    const stm = entries.stm((tx) => tx.put('state', 'former'), { guards: [former.guard] });
    await expect(stm).rejects.toMatchObject({ reason: 'CONFLICT' });
    expect((await latter.txn().then(put('two')).commit()).ok).toBe(true);
    expect((await entries.get('state'))?.value).toBe('two');
    expect(await former.verify()).toBe(false);
    await eventually(() => (signal.aborted ? true : undefined), 'the former holder is told');
    expect(signal.reason).toMatchObject({ reason: 'NOT_OWNER' });
    expect(former.owned).toBe(false);
    await former.release();
    expect(await latter.verify()).toBe(true);
  });

  it('releases until it is certain, over a cut connection', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint });
    const kv = target.client().kv.namespace(target.prefix());
    const session = await openSession(client, { ttlSeconds: 60 });
    const held = await lockOf(client, kv.prefix).acquire(session);
    await proxy.refuse();
    const releasing = held.release();
    await expect(held.release({ timeoutMs: 20 })).rejects.toMatchObject({ reason: 'CALL_TIMEOUT' });
    expect(await kv.count({ all: true })).toBe(1);
    await proxy.accept();
    await releasing;
    expect(await kv.count({ all: true })).toBe(0);
    await session.close();
    await proxy[Symbol.asyncDispose]();
  });

  it('a reply that was lost is not a second grant, and not a leaked key', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint });
    const kv = target.client().kv.namespace(target.prefix());
    const session = await openSession(client, { ttlSeconds: 60 });
    proxy.dropReplies();
    const acquiring = lockOf(client, kv.prefix).acquire(session);
    await eventually(async () => ((await kv.count({ all: true })) === 1 ? true : undefined), 'put');
    proxy.cut();
    proxy.resume();
    const held = await acquiring;
    const entry = (await kv.range({ all: true })).kvs[0];
    expect(entry?.createRevision).toBe(held.fencingRevision);
    await held.release();
    expect(await kv.count({ all: true })).toBe(0);
    await session.close();
    await proxy[Symbol.asyncDispose]();
  });

  it('refuses an empty name, and a key that belongs to somebody else', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    expect(() => mutex(kv, '')).toThrow(expect.objectContaining({ reason: 'INVALID_OPTION' }));
    await using session = await openSession(client);
    const key = `job/${session.id.toString(16)}`;
    await kv.put(key, 'not a lock');
    await expect(mutex(kv, 'job').acquire(session)).rejects.toMatchObject({ reason: 'CONFLICT' });
    // The next use of the name waits for whatever the first had to clear up.
    await expect(mutex(kv, 'job').acquire(session)).rejects.toMatchObject({ reason: 'CONFLICT' });
    expect(String((await kv.get(key))?.value)).toBe('not a lock');
  });
});

/** The lock `job` below a prefix, by another client. */
function lockOf(client: Parameters<typeof openSession>[0], prefix: Buffer) {
  return mutex(client.kv.namespace(prefix), 'job');
}

describeTargets('read-write lock', {}, (target) => {
  it('lets readers in together and writers alone, in the order of asking', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const lock = readWriteLock(kv, 'rw');
    await using a = await openSession(client);
    await using b = await openSession(client);
    const reading = [await lock.read(a), await lock.read(a), await lock.read(b)];
    expect(await lock.tryWrite(b)).toBeUndefined();
    const log: string[] = [];
    const writing = lock.write(b).then((held) => {
      log.push('write');
      return held;
    });
    const queued = (n: number) =>
      eventually(async () => ((await kv.count({ all: true })) === n ? true : undefined), `${n}`);
    await queued(4);
    // A writer waits, so nobody comes in any more.
    expect(await lock.tryRead(a)).toBeUndefined();
    const late = lock.read(a).then((held) => {
      log.push('read');
      return held;
    });
    await queued(5);
    for (const held of reading) await held.release();
    const writer = await writing;
    expect(log).toEqual(['write']);
    expect(await lock.tryRead(a)).toBeUndefined();
    await writer.release();
    const reader = await late;
    expect(log).toEqual(['write', 'read']);
    expect(reader.fencingRevision).toBeGreaterThan(writer.fencingRevision);
    await reader.release();
    expect(await kv.count({ all: true })).toBe(0);
  });
});

describeTargets('semaphore', {}, (target) => {
  it('lets so many in and no more', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    const gate = semaphore(kv, 'gate', { permits: 3 });
    const sessions = await Promise.all([1, 2].map(() => openSession(client)));
    let inside = 0;
    const [first, second] = sessions as [Session, Session];
    const all = [await gate.acquire(first), await gate.acquire(second), await gate.acquire(first)];
    expect(await gate.tryAcquire(second)).toBeUndefined();
    for (const held of all) await held.release();
    const fences = new Set<number>();
    await Promise.all(
      Array.from({ length: 12 }, async (_, i) => {
        await using held = await gate.acquire(i % 2 === 0 ? first : second);
        fences.add(held.fencingRevision);
        inside += 1;
        expect(inside).toBeLessThanOrEqual(3);
        await held.verify();
        inside -= 1;
      }),
    );
    expect(fences.size).toBe(12);
    expect(await kv.count({ all: true })).toBe(0);
    for (const session of sessions) await session.close();
  });

  it('tells who holds it, and who uses it with another number', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix());
    await using session = await openSession(client);
    const gate = semaphore(kv, 'gate', { permits: 2 });
    await using one = await gate.acquire(session);
    await using two = await gate.acquire(session);
    expect((await gate.holders()).map((holder) => holder.fencingRevision)).toEqual([
      one.fencingRevision,
      two.fencingRevision,
    ]);
    expect(await gate.tryAcquire(session)).toBeUndefined();
    const other = semaphore(kv, 'gate', { permits: 5 });
    await expect(other.acquire(session)).rejects.toMatchObject({ reason: 'CONFLICT' });
    await expect(mutex(kv, 'gate').tryAcquire(session)).resolves.toBeUndefined();
    expect(() => semaphore(kv, 'gate', { permits: 0 })).toThrow('permits');
  });
});
