/** How much of the past comes as one response, and what cuts it. */

import { describe, expect, it } from 'vitest';
import type { WatchLimits } from '../../src/server/watch/limits.js';
import { createRequest, type TestClient, WatchBench } from './watch-helpers.js';

/** Sixty revisions of 1000 bytes, every tenth of key `a`. */
function benchWithHistory(limits: Partial<WatchLimits>): WatchBench {
  const bench = new WatchBench({ catchUpBytesMax: 2500, ...limits });
  for (let i = 0; i < 60; i += 1) bench.put(i % 10 === 0 ? 'a' : 'b', 'x'.repeat(1000));
  return bench;
}

/** Revision of the header, number of events, and whether more of the same response follows. */
function shape(client: TestClient): unknown[] {
  return client
    .take()
    .filter(({ created }) => !created)
    .map(({ header, events, fragment }) => {
      return fragment
        ? [header?.revision, events.length, '...']
        : [header?.revision, events.length];
    });
}

describe('the past of a watcher', () => {
  it('is one response, however many pages are read for it', async () => {
    const bench = benchWithHistory({});
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 1 }), undefined);
    stream.create(createRequest({ startRevision: 1, rangeEnd: 'c' }), undefined);
    await bench.run();
    expect(bench.store.historyCalls).toBeGreaterThan(10);
    expect(shape(client)).toEqual([
      [61, 6],
      [61, 60],
    ]);
  });

  it('is cut before it is too large for its client, with headers that say what has come', async () => {
    const limits = { messageBytesMax: 20_500, responseBytesMax: 50_000, fragmentBytes: 10_300 };
    const bench = benchWithHistory(limits);
    const all = { startRevision: 1, rangeEnd: 'c' };
    const plain = bench.open();
    plain.stream.create(createRequest(all), undefined);
    await bench.run();
    const lengths = plain.client.responses.map(({ events }) => events.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(20);
    expect(lengths.length).toBeLessThan(10);
    for (const { header, events, created } of plain.client.responses) {
      if (!created) expect(header?.revision).toBe(events.at(-1)?.kv?.modRevision);
    }
    const { client, stream } = bench.open();
    stream.create(createRequest({ ...all, startRevision: 22, fragment: true }), undefined);
    await bench.run();
    expect(shape(client)).toEqual([
      [61, 10, '...'],
      [61, 10, '...'],
      [61, 10, '...'],
      [61, 10],
    ]);
  });

  it('is sent early when too much is held, and nothing is lost', async () => {
    for (const limits of [{ heldBytesMax: 10_000 }, { heldEventsMax: 5 }]) {
      const bench = benchWithHistory(limits);
      const { client, stream } = bench.open();
      stream.create(createRequest({ startRevision: 1, rangeEnd: 'c' }), undefined);
      await bench.run();
      const responses = client.responses.filter(({ created }) => !created);
      expect(responses.length).toBeGreaterThan(5);
      for (const { events } of responses) expect(events.length).toBeLessThanOrEqual(8);
      const revisions = responses.flatMap(({ events }) => events.map((e) => e.kv?.modRevision));
      expect(revisions).toEqual(Array.from({ length: 60 }, (_, i) => i + 2));
    }
  });

  it('comes in small responses while other streams take up the room', async () => {
    const bench = benchWithHistory({ backlogBytesTotalMax: 60_000, messageBytesTarget: 5000 });
    const stuck = bench.open();
    stuck.client.stuck = true;
    stuck.stream.create(createRequest({ startRevision: 1, rangeEnd: 'c' }), undefined);
    await bench.run();
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 1, rangeEnd: 'c' }), undefined);
    await bench.run();
    const responses = client.responses.filter(({ created }) => !created);
    for (const { events } of responses) expect(events.length).toBeLessThan(5);
    expect(responses.flatMap(({ events }) => events)).toHaveLength(60);
  });

  it('is forgotten with its watcher', async () => {
    const bench = benchWithHistory({});
    const { client, stream } = bench.open();
    stream.create(createRequest({ startRevision: 1, rangeEnd: 'c', watchId: 7 }), undefined);
    await bench.run(5);
    expect(bench.store.historyCalls).toBeGreaterThan(1);
    stream.cancel(7);
    await bench.run();
    expect(client.responses.flatMap(({ events }) => events)).toEqual([]);
    expect(bench.hub.heldEvents).toEqual({ bytes: 0, count: 0 });
  });
});
