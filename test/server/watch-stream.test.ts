/** What one Watch stream says, message by message (C-2). */

import { describe, expect, it, vi } from 'vitest';
import { createRequest, line, WatchBench } from './watch-helpers.js';

describe('a watch stream', () => {
  it('numbers watchers from 0, skips ids in use, and takes given ones', () => {
    const { client, stream } = new WatchBench().open();
    stream.create(createRequest(), undefined);
    stream.create(createRequest({ watchId: 1 }), undefined);
    stream.create(createRequest({ watchId: 7 }), undefined);
    stream.create(createRequest(), undefined);
    stream.create(createRequest({ watchId: 7 }), undefined);
    stream.create(createRequest({ watchId: -5 }), undefined);
    expect(client.take().map(line)).toEqual([
      'id=0 rev=1 created',
      'id=1 rev=1 created',
      'id=7 rev=1 created',
      'id=2 rev=1 created',
      'id=-1 rev=1 created canceled reason=mvcc: duplicate watch ID provided on the WatchStream',
      'id=-5 rev=1 created',
    ]);
  });

  it('cancels id 0 like any other, and lets ids be used again (L-13)', () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.cancel(0);
    expect(client.take()).toEqual([]);
    stream.create(createRequest(), undefined);
    stream.create(createRequest({ watchId: 5 }), undefined);
    stream.cancel(0);
    stream.cancel(0);
    bench.put('a');
    stream.cancel(5);
    stream.create(createRequest({ watchId: 5, key: 'b' }), undefined);
    bench.put('a');
    bench.put('b');
    expect(client.take().map(line)).toEqual([
      'id=0 rev=1 created',
      'id=5 rev=1 created',
      'id=0 rev=1 canceled',
      'id=5 rev=2 [put a=v @2]',
      'id=5 rev=2 canceled',
      'id=5 rev=2 created',
      'id=5 rev=4 [put b=v @4]',
    ]);
    expect(bench.hub.counters.watchers).toBe(1);
  });

  it('refuses an empty range, a negative start and what auth forbids, and goes on', () => {
    const { client, stream } = new WatchBench().open();
    stream.create(createRequest({ key: 'b', rangeEnd: 'b' }), undefined);
    stream.create(createRequest({ key: 'b', rangeEnd: 'a' }), undefined);
    stream.create(createRequest({ startRevision: -1 }), undefined);
    const denied = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
    stream.create(createRequest(), denied);
    stream.create(createRequest(), undefined);
    expect(client.take().map(line)).toEqual([
      'id=-1 rev=1 created canceled reason=mvcc: watcher range is empty',
      'id=-1 rev=1 created canceled reason=mvcc: watcher range is empty',
      'id=-1 rev=1 created canceled reason=etcdserver: mvcc: required revision has been compacted',
      `id=-1 rev=1 created canceled reason=${denied}`,
      'id=0 rev=1 created',
    ]);
  });

  it('matches single keys, ranges, everything above a key, and everything', () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.create(createRequest({ key: 'b' }), undefined);
    stream.create(createRequest({ key: 'b', rangeEnd: 'd' }), undefined);
    stream.create(createRequest({ key: 'c', rangeEnd: '\0' }), undefined);
    stream.create(createRequest({ key: '', rangeEnd: '\0' }), undefined);
    client.take();
    const seen = (key: string): number[] => {
      bench.put(key);
      return client
        .take()
        .map((response) => response.watchId)
        .sort();
    };
    expect(seen('a')).toEqual([3]);
    expect(seen('b')).toEqual([0, 1, 3]);
    expect(seen('c')).toEqual([1, 2, 3]);
    expect(seen('d')).toEqual([2, 3]);
    expect(seen('\xff')).toEqual([2, 3]);
  });

  it('drops what the filters name, and sends nothing for a batch that becomes empty', () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.create(createRequest({ rangeEnd: 'z', filters: [0] }), undefined);
    stream.create(createRequest({ rangeEnd: 'z', filters: [1] }), undefined);
    stream.create(createRequest({ rangeEnd: 'z', filters: [0, 1] }), undefined);
    client.take();
    bench.put('b');
    bench.apply({ key: 'b' }, { key: 'c', value: 'w' });
    expect(client.take().map(line)).toEqual([
      'id=1 rev=2 [put b=v @2]',
      'id=0 rev=3 [delete b @3]',
      'id=1 rev=3 [put c=w @3]',
    ]);
  });

  it('adds the previous value to changes and deletes, not to creations', () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.create(createRequest({ prevKv: true }), undefined);
    stream.create(createRequest(), undefined);
    client.take();
    bench.put('a', '1');
    bench.put('a', '2');
    bench.delete('a');
    const lines = client.take().map(line);
    expect(lines.filter((l) => l.startsWith('id=0'))).toEqual([
      'id=0 rev=2 [put a=1 @2]',
      'id=0 rev=3 [put a=2 @3 <- 1]',
      'id=0 rev=4 [delete a @4 <- 2]',
    ]);
    expect(lines.filter((l) => l.startsWith('id=1'))).toEqual([
      'id=1 rev=2 [put a=1 @2]',
      'id=1 rev=3 [put a=2 @3]',
      'id=1 rev=4 [delete a @4]',
    ]);
  });

  it('puts the revisions of one batch into one response, up to its last revision', () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.create(createRequest(), undefined);
    client.take();
    for (const key of ['a', 'x', 'a', 'y'])
      bench.hub.publish(bench.store.apply([{ key, value: key }]));
    expect(client.take()).toEqual([]);
    bench.hub.flush();
    expect(client.take().map(line)).toEqual(['id=0 rev=5 [put a=a @2, put a=a @4]']);
  });

  it('ends long responses between revisions, with headers that cover just what was sent', () => {
    const bench = new WatchBench({ messageBytesTarget: 100 });
    const { client, stream } = bench.open();
    stream.create(createRequest({ rangeEnd: 'z' }), undefined);
    client.take();
    const commit = (...keys: string[]): void => {
      bench.hub.publish(bench.store.apply(keys.map((key) => ({ key, value: 'x'.repeat(80) }))));
    };
    commit('a', 'b', 'c');
    commit('a');
    commit('b');
    commit('zz');
    bench.hub.flush();
    const shape = client.take().map((r) => [r.header?.revision, r.events.length, r.fragment]);
    expect(shape).toEqual([
      [2, 3, false],
      [3, 1, false],
      [5, 1, false],
    ]);
  });

  it('replays history and joins the live events', async () => {
    const bench = new WatchBench();
    for (let i = 2; i <= 40; i += 1) bench.put(i % 2 === 0 ? 'a' : 'b', `${i}`);
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 30 }), undefined);
    expect(client.take().map(line)).toEqual(['id=0 rev=40 created']);
    await bench.run();
    bench.put('a', 'live');
    expect(client.take().map(line)).toEqual([
      'id=0 rev=40 [put a=30 @30, put a=32 @32, put a=34 @34, put a=36 @36, put a=38 @38, put a=40 @40]',
      'id=0 rev=41 [put a=live @41]',
    ]);
    expect(bench.hub.counters.slowWatchers).toBe(0);
  });

  it('sends at most so many revisions a response when it replays, with the header of now', async () => {
    const bench = new WatchBench({ catchUpRevisionsMax: 10 });
    for (let i = 2; i <= 36; i += 1) bench.put('a', `${i}`);
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 1 }), undefined);
    client.take();
    await bench.run();
    const shape = client.take().map((r) => [r.header?.revision, r.events.length]);
    expect(shape).toEqual([
      [36, 10],
      [36, 10],
      [36, 10],
      [36, 5],
    ]);
  });

  it('tells that the start is compacted in a message of its own, with revision 0', async () => {
    const bench = new WatchBench();
    for (let i = 0; i < 10; i += 1) bench.put('a');
    bench.store.compact(8);
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 7 }), undefined);
    stream.create(createRequest({ startRevision: 8 }), undefined);
    await bench.run();
    bench.put('a');
    stream.requestProgress();
    expect(client.take().map(line)).toEqual([
      'id=0 rev=11 created',
      'id=0 rev=0 canceled compacted=8',
      'id=1 rev=11 created',
      'id=1 rev=11 [put a=v @8, put a=v @9, put a=v @10, put a=v @11]',
      'id=1 rev=12 [put a=v @12]',
    ]);
    // The client that is told cancels by itself; until then the watcher holds up progress.
    stream.cancel(0);
    stream.requestProgress();
    expect(client.take().map(line)).toEqual(['id=0 rev=12 canceled', 'id=-1 rev=12']);
  });

  it('cuts a large response between events, in contiguous pieces', () => {
    const bench = new WatchBench({ fragmentBytes: 1000 });
    const { client, stream } = bench.open();
    stream.create(createRequest({ rangeEnd: 'z', fragment: true }), undefined);
    stream.create(createRequest({ rangeEnd: 'z' }), undefined);
    client.take();
    const changes = Array.from({ length: 10 }, (_, i) => ({
      key: `k${i}`,
      value: 'x'.repeat(300),
    }));
    bench.apply(...changes, { key: 'large', value: 'y'.repeat(3000) });
    const responses = client.take();
    const whole = responses.filter((r) => r.watchId === 1);
    expect(whole.map((r) => r.events.length)).toEqual([11]);
    const at = responses.findIndex((r) => r.watchId === 0);
    const pieces = responses.slice(at, at + responses.length - 1);
    expect(pieces.map((r) => r.watchId)).toEqual(pieces.map(() => 0));
    expect(pieces.map((r) => r.events.length)).toEqual([3, 3, 3, 1, 1]);
    expect(pieces.map((r) => r.fragment)).toEqual([true, true, true, true, false]);
    expect(pieces.flatMap((r) => r.events)).toEqual(whole[0]?.events);
    bench.put('small');
    expect(client.take().map((r) => r.fragment)).toEqual([false, false]);
  });

  it('answers a progress request once for the stream, behind all events', async () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.requestProgress();
    expect(client.take()).toEqual([]);
    stream.create(createRequest(), undefined);
    stream.create(createRequest({ key: 'b' }), undefined);
    client.take();
    bench.hub.publish(bench.store.apply([{ key: 'a', value: '1' }]));
    bench.hub.publish(bench.store.apply([{ key: 'x', value: '1' }]));
    stream.requestProgress();
    expect(client.take().map(line)).toEqual(['id=0 rev=3 [put a=1 @2]', 'id=-1 rev=3']);
    bench.hub.flush();
    expect(client.take()).toEqual([]);
  });

  it('notifies idle watchers that asked for it, once per interval and jitter', async () => {
    const bench = new WatchBench({ progressIntervalMs: 1000 });
    const { client, stream } = bench.open();
    stream.create(createRequest({ progressNotify: true }), undefined);
    stream.create(createRequest({ key: 'b', progressNotify: true }), undefined);
    stream.create(createRequest({ key: 'c' }), undefined);
    client.take();
    await bench.run(999);
    expect(client.take()).toEqual([]);
    bench.put('b');
    client.take();
    await bench.run(102);
    expect(client.take().map(line)).toEqual(['id=0 rev=2']);
    await bench.run(1100);
    expect(client.take().map(line)).toEqual(['id=0 rev=2', 'id=1 rev=2']);
    stream.cancel(0);
    stream.cancel(1);
    client.take();
    await bench.run(5000);
    expect(client.take()).toEqual([]);
    await bench.clock.runAll();
  });

  it('leaves nothing behind when it closes', async () => {
    const bench = new WatchBench();
    for (let i = 0; i < 10; i += 1) bench.put('a');
    const { client, stream } = bench.open();
    stream.create(createRequest({ progressNotify: true }), undefined);
    stream.create(createRequest({ startRevision: 2 }), undefined);
    stream.create(createRequest({ startRevision: 99, rangeEnd: 'z' }), undefined);
    bench.hub.publish(bench.store.apply([{ key: 'a', value: 'pending' }]));
    client.take();
    stream.close();
    bench.hub.flush();
    await bench.clock.runAll();
    expect(client.take()).toEqual([]);
    expect(bench.hub.counters).toMatchObject({
      watchers: 0,
      streams: 0,
      slowWatchers: 0,
      pendingEvents: 0,
    });
  });
});

describe('a watch stream with thousands of watchers', () => {
  /** Opens a stream with so many watchers of single keys. */
  function openMany(bench: WatchBench, count: number, progressNotify = false) {
    const { client, stream } = bench.open();
    for (let i = 0; i < count; i++) {
      stream.create(createRequest({ key: `k${i}`, progressNotify }), undefined);
    }
    client.take();
    return { client, stream };
  }

  it('looks at none of them for a progress request, unless events are pending', () => {
    const bench = new WatchBench();
    const { client, stream } = openMany(bench, 3_000);
    const walks = vi.spyOn(stream.watchers, 'values');
    for (let i = 0; i < 50; i++) stream.requestProgress();
    expect(client.take().map(line)).toEqual(Array.from({ length: 50 }, () => 'id=-1 rev=1'));
    expect(walks).toHaveBeenCalledTimes(0);
    bench.hub.publish(bench.store.apply([{ key: 'k7', value: 'v' }]));
    for (let i = 0; i < 3; i++) stream.requestProgress();
    bench.hub.flush();
    expect(client.take().map(line)).toEqual([
      'id=7 rev=2 [put k7=v @2]',
      'id=-1 rev=2',
      'id=-1 rev=2',
      'id=-1 rev=2',
    ]);
    expect(walks).toHaveBeenCalledTimes(1);
  });

  it('has no progress to tell while one of them starts in the future', () => {
    const bench = new WatchBench();
    const { client, stream } = openMany(bench, 10);
    stream.create(createRequest({ watchId: 50, startRevision: 3 }), undefined);
    stream.create(createRequest({ watchId: 51, startRevision: 1_000 }), undefined);
    client.take();
    stream.requestProgress();
    stream.cancel(51);
    stream.requestProgress();
    bench.put('other');
    stream.requestProgress();
    expect(client.take().map(line)).toEqual(['id=51 rev=1 canceled']);
    bench.put('other');
    stream.requestProgress();
    expect(client.take().map(line)).toEqual(['id=-1 rev=3']);
  });

  it('closes a share of them at a time, and nothing is sent meanwhile', async () => {
    const bench = new WatchBench();
    const { client, stream } = openMany(bench, 2_500);
    bench.hub.publish(bench.store.apply([{ key: 'k2400', value: 'v' }]));
    stream.close();
    expect(bench.hub.counters.watchers).toBe(1_500);
    bench.put('k2300');
    stream.requestProgress();
    await bench.run();
    expect(client.take()).toEqual([]);
    expect(bench.hub.counters).toMatchObject({ watchers: 0, streams: 0, pendingEvents: 0 });
    // Nothing of it is left in the index.
    bench.put('k2400');
    expect(bench.hub.counters.pendingEvents).toBe(0);
  });

  it('notifies a share of them at a time', async () => {
    const bench = new WatchBench({ progressIntervalMs: 1_000 });
    const { client } = openMany(bench, 2_500, true);
    const perTurn: number[] = [];
    client.onResponse = () => {
      if (perTurn.length === 0 || turn !== turns) perTurn.push(0);
      turn = turns;
      perTurn[perTurn.length - 1] = (perTurn.at(-1) ?? 0) + 1;
      if (!ticking) {
        ticking = true;
        bench.clock.afterTurn(tick);
      }
    };
    let turns = 0;
    let turn = 0;
    let ticking = false;
    const tick = (): void => {
      turns++;
      ticking = false;
    };
    await bench.run(1_200);
    expect(client.take()).toHaveLength(2_500);
    expect(perTurn).toEqual([1_000, 1_000, 500]);
  });
});
