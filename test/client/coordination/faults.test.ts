/**
 * L-34: elections and leases under reconnect storms. Candidates behind a proxy each, which cuts,
 * refuses and stops their connections at moments that a seed decides. Whatever happens: no two
 * terms have the same fencing revision, what a leader writes under its guard is ordered by it, and
 * in the end nothing is left at the server.
 */

import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { nodeClock } from '../../../src/client/connection/runtime-node.js';
import {
  Etcd,
  EtcdClientError,
  election,
  isEtcdError,
  json,
  mutex,
  openSession,
  text,
} from '../../../src/client/index.js';
import { lateRequestMsMax } from '../../../src/client/limits.js';
import { startNode } from '../../../src/testing/index.js';
import { eventually } from '../../helpers/eventually.js';
import { type BadNetwork, startProxy } from '../proxy.js';
import { describeTargets, everywhere } from '../target.js';

/** mulberry32: small, and the same numbers for the same seed. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Of `await using`, when the disposal failed, too. Node 20 has no class for it. */
const isSuppressed = (error: unknown): boolean =>
  error instanceof Error && error.name === 'SuppressedError';

const nothingYet = { cut: 0, cutAfter: 0, paused: 0, dropped: 0, down: 0, stalled: 0 };

async function disturb(
  proxies: readonly BadNetwork[],
  random: () => number,
  end: AbortSignal,
  counts: typeof nothingYet,
): Promise<void> {
  const stalls: Promise<void>[] = [];
  const stalled = new Set<BadNetwork>();
  while (!end.aborted) {
    await delay(10 + random() * 60);
    const proxy = proxies[Math.floor(random() * proxies.length)];
    if (proxy === undefined || stalled.has(proxy)) continue;
    const kind = random();
    if (kind < 0.3) {
      counts.cut += 1;
      proxy.cut();
    } else if (kind < 0.7) {
      counts.cutAfter += 1;
      const direction = random() < 0.5 ? 'requests' : 'replies';
      proxy.cutAfter(direction, Math.floor(random() * 400));
    } else if (kind < 0.8) {
      counts.paused += 1;
      proxy.pause();
      await delay(random() * 400);
      proxy.resume();
    } else if (kind < 0.95) {
      counts.dropped += 1;
      proxy.dropReplies();
      await delay(random() * 200);
      proxy.cut();
      proxy.resume();
    } else if (kind < 0.98 && stalled.size === 0) {
      // Longer than the TTL: who was the leader finds out later that it is not.
      counts.stalled += 1;
      stalled.add(proxy);
      proxy.pause();
      stalls.push(
        delay(4000).then(() => {
          proxy.resume();
          stalled.delete(proxy);
        }),
      );
    } else {
      counts.down += 1;
      await proxy.refuse();
      await delay(random() * 300);
      await proxy.accept();
    }
  }
  await Promise.all(stalls);
}

interface Write {
  readonly by: number;
  readonly fence: number;
}

describeTargets('faults', {}, (target) => {
  it('never two leaders whom their fencing revisions do not tell apart (L-34)', async () => {
    const observer = target.client();
    const prefix = target.prefix();
    const random = randomOf(0x5eed);
    const proxies = await Promise.all(
      [0, 1, 2].map(() => startProxy(target.server().endpoints[0] ?? '')),
    );
    const clients = proxies.map((proxy) =>
      target.client({ endpoints: proxy.endpoint, timeoutMs: 1000 }),
    );
    const leasesBefore = await observer.leases.list();
    const end = new AbortController();
    const fences: number[] = [];
    let refused = 0;
    let sessionsLost = 0;
    const candidate = async (client: Etcd, by: number): Promise<void> => {
      const vote = election(client.kv.as(text), `${prefix}leader`);
      const state = client.kv.as(json<Write>());
      while (!end.signal.aborted) {
        try {
          await using session = await openSession(client, {
            ttlSeconds: 2,
            signal: end.signal,
            onLost: () => {
              sessionsLost += 1;
            },
          });
          while (session.state !== 'lost' && !end.signal.aborted) {
            await using term = await vote.campaign(session, `${by}`, { signal: end.signal });
            fences.push(term.fencingRevision);
            // On purpose without asking whether it still is the leader: the store must tell.
            for (let i = 0; i < 3; i += 1) {
              const put = state.ops.put(`${prefix}state`, { by, fence: term.fencingRevision });
              const done = await term.txn().then(put).commit({ timeoutMs: 8000 });
              if (!done.ok) refused += 1;
            }
          }
        } catch (error) {
          if (!isEtcdError(error) && !isSuppressed(error)) throw error;
        }
      }
    };
    const fromRevision = (await observer.kv.range({ key: 'x' })).revision + 1;
    const counts = { ...nothingYet };
    const disturbing = disturb(proxies, random, end.signal, counts);
    const running = clients.map(candidate);
    // Until all has happened that can, and it has been led often enough, however long that takes.
    await eventually(() => {
      const isEnough = fences.length > 20 && Object.values(counts).every((count) => count > 0);
      return isEnough || undefined;
    }, 'terms under all disturbances');
    end.abort();
    await disturbing;
    await Promise.all(running);
    console.info(target.kind.name, { ...counts, terms: fences.length, refused, sessionsLost });

    // Each term has a number of its own.
    expect(new Set(fences).size).toBe(fences.length);
    // What was written is ordered by it: once a later leader has written, an earlier never does.
    const writes: Write[] = [];
    const last = (await observer.kv.put(`${prefix}state`, '{}')).revision;
    const history = observer.kv
      .as(json<Write>())
      .watch({ key: `${prefix}state` }, { fromRevision, only: 'put' });
    for await (const event of history) {
      if (event.revision === last) break;
      writes.push(event.value);
    }
    const order = writes.map(({ fence }) => fence);
    expect(order.length).toBeGreaterThan(0);
    expect(order).toEqual([...order].sort((a, b) => a - b));
    // Each fencing revision was one candidate's.
    const owners = new Map<number, number>();
    for (const { by, fence } of writes) {
      expect(owners.get(fence) ?? by).toBe(by);
      owners.set(fence, by);
    }
    // And nothing is left: no candidate, no lease.
    for (const proxy of proxies) proxy.resume();
    await eventually(async () => {
      const left = await observer.kv.count({ prefix: `${prefix}leader/` });
      const leases = await observer.leases.list();
      return left === 0 && leases.every((id) => leasesBefore.includes(id)) ? true : undefined;
    }, 'all keys and leases are gone');
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  });

  it('what a stalled leader sent arrives under the next one, and does not happen (L-34)', async () => {
    const prefix = target.prefix();
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const [stalled, other] = [target.client({ endpoints: proxy.endpoint }), target.client()];
    const vote = (client: Etcd) => election(client.kv.as(text), `${prefix}leader`);
    const a = await openSession(stalled, { ttlSeconds: 2 });
    const b = await openSession(other, { ttlSeconds: 30 });
    const first = await vote(stalled).campaign(a, 'a');
    const next = vote(other).campaign(b, 'b');
    const key = `${prefix}state`;
    proxy.pause();
    const guarded = first.txn().then(stalled.kv.ops.put(key, 'a')).commit({ timeoutMs: 100_000 });
    // The same without the guard, to see that such a request does arrive.
    const bare = stalled.kv.put(`${prefix}bare`, 'a', { timeoutMs: 100_000 });
    const ends = Promise.allSettled([guarded, bare]);
    const second = await next;
    expect([first.owned, first.signal.aborted, second.owned]).toEqual([false, true, true]);
    expect((await second.txn().then(other.kv.ops.put(key, 'b')).commit()).ok).toBe(true);
    proxy.resume();
    await eventually(async () => (await other.kv.exists(`${prefix}bare`)) || undefined, 'arrival');
    const [done] = await ends;
    // The client may have given the connection up before; then it does not know.
    if (done.status === 'fulfilled') expect(done.value.ok).toBe(false);
    else expect(done.reason).toMatchObject({ outcome: 'unknown' });
    expect(String((await other.kv.get(key))?.value)).toBe('b');
    expect(second.fencingRevision).toBeGreaterThan(first.fencingRevision);
    await a.close();
    await b.close();
    await proxy[Symbol.asyncDispose]();
  });

  it('a lock whose acquisition was cut at any byte is granted once (L-34)', async () => {
    const observer = target.client();
    const prefix = target.prefix();
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint, timeoutMs: 1000 });
    const session = await openSession(client, { ttlSeconds: 60 });
    const fences = new Set<number>();
    for (let at = 1; at < 600; at += 23) {
      const direction = at % 2 === 0 ? 'requests' : 'replies';
      proxy.cutAfter(direction, at);
      const held = await mutex(client.kv, `${prefix}job`).acquire(session);
      expect(fences.has(held.fencingRevision)).toBe(false);
      fences.add(held.fencingRevision);
      const { kvs } = await observer.kv.range({ prefix: `${prefix}job/` });
      expect(kvs.map(({ createRevision }) => createRevision)).toEqual([held.fencingRevision]);
      await held.release();
      expect(await observer.kv.count({ prefix: `${prefix}job/` })).toBe(0);
    }
    await session.close();
    await proxy[Symbol.asyncDispose]();
  });
});

describeTargets('late requests', {}, (target) => {
  it('a request to take a lock that arrives after its release leaves no lock behind', async () => {
    const observer = target.client();
    const prefix = target.prefix();
    let late: (() => Promise<Buffer>) | undefined;
    let hold = true;
    // What waits for late requests to be over (10 s) waits until the test says that time is up.
    const waiting: Array<() => void> = [];
    const after: typeof nodeClock.after = (delayMs, fire) => {
      if (delayMs !== lateRequestMsMax) return nodeClock.after(delayMs, fire);
      waiting.push(fire);
      return { cancel: () => void waiting.splice(waiting.indexOf(fire), 1) };
    };
    const client = target.client({
      runtime: { clock: { ...nodeClock, after } },
      interceptors: [
        (call, next) => {
          if (!hold || !call.method.endsWith('/Txn')) return next(call);
          hold = false;
          late = () => next(call);
          throw new EtcdClientError({
            code: 'UNAVAILABLE',
            reason: 'CONNECTION_LOST',
            outcome: 'unknown',
            message: 'on its way for long',
          });
        },
      ],
    });
    const session = await openSession(client, { ttlSeconds: 60 });
    const lock = mutex(client.kv, `${prefix}job`);
    const held = await lock.acquire(session);
    await held.release();
    expect(await observer.kv.count({ prefix })).toBe(0);
    await late?.();
    expect(await observer.kv.count({ prefix })).toBe(1);
    expect(waiting).toHaveLength(1);
    for (const fire of waiting.splice(0)) fire();
    await eventually(async () => (await observer.kv.count({ prefix })) === 0 || undefined, 'gone');
    expect(session.state).toBe('alive');
    await session.close();
  });
});

describeTargets('restart', { targets: everywhere }, (target) => {
  it('"two leaders after a restart" (etcd3#158, #176): one, the same as before', async () => {
    const prefix = target.prefix();
    const [one, two] = [target.client(), target.client()];
    const vote = (client: Etcd) => election(client.kv.as(text), `${prefix}leader`);
    const a = await openSession(one, { ttlSeconds: 30 });
    const b = await openSession(two, { ttlSeconds: 30 });
    const first = await vote(one).campaign(a, 'one');
    const { signal } = first;
    let elected = false;
    const campaign = vote(two)
      .campaign(b, 'two')
      .then((term) => {
        elected = true;
        return term;
      });
    campaign.catch(() => undefined);
    const candidates = async () => (await two.kv.count({ prefix: `${prefix}leader/` })) === 2;
    await eventually(async () => (await candidates()) || undefined, 'both campaign');
    const server = target.server();
    for (const i of server.endpoints.keys()) {
      await server.stop(i);
      await server.start(i);
      // Answered by a quorum, so it is after the restart.
      expect((await vote(two).leader())?.value).toBe('one');
      expect([first.owned, signal.aborted, elected]).toEqual([true, false, false]);
    }
    const write = one.kv.ops.put(`${prefix}state`, 'one');
    expect((await first.txn().then(write).commit()).ok).toBe(true);
    await first.resign();
    const second = await campaign;
    expect(second.fencingRevision).toBeGreaterThan(first.fencingRevision);
    expect((await first.txn().then(write).commit()).ok).toBe(false);
    await a.close();
    await b.close();
  });
});

describe('on any path (L-34)', () => {
  it('leaves no watch, no lease and no key behind', async () => {
    const node = await startNode();
    const client = new Etcd(node.endpoint);
    const other = new Etcd(node.endpoint);
    const lock = mutex(client.kv, 'job');
    for (const path of ['release', 'abort', 'timeout', 'close', 'revoke'] as const) {
      const one = await openSession(client, { ttlSeconds: 30 });
      const two = await openSession(client, { ttlSeconds: 30, intervalMs: 50 });
      const held = await lock.acquire(one);
      expect(held.signal.aborted).toBe(false);
      const abort = new AbortController();
      const options = path === 'timeout' ? { timeoutMs: 50 } : { signal: abort.signal };
      const waiting = lock.acquire(two, options);
      waiting.catch(() => undefined);
      const two_ = async () => (await other.kv.count({ all: true })) === 2 || undefined;
      if (path !== 'timeout') await eventually(two_, 'waits');
      if (path === 'release') await held.release();
      if (path === 'abort') abort.abort();
      if (path === 'close') await two.close();
      if (path === 'revoke') await other.leases.revoke(two.id);
      await (path === 'release' ? (await waiting).release() : expect(waiting).rejects.toThrow());
      await held.release();
      await one.close();
      await two.close();
      const nothing = async () => (await other.kv.count({ all: true })) === 0 || undefined;
      await eventually(nothing, `no key after ${path}`);
      expect(await other.leases.list()).toEqual([]);
      await eventually(async () => {
        const metrics = await (await fetch(`http://${node.endpoint}/metrics`)).text();
        return /^etcd_debugging_mvcc_watcher_total 0$/m.test(metrics) || undefined;
      }, `no watch after ${path}`);
    }
    await client.close();
    await other.close();
    await node.stop();
  });
});
