/** What says that the process of another member has ended, and what does not. */

import { describe, expect, it } from 'vitest';
import { connected, electionMs, linked, MemoryBench, TestMember, WireBench } from './fixtures.js';

/** Longer than any link takes to notice anything. */
const longMs = 10 * electionMs;

const benches = {
  sockets: (seed: number) => new MemoryBench(seed),
  'the wire of the simulator': (seed: number) => new WireBench(seed),
};

async function pair(
  bench: MemoryBench | WireBench,
): Promise<readonly [TestMember, TestMember, TestMember]> {
  const [a, b, c] = await connected(bench, 3);
  if (a === undefined || b === undefined || c === undefined) throw new Error('three');
  // Links that were up for long are dialled again at once.
  await bench.pass(longMs);
  return [a, b, c];
}

describe.each(Object.entries(benches))('with links over %s, a member', (_name, benchOf) => {
  it('whose process ends is known to be gone within milliseconds', async () => {
    for (const seed of [1, 2, 3, 4]) {
      const bench = benchOf(seed);
      const [a, , c] = await pair(bench);
      bench.crash(2n);
      await bench.pass(20);
      expect([a.ended[0], c.ended[0]]).toEqual([2n, 2n]);
      expect([...new Set([...a.ended, ...c.ended])]).toEqual([2n]);
      expect(linked(a, [c])).toBe(true);
    }
  });

  it('that is silent is not: its power or the network may be gone', async () => {
    const bench = benchOf(5);
    const [a, , c] = await pair(bench);
    bench.powerOff(2n);
    await bench.pass(longMs);
    expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
    bench.block(1n, 3n);
    await bench.pass(longMs);
    expect(a.transport.connectedSinceMs(3n)).toBeUndefined();
    expect([a.ended, c.ended]).toEqual([[], []]);
  });

  it('that ended while nothing got through is known to be gone afterwards', async () => {
    const bench = benchOf(6);
    const [a, b] = await pair(bench);
    bench.block(2n, 1n);
    bench.crash(2n);
    // What is left of it must not dial any more.
    await bench.wait(b.transport.stop());
    await bench.pass(longMs);
    expect(a.ended).toEqual([]);
    bench.unblock(2n, 1n);
    await bench.pass(longMs);
    expect(a.ended).toContain(2n);
  });

  it('that never was there is not', async () => {
    const bench = benchOf(7);
    const a = await TestMember.start(bench, 1n);
    a.transport.setPeers([{ id: 9n, peerUrls: ['http://127.0.0.9:2380'] }]);
    await bench.pass(longMs);
    expect(a.ended).toEqual([]);
  });

  it('whose connections break and come back is not', async () => {
    const bench = benchOf(8);
    const [a, b] = await pair(bench);
    for (let i = 0; i < 10; i += 1) {
      bench.cut(2n);
      await bench.pass(300);
    }
    await bench.until(() => linked(a, [b]));
    expect([a.ended, b.ended]).toEqual([[], []]);
  });

  it('that listens elsewhere is not', async () => {
    const bench = benchOf(9);
    const [a, b] = await pair(bench);
    a.transport.setPeers([{ id: 2n, peerUrls: ['http://127.0.0.9:2380'] }]);
    await bench.pass(longMs);
    expect(a.ended).toEqual([]);
    a.transport.setPeers([b.address]);
    await bench.until(() => linked(a, [b]));
  });
});

it('a member that refuses connections and keeps its own is not gone', async () => {
  const bench = new WireBench(10);
  const [a, b] = await pair(bench);
  bench.wire.refuse(1n, 2n);
  await bench.pass(longMs);
  expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
  expect(linked(b, [a])).toBe(true);
  expect(a.ended).toEqual([]);
  // Nor by those that it has links with, when it loses its own for a moment.
  bench.wire.admit(1n, 2n);
  await bench.until(() => linked(a, [b]));
  expect(a.ended).toEqual([]);
});

it('nor is one that lost its listeners, as long as its own links are up', async () => {
  const bench = new MemoryBench(12);
  const [a, b] = await pair(bench);
  bench.stopListening(2n);
  await bench.pass(longMs);
  expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
  expect(linked(b, [a])).toBe(true);
  expect(a.ended).toEqual([]);
  // Now the rest of it.
  bench.crash(2n);
  await bench.wait(b.transport.stop());
  await bench.pass(longMs);
  expect(a.ended).toContain(2n);
});

it('with several URLs it is gone when nobody listens at any of them', async () => {
  const bench = new MemoryBench(11);
  const [a, b] = await pair(bench);
  a.transport.setPeers([{ id: 2n, peerUrls: [...b.urls, 'http://127.0.0.77:1'] }]);
  await bench.until(() => linked(a, [b]));
  await bench.pass(longMs);
  // The one is silent, the other never was right.
  bench.block(1n, 2n);
  bench.block(2n, 1n);
  await bench.pass(3 * longMs);
  expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
  expect(a.ended).toEqual([]);
  bench.unblock(1n, 2n);
  bench.unblock(2n, 1n);
  await bench.until(() => linked(a, [b]));
  bench.crash(2n);
  await bench.wait(b.transport.stop());
  await bench.until(() => a.ended.length > 0);
  expect(a.ended[0]).toBe(2n);
});
