import { expect, it } from 'vitest';
import { json, text } from '../../src/client/index.js';
import { eventually } from '../helpers/eventually.js';
import { startProxy } from './proxy.js';
import { describeTargets, everywhere } from './target.js';

/** The next `count` items. */
async function take<T>(from: AsyncIterator<T>, count: number): Promise<T[]> {
  const taken: T[] = [];
  while (taken.length < count) {
    const { done, value } = await from.next();
    if (done === true) break;
    taken.push(value);
  }
  return taken;
}

describeTargets('watch', { targets: everywhere }, (target) => {
  it('delivers puts and deletes as they happen', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const before = await kv.put('before', 'x');
    // Where the member that serves the watch is behind, its present is our past.
    const fromRevision = before.revision + 1;
    await using watcher = kv.watch({ all: true }, { prev: true, fromRevision });
    await watcher.ready;
    await kv.put('a', '1');
    await kv.put('a', '2');
    const { revision } = await kv.delete('a');
    const events = await take(watcher, 3);
    expect(events).toMatchObject([
      { type: 'put', key: 'a', value: '1', created: true, prev: undefined },
      { type: 'put', key: 'a', value: '2', created: false, prev: { value: '1' } },
      { type: 'delete', key: 'a', revision, prev: { value: '2' } },
    ]);
    expect(watcher.revision).toBe(revision);
  });

  it('starts in the past', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const { revision } = await kv.put('a', '1');
    await kv.put('b', '2');
    await using watcher = kv.watch({ all: true }, { fromRevision: revision });
    expect((await take(watcher, 2)).map((event) => event.key)).toEqual(['a', 'b']);
  });

  it('lets through only what was asked for', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await using puts = kv.watch({ all: true }, { only: 'put' });
    await using deletes = kv.watch({ prefix: 'a' }, { only: 'delete' });
    await Promise.all([puts.ready, deletes.ready]);
    await kv.put('a', '1');
    await kv.delete('a');
    await kv.put('b', '2');
    expect((await take(puts, 2)).map(({ value }) => value)).toEqual(['1', '2']);
    expect((await take(deletes, 1)).map(({ key }) => key)).toEqual(['a']);
  });

  it('keeps the changes of one transaction together', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await using watcher = kv.watch({ all: true });
    await watcher.ready;
    await kv.txn().then(kv.ops.put('a', '1'), kv.ops.put('b', '2'), kv.ops.put('c', '3')).commit();
    await kv.put('d', '4');
    const sizes = (await take(watcher.batches(), 2)).map(({ events }) => events.length);
    expect(sizes).toEqual([3, 1]);
  });

  it('joins what the server sends in fragments', async () => {
    const kv = target.client().kv.namespace(target.prefix());
    const value = Buffer.alloc(1_000_000, 'x');
    const { revision } = await kv.put('k0', value);
    for (let i = 1; i < 6; i += 1) await kv.put(`k${i}`, value);
    await using watcher = kv.watch({ all: true }, { fromRevision: revision });
    const events = await take(watcher, 6);
    expect(events.map(({ key }) => key)).toEqual(['k0', 'k1', 'k2', 'k3', 'k4', 'k5']);
    expect(events.every((event) => event.type === 'put' && event.value.equals(value))).toBe(true);
  });

  it('carries many watches over one stream, and ends it with the last', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const client = target.client({ endpoints: proxy.endpoint });
    const kv = client.kv.namespace(target.prefix()).as(text);
    const watchers = Array.from({ length: 200 }, (_, i) => kv.watch({ key: `k${i}` }));
    await Promise.all(watchers.map(({ ready }) => ready));
    await Promise.all(watchers.map((_, i) => kv.put(`k${i}`, String(i))));
    const seen = await Promise.all(watchers.map((watcher) => take(watcher, 1)));
    expect(seen.map(([event]) => event?.key)).toEqual(watchers.map((_, i) => `k${i}`));
    expect(proxy.accepted).toBe(1);
    await Promise.all(watchers.map((watcher) => watcher.close()));
    // What a new one gets is its own, on a stream of its own.
    await using another = kv.watch({ all: true });
    await another.ready;
    await kv.put('z', 'z');
    expect((await take(another, 1))[0]?.key).toBe('z');
    await proxy[Symbol.asyncDispose]();
  });

  it('ends when it is closed, aborted, left, or the client is closed', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const closed = kv.watch({ all: true });
    await closed.ready;
    const waiting = closed.next();
    await closed.close();
    expect(await waiting).toEqual({ done: true, value: undefined });
    const abort = new AbortController();
    const aborted = kv.watch({ all: true }, { signal: abort.signal });
    setImmediate(() => abort.abort());
    expect(await take(aborted, 1)).toEqual([]);
    const left = kv.watch({ all: true });
    await left.ready;
    await kv.put('a', '1');
    for await (const event of left) {
      expect(event.key).toBe('a');
      break;
    }
    expect(await take(left, 1)).toEqual([]);
    const last = kv.watch({ all: true });
    await last.ready;
    const pending = last.next();
    await client.close();
    expect(await pending).toEqual({ done: true, value: undefined });
  });

  it('reports a value that its codec refuses, as it was told', async () => {
    const raw = target.client().kv.namespace(target.prefix());
    const kv = raw.as(json<number>());
    await using reporting = kv.watch({ all: true }, { onInvalid: 'report' });
    await using throwing = kv.watch({ all: true });
    await Promise.all([reporting.ready, throwing.ready]);
    await raw.put('a', '{');
    await kv.put('a', 2);
    const [bad, good] = await take(reporting, 2);
    expect(bad).toMatchObject({ type: 'invalid', key: 'a', error: { reason: 'DECODE_FAILED' } });
    expect(good).toMatchObject({ type: 'put', value: 2 });
    await expect(throwing.next()).rejects.toMatchObject({ reason: 'DECODE_FAILED' });
    expect(await throwing.next()).toEqual({ done: true, value: undefined });
  });

  it('says that its revision is compacted, and which is not', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const { revision } = await kv.put('a', '1');
    const { revision: last } = await kv.put('a', '2');
    await client.maintenance.compact(last);
    const watcher = kv.watch({ all: true }, { fromRevision: revision });
    await expect(watcher.next()).rejects.toMatchObject({
      reason: 'COMPACTED',
      compactRevision: last,
    });
    expect(await watcher.next()).toEqual({ done: true, value: undefined });
  });

  it('buffers no more than it may, pauses, and misses nothing', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await using slow = kv.watch({ all: true }, { bufferEventsMax: 10 });
    await using quick = kv.watch({ all: true });
    await Promise.all([slow.ready, quick.ready]);
    const names = Array.from({ length: 100 }, (_, i) => `k${i}`);
    for (const name of names) await kv.put(name, name);
    // The other watch of the stream is not held up.
    expect((await take(quick, 100)).map(({ key }) => key)).toEqual(names);
    expect((await take(slow, 100)).map(({ key }) => key)).toEqual(names);
  });
});

describeTargets('watchFrom', { targets: everywhere }, (target) => {
  it('gives the state, then every change after it', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    await kv.put('a', '1');
    const { revision } = await kv.put('b', '2');
    await using state = kv.watchFrom({ all: true });
    const [snapshot] = await take(state, 1);
    expect(snapshot).toMatchObject({ type: 'snapshot', revision, reason: 'start' });
    if (snapshot?.type !== 'snapshot') return;
    expect(snapshot.entries.map(({ key, value }) => [key, value])).toEqual([
      ['a', '1'],
      ['b', '2'],
    ]);
    await kv.put('c', '3');
    await kv.delete('a');
    expect(await take(state, 2)).toMatchObject([
      { type: 'put', key: 'c', revision: revision + 1 },
      { type: 'delete', key: 'a', revision: revision + 2 },
    ]);
  });

  it('reads a large state in pages of one revision while it changes', async () => {
    const kv = target.client().kv.namespace(target.prefix()).as(text);
    const names = Array.from({ length: 1200 }, (_, i) => `k${String(i).padStart(4, '0')}`);
    await Promise.all(names.map((name) => kv.put(name, 'old')));
    const state = kv.watchFrom({ all: true });
    const writes = (async () => {
      for (let i = 1199; i >= 0; i -= 100) await kv.put(names[i] ?? '', 'new');
    })();
    const model = new Map<string, string>();
    const [first] = await take(state, 1);
    if (first?.type !== 'snapshot') throw new Error('no snapshot');
    for (const { key, value } of first.entries) model.set(key, value);
    expect(model.size).toBe(1200);
    await writes;
    const end = await kv.put('end', '');
    for await (const event of state) {
      if (event.type !== 'put') throw new Error(event.type);
      model.set(event.key, event.value);
      if (event.revision >= end.revision) break;
    }
    const { kvs } = await kv.range({ all: true });
    expect([...model].sort()).toEqual(kvs.map(({ key, value }) => [key, value]).sort());
  });

  it('reads the state again when history was compacted while it was away', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const prefix = target.prefix();
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(prefix).as(text);
    const direct = target.client();
    const other = direct.kv.namespace(prefix).as(text);
    await other.put('a', '1');
    await using state = kv.watchFrom({ all: true });
    await take(state, 1);
    const following = state.next();
    await other.put('b', '2');
    expect(await following).toMatchObject({ value: { key: 'b' } });
    await proxy.refuse();
    await other.put('c', '3');
    await other.delete('a');
    const { revision } = await other.put('c', '4');
    await direct.maintenance.compact(revision);
    await proxy.accept();
    const { value: again } = await state.next();
    expect(again).toMatchObject({ type: 'snapshot', reason: 'compacted' });
    if (again?.type !== 'snapshot') return;
    expect(again.entries.map(({ key, value }) => [key, value])).toEqual([
      ['b', '2'],
      ['c', '4'],
    ]);
    await proxy[Symbol.asyncDispose]();
  });

  it('throws instead, if it is told to', async () => {
    const client = target.client();
    const kv = client.kv.namespace(target.prefix()).as(text);
    const { revision } = await kv.put('a', '1');
    await client.maintenance.compact((await kv.put('a', '2')).revision);
    await using state = kv.watchFrom({ all: true }, { revision });
    await expect(state.next()).rejects.toMatchObject({ reason: 'COMPACTED' });
  });
});

describeTargets('watch over a bad network', { targets: everywhere }, (target) => {
  it('goes on where it was, after any number of cuts, without gap or repeat', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const prefix = target.prefix();
    const watching = target.client({ endpoints: proxy.endpoint }).kv.namespace(prefix).as(text);
    const writing = target.client().kv.namespace(prefix).as(text);
    await using watcher = watching.watch({ all: true });
    await watcher.ready;
    const revisions: number[] = [];
    const writes = (async () => {
      for (let i = 0; i < 300; i += 1) {
        revisions.push((await writing.put(`k${i % 7}`, String(i))).revision);
        // Cut in the middle of replies, at odd places.
        if (i % 20 === 10) proxy.cutAfter('replies', 1 + ((i * 13) % 97));
      }
    })();
    const seen = await take(watcher, 300);
    await writes;
    expect(seen.map((event) => event.revision)).toEqual(revisions);
    expect(proxy.accepted).toBeGreaterThan(3);
    await proxy[Symbol.asyncDispose]();
  });

  it('a watch from now has no gap, even if it was cut before the first event', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    const prefix = target.prefix();
    const watching = target.client({ endpoints: proxy.endpoint }).kv.namespace(prefix).as(text);
    const writing = target.client().kv.namespace(prefix).as(text);
    await using watcher = watching.watch({ all: true });
    await watcher.ready;
    await proxy.refuse();
    await writing.put('a', 'while it was away');
    await proxy.accept();
    const [event] = await take(watcher, 1);
    expect(event).toMatchObject({ key: 'a', value: 'while it was away' });
    await proxy[Symbol.asyncDispose]();
  });

  it('waits for a server that is not there yet', async () => {
    const proxy = await startProxy(target.server().endpoints[0] ?? '');
    await proxy.refuse();
    const kv = target.client({ endpoints: proxy.endpoint }).kv.namespace(target.prefix()).as(text);
    await using watcher = kv.watch({ all: true });
    setTimeout(() => void proxy.accept(), 100);
    await watcher.ready;
    await kv.put('a', '1');
    expect((await take(watcher, 1))[0]?.key).toBe('a');
    await eventually(() => (proxy.open > 0 ? true : undefined), 'connected');
    await proxy[Symbol.asyncDispose]();
  });
});
