/** What reaches a watcher, when and in which order: bugs that others had (docs/lessons.md). */

import { describe, expect, it } from 'vitest';
import { runSteps, Slice } from '../../src/common/index.js';
import { createRequest, HistoryStore, line, tell, WatchBench } from './watch-helpers.js';

describe('watch regressions', () => {
  it('a slow watcher gets the delete at exactly the compacted revision (L-6)', async () => {
    const bench = new WatchBench({ backlogBytesMax: 100 });
    const { client, stream } = bench.open();
    client.highWaterBytes = 50;
    stream.create(createRequest(), undefined);
    bench.put('a');
    client.stuck = true;
    bench.put('a', 'x'.repeat(200));
    // The stream is blocked from here on: this is not sent.
    bench.delete('a');
    bench.store.compact(4);
    expect(bench.hub.counters.slowWatchers).toBe(1);
    client.unstick();
    await bench.run();
    expect(client.take().at(-1)?.events.map(tell)).toEqual(['delete a @4']);
    expect(bench.hub.counters.slowWatchers).toBe(0);
  });

  it('a slow watcher that a compaction has passed is told so (L-6)', async () => {
    const bench = new WatchBench({ backlogBytesMax: 100 });
    const { client, stream } = bench.open();
    client.highWaterBytes = 50;
    stream.create(createRequest(), undefined);
    client.stuck = true;
    bench.put('a', 'x'.repeat(200));
    bench.put('a');
    bench.delete('a');
    bench.store.compact(4);
    client.take();
    client.unstick();
    await bench.run();
    expect(client.take().map(line)).toEqual(['id=0 rev=0 canceled compacted=4']);
  });

  it('a watch from the compacted revision sees its tombstone (L-7)', async () => {
    const bench = new WatchBench();
    bench.put('a');
    bench.delete('a');
    bench.store.compact(3);
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 3, prevKv: true }), undefined);
    await bench.run();
    expect(client.take().map(line)).toEqual(['id=0 rev=3 created', 'id=0 rev=3 [delete a @3]']);
  });

  it('watchers go on from where they were when a snapshot was installed (L-8)', async () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.create(createRequest(), undefined);
    stream.create(createRequest({ key: 'b', startRevision: 9 }), undefined);
    stream.create(createRequest({ startRevision: 1 }), undefined);
    bench.put('a', 'before');
    const installed = new HistoryStore(bench.clock);
    for (let i = 2; i <= 20; i += 1) {
      installed.apply([{ key: i % 2 === 0 ? 'a' : 'b', value: `${i}` }]);
    }
    installed.compact(3);
    bench.hub.syncAfterRestore(installed);
    await bench.run();
    bench.hub.publish(installed.apply([{ key: 'a', value: 'after' }]));
    bench.hub.flush();
    const revisions = (id: number): number[] =>
      client.responses
        .filter((r) => r.watchId === id)
        .flatMap((r) => r.events.map((event) => event.kv?.modRevision ?? 0));
    expect(revisions(0)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 21]);
    expect(revisions(1)).toEqual([9, 11, 13, 15, 17, 19]);
    const third = client.responses.filter((r) => r.watchId === 2).map(line);
    expect(third).toContain('id=2 rev=0 canceled compacted=3');
    const headers = client.responses.map((r) => r.header?.revision ?? 0).filter((r) => r > 0);
    expect(headers).toEqual([...headers].sort((a, b) => a - b));
  });

  it('what was being read from the old store is dropped (L-8)', async () => {
    const bench = new WatchBench();
    for (let i = 0; i < 10; i += 1) bench.put('a', 'old');
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 5 }), undefined);
    client.take();
    await bench.run(0.5);
    expect(bench.store.historyCalls).toBe(1);
    const installed = new HistoryStore(bench.clock);
    for (let i = 2; i <= 30; i += 1) installed.apply([{ key: 'a', value: 'new' }]);
    bench.hub.syncAfterRestore(installed);
    await bench.run();
    const events = client.take().flatMap((r) => r.events.map(tell));
    expect(events).toEqual(Array.from({ length: 26 }, (_, i) => `put a=new @${i + 5}`));
  });

  it('no progress ahead of events that are not delivered (L-9)', async () => {
    const bench = new WatchBench({ progressIntervalMs: 100 });
    for (let i = 0; i < 10; i += 1) bench.put('a');
    bench.store.historyMs = 350;
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 2, progressNotify: true }), undefined);
    stream.create(createRequest({ key: 'b' }), undefined);
    client.take();
    stream.requestProgress();
    await bench.run(300);
    stream.requestProgress();
    expect(client.take()).toEqual([]);
    await bench.run(100);
    stream.requestProgress();
    const lines = client.take().map(line);
    expect(lines[0]).toMatch(/^id=0 rev=11 \[/);
    expect(lines.at(-1)).toBe('id=-1 rev=11');
  });

  it('a stream that starves for a while gets all events in order (L-10)', async () => {
    const bench = new WatchBench({ backlogBytesMax: 2000 });
    const { client, stream } = bench.open();
    client.highWaterBytes = 500;
    stream.create(createRequest({ rangeEnd: 'z', prevKv: true }), undefined);
    client.stuck = true;
    for (let i = 0; i < 10_000; i += 1) {
      bench.put(`k${i % 7}`, `${i}`);
      if (i % 50 === 0) await bench.run(1);
      // A sip every now and then.
      if (i % 1000 === 0) client.catchUp();
    }
    expect(client.backlogBytesPeak).toBeLessThan(2000 + 512 * 1024 + 100_000);
    expect(bench.hub.counters.pendingEvents).toBe(0);
    client.unstick();
    await bench.run();
    const revisions = client.responses.flatMap((r) => r.events.map((e) => e.kv?.modRevision));
    expect(revisions).toEqual(Array.from({ length: 10_000 }, (_, i) => i + 2));
    expect(bench.hub.counters.slowWatchers).toBe(0);
  });

  it('the slow watcher does not hold up the others (L-10)', async () => {
    const bench = new WatchBench({ backlogBytesMax: 1000 });
    const slow = bench.open();
    const quick = bench.open();
    slow.client.highWaterBytes = 500;
    slow.client.stuck = true;
    for (let i = 0; i < 20; i += 1) slow.stream.create(createRequest(), undefined);
    quick.stream.create(createRequest(), undefined);
    for (let i = 0; i < 200; i += 1) {
      bench.put('a', `${i}`);
      expect(quick.client.responses.length).toBe(i + 2);
    }
    expect(slow.client.backlogBytesPeak).toBeLessThan(2500);
  });

  it('an event comes once, whatever happens to the watcher meanwhile (L-11)', async () => {
    const bench = new WatchBench();
    let known = true;
    bench.store.prevInMemory = () => {
      known = !known;
      return known;
    };
    const { client, stream } = bench.open();
    stream.create(createRequest({ rangeEnd: 'z', prevKv: true }), undefined);
    for (let i = 0; i < 500; i += 1) {
      bench.apply({ key: 'a', value: `${i}` }, { key: 'b', value: `${i}` }, { key: 'c' });
      if (i % 3 === 0) await bench.run(0.7);
    }
    await bench.run();
    const seen = client.responses.flatMap((r) => r.events.map(tell));
    const expected = bench.store.told.map((t) => {
      const previous = t.previous === undefined ? '' : ` <- ${t.previous}`;
      return `put ${t.key}=${t.value} @${t.modRevision}${previous}`;
    });
    expect(seen).toEqual(expected);
  });

  it('a start in the future gets nothing older, and no progress before it (L-12)', async () => {
    const bench = new WatchBench({ progressIntervalMs: 100 });
    bench.put('a');
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 50, progressNotify: true }), undefined);
    client.take();
    for (let revision = 3; revision <= 49; revision += 1) {
      bench.put('a');
      stream.requestProgress();
    }
    await bench.run(500);
    expect(client.take()).toEqual([]);
    bench.put('a', 'wanted');
    stream.requestProgress();
    expect(client.take().map(line)).toEqual(['id=0 rev=50 [put a=wanted @50]', 'id=-1 rev=50']);
  });

  it('and still so when a snapshot is installed that ends before it (L-12)', async () => {
    const bench = new WatchBench();
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 50 }), undefined);
    client.take();
    const installed = new HistoryStore(bench.clock);
    for (let i = 2; i <= 48; i += 1) installed.apply([{ key: 'a', value: 'new' }]);
    bench.hub.syncAfterRestore(installed);
    await bench.run();
    bench.hub.publish(installed.apply([{ key: 'a', value: '49' }]));
    bench.hub.publish(installed.apply([{ key: 'a', value: '50' }]));
    bench.hub.flush();
    expect(client.take().map(line)).toEqual(['id=0 rev=50 [put a=50 @50]']);
  });

  it('nothing is published that the store has not applied (L-37)', () => {
    const bench = new WatchBench();
    const commit = bench.store.apply([{ key: 'a', value: '1' }]);
    bench.store.revision -= 1;
    expect(() => bench.hub.publish(commit)).toThrow('applied');
    bench.store.revision += 1;
    bench.hub.publish(commit);
    expect(() => bench.hub.publish(commit)).toThrow('one after the other');
  });
});

describe('catching up', () => {
  it('shares one scan among watchers that are near each other', async () => {
    const bench = new WatchBench({ catchUpRevisionsMax: 100 });
    for (let i = 0; i < 1000; i += 1) bench.put('a');
    const { client, stream } = bench.open();
    for (let i = 0; i < 50; i += 1)
      stream.create(createRequest({ startRevision: 2 + i }), undefined);
    await bench.run();
    expect(bench.store.historyCalls).toBeLessThanOrEqual(12);
    expect(client.responses.flatMap((r) => r.events).length).toBe(50 * 1000 - (49 * 50) / 2);
  });

  it('does not let one that is far behind hold up one that is near', async () => {
    const bench = new WatchBench({ catchUpRevisionsMax: 10 });
    for (let i = 0; i < 10_000; i += 1) bench.put('a');
    const far = bench.open();
    const near = bench.open();
    far.stream.create(createRequest({ startRevision: 2 }), undefined);
    near.stream.create(createRequest({ startRevision: 9_990 }), undefined);
    await bench.run(20);
    expect(near.client.responses.flatMap((r) => r.events).length).toBe(12);
    expect(far.client.responses.flatMap((r) => r.events).length).toBeLessThan(1000);
    await bench.run(5000);
    expect(far.client.responses.flatMap((r) => r.events).length).toBe(10_000);
  });

  it('catches up while writes go on all the time', async () => {
    const bench = new WatchBench({ catchUpRevisionsMax: 50 });
    for (let i = 0; i < 500; i += 1) bench.put('a');
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 2 }), undefined);
    for (let i = 0; i < 500; i += 1) {
      bench.put('a');
      await bench.run(0.1);
    }
    expect(bench.hub.counters.slowWatchers).toBe(0);
    const revisions = client.responses.flatMap((r) => r.events.map((e) => e.kv?.modRevision));
    expect(revisions).toEqual(Array.from({ length: 1000 }, (_, i) => i + 2));
  });

  it('omits a previous value that is compacted, without a word', async () => {
    const bench = new WatchBench();
    bench.put('a', '1');
    bench.put('a', '2');
    bench.put('a', '3');
    bench.store.compact(3);
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 3, prevKv: true }), undefined);
    await bench.run();
    expect(client.responses.flatMap((r) => r.events.map(tell))).toEqual([
      'put a=2 @3',
      'put a=3 @4 <- 2',
    ]);
  });

  it('holds all slow streams back when their backlogs together are too much', () => {
    const bench = new WatchBench({ backlogBytesMax: 100_000, backlogBytesTotalMax: 50_000 });
    const slow = Array.from({ length: 20 }, () => bench.open());
    for (const { client, stream } of slow) {
      client.highWaterBytes = 1000;
      client.stuck = true;
      stream.create(createRequest(), undefined);
    }
    for (let i = 0; i < 100; i += 1) bench.put('a', 'x'.repeat(900));
    const total = slow.reduce((sum, { client }) => sum + client.backlogBytes, 0);
    expect(total).toBeLessThan(60_000);
    for (const { client } of slow) expect(client.backlogBytes).toBeGreaterThan(1000);
  });

  it('a transaction that very many watchers want reaches each whole, and nothing piles up', async () => {
    const bench = new WatchBench({ pendingEventsMax: 10_000 });
    const { client, stream } = bench.open();
    const watchers = 3_000;
    for (let i = 1; i <= watchers; i += 1) {
      stream.create(createRequest({ watchId: i, key: 'a', rangeEnd: `b${i}` }), undefined);
    }
    stream.create(createRequest({ watchId: watchers + 1, key: 'x' }), undefined);
    client.take();
    const keys = ['a1', 'a2', 'a3', 'a4', 'x'];
    const commit = bench.store.apply(keys.map((key) => ({ key, value: 'v' })));
    const published = runSteps(bench.hub.publishSteps(commit, new Slice(bench.clock, 'apply')));
    expect(bench.hub.isPublishing).toBe(true);
    // Nobody is told that it has seen the revision before it has.
    stream.requestProgress();
    await bench.clock.runUntil(Promise.resolve(published));
    expect(bench.hub.isPublishing).toBe(false);
    expect(bench.hub.counters.pendingEvents).toBe(0);
    await bench.run();
    const told = client.take();
    expect(told.filter(({ watchId }) => watchId === -1)).toEqual([]);
    const events = new Map(told.map((response) => [response.watchId, response.events.map(tell)]));
    expect(told.length).toBe(watchers + 1);
    for (let i = 1; i <= watchers; i += 1) {
      expect(events.get(i)).toEqual(['put a1=v @2', 'put a2=v @2', 'put a3=v @2', 'put a4=v @2']);
    }
    expect(events.get(watchers + 1)).toEqual(['put x=v @2']);
    // And they go on live.
    bench.put('a1');
    expect(client.take().length).toBe(watchers);
  });
});
