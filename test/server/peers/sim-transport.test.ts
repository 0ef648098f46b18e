/** The simulator's peer transport: what all do, and the faults that only it has. */

import { describe, expect, it } from 'vitest';
import { peerConformance } from './conformance.js';
import { connected, electionMs, linked, type TestMember, WireBench } from './fixtures.js';
import { appendOf, heartbeat } from './messages.js';
import { snapshotConformance, snapshotFaults } from './snapshot-conformance.js';

for (const seed of [1, 2, 3]) {
  peerConformance(`simulated wire, seed ${seed}`, () => new WireBench(seed));
  snapshotConformance(`simulated wire, seed ${seed}`, () => new WireBench(seed));
  snapshotFaults(`simulated wire, seed ${seed}`, () => new WireBench(seed), false);
}

const sequences = (member: TestMember) =>
  member.messages.map((message) => ('readSequence' in message ? message.readSequence : -1));

async function pair(bench: WireBench): Promise<readonly [TestMember, TestMember]> {
  const [a, b] = await connected(bench, 2);
  if (a === undefined || b === undefined) throw new Error('two');
  return [a, b];
}

/** Sends 500 heartbeats from 1 to 2, one a millisecond, and lets them arrive. */
async function heartbeats(bench: WireBench, a: TestMember): Promise<void> {
  for (let n = 0; n < 500; n++) {
    a.transport.send([heartbeat(1n, 2n, n)]);
    await bench.pass(1);
  }
  await bench.pass(100);
}

const all = Array.from({ length: 500 }, (_, n) => n);

describe('faults of the simulated wire', () => {
  it('lose messages, and nothing else', async () => {
    const bench = new WireBench(5, { lossChance: 0.3 });
    const [a, b] = await pair(bench);
    await heartbeats(bench, a);
    const got = sequences(b);
    expect(bench.wire.counts).toMatchObject({ sent: 500, delivered: got.length });
    expect(bench.wire.counts.lost).toBe(500 - got.length);
    expect(got.length).toBeGreaterThan(250);
    expect(got.length).toBeLessThan(450);
    expect(got).toEqual(got.toSorted((x, y) => x - y));
  });

  it('repeat messages', async () => {
    const bench = new WireBench(5, { duplicateChance: 0.2 });
    const [a, b] = await pair(bench);
    await heartbeats(bench, a);
    const got = sequences(b);
    expect([...new Set(got)]).toEqual(all);
    expect(got.length).toBe(500 + bench.wire.counts.duplicated);
    expect(bench.wire.counts.duplicated).toBeGreaterThan(50);
  });

  it('reorder messages', async () => {
    const bench = new WireBench(5, { reorderChance: 0.2, reorderMsMax: 20 });
    const [a, b] = await pair(bench);
    await heartbeats(bench, a);
    const got = sequences(b);
    expect(got).not.toEqual(all);
    expect(got.toSorted((x, y) => x - y)).toEqual(all);
  });

  it('damage messages, which are never taken for others', async () => {
    const bench = new WireBench(5, { corruptChance: 0.02 });
    const [a, b] = await pair(bench);
    await heartbeats(bench, a);
    const { corrupted } = bench.wire.counts;
    expect(corrupted).toBeGreaterThan(2);
    for (const message of b.messages) {
      const n = 'readSequence' in message ? message.readSequence : -1;
      expect(message).toEqual(heartbeat(1n, 2n, n));
    }
    expect([...b.metrics.receivedFailures.rows()]).toEqual([
      { labels: { From: '1' }, value: corrupted },
    ]);
    // The link broke each time, and came back.
    expect(a.lost.length).toBeGreaterThan(2);
    expect(b.messages.length).toBeGreaterThan(50);
  });

  it('are those of one direction of one pair', async () => {
    const bench = new WireBench(5);
    const [a, b] = await pair(bench);
    bench.wire.setPairFaults(1n, 2n, { lossChance: 1 });
    a.transport.send([heartbeat(1n, 2n, 1)]);
    b.transport.send([heartbeat(2n, 1n, 2)]);
    await bench.pass(50);
    expect([sequences(a), sequences(b)]).toEqual([[2], []]);
    bench.wire.heal();
    a.transport.send([heartbeat(1n, 2n, 3)]);
    await bench.pass(50);
    expect(sequences(b)).toEqual([3]);
  });

  it('block one way: that link is given up in time, and comes back', async () => {
    const bench = new WireBench(5);
    const [a, b] = await pair(bench);
    bench.block(1n, 2n);
    a.transport.send([heartbeat(1n, 2n, 1)]);
    b.transport.send([heartbeat(2n, 1n, 2)]);
    await bench.pass(50);
    expect([sequences(a), sequences(b)]).toEqual([[2], []]);
    expect(a.transport.connectedSinceMs(2n)).toBeDefined();
    await bench.pass(2 * electionMs);
    expect(a.transport.connectedSinceMs(2n)).toBeUndefined();
    expect(a.lost).toEqual([2n]);
    bench.unblock(1n, 2n);
    const healedMs = bench.clock.nowMs();
    await bench.until(() => linked(a, [b]));
    expect(bench.clock.nowMs() - healedMs).toBeLessThan(4000);
  });

  it('a process that is gone says nothing more, and is told nothing', async () => {
    const bench = new WireBench(5);
    const [a, b] = await pair(bench);
    let settled = false;
    const note = (): void => {
      settled = true;
    };
    b.answer = () => new Promise(() => {});
    a.transport.call(2n, 'hashKv', Buffer.alloc(0), 500).then(note, note);
    b.transport.send([heartbeat(2n, 1n, 1)]);
    bench.crash(1n);
    await bench.pass(5000);
    expect([a.messages, a.lost, settled]).toEqual([[], [], false]);
    expect(b.lost.length).toBeGreaterThan(0);
    expect(b.transport.connectedSinceMs(1n)).toBeUndefined();
  });

  it('a process that stands still gets its messages later', async () => {
    const bench = new WireBench(5);
    const [a, b] = await pair(bench);
    bench.processes.get(2n)?.freeze();
    a.transport.send([heartbeat(1n, 2n, 1)]);
    await bench.pass(50);
    expect(b.messages).toEqual([]);
    bench.processes.get(2n)?.unfreeze();
    await bench.pass(50);
    expect(sequences(b)).toEqual([1]);
  });

  it('happen the same way again with the same seed', async () => {
    const faults = {
      lossChance: 0.1,
      duplicateChance: 0.1,
      reorderChance: 0.1,
      reorderMsMax: 50,
      corruptChance: 0.01,
      delayMsMax: 5,
    };
    const run = async (seed: number) => {
      const bench = new WireBench(seed, faults);
      const [a, b] = await pair(bench);
      await heartbeats(bench, a);
      a.transport.send([appendOf(1n, 2n, 0, 5, 100)]);
      await bench.pass(100);
      return { counts: bench.wire.counts, got: sequences(b), events: bench.clock.eventsFired };
    };
    const first = await run(11);
    expect(await run(11)).toEqual(first);
    expect(await run(12)).not.toEqual(first);
  });
});
