/**
 * Reads from a disk that takes seconds for each: they may take their time, but nobody else. A
 * process has four threads for its files; the log needs one of them for each write, the KvStore
 * another.
 */

import { describe, expect, it } from 'vitest';
import { coldReadsAtOnceMax } from '../../src/common/index.js';
import { encodePutRequest, encodeRangeRequest } from '../../src/proto/index.js';
import { SimThreads } from '../../src/sim/index.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { SimMachine, type SimProcess } from './sim-node.js';

const readLatencyMs = 3000;
const keys = 400;

/** A node that has nothing of its data in memory, and whose disk has become slow for reads. */
async function start(seed: number): Promise<{ machine: SimMachine; node: SimProcess }> {
  const threads = new SimThreads(4);
  const machine = new SimMachine(seed, { threads, readLatencyMs });
  const node = await machine.start('--value-cache-bytes', '1');
  if (node === undefined) throw new Error('the node does not start');
  for (let i = 0; i < keys; i += 1) {
    const value = Buffer.alloc(3000, i);
    const put = node.call('KV/Put', encodePutRequest({ key: `key-${i}`, value }));
    expect((await machine.clock.runUntil(put)).ok).toBe(true);
  }
  await machine.clock.runUntil(node.node.store.flushSync());
  return { machine, node };
}

const value = Buffer.alloc(100, 1);

function read(node: SimProcess, key: string, rangeEnd = ''): Promise<Outcome> {
  return node.call('KV/Range', encodeRangeRequest({ key, rangeEnd, serializable: true }));
}

describe('a disk that is slow to read', () => {
  it('keeps neither the log nor what is in memory waiting, however many read', async () => {
    const { machine, node } = await start(1);
    const { clock } = machine;
    let answered = 0;
    const reads: Array<Promise<Outcome>> = [];
    for (let i = 0; i < keys / 2; i += 1) reads.push(read(node, `key-${i}`));
    // Scans of all, too, and history for watchers.
    for (let i = 0; i < 5; i += 1) reads.push(read(node, 'key-', 'key.'));
    const pages = [node.node.store.history(2, 1000, 10_000), node.node.store.history(3, 1000, 1)];
    let longestMs = 0;
    const untilMs = clock.nowMs() + 2 * readLatencyMs;
    for (let i = 0; clock.nowMs() < untilMs; i += 1) {
      const startMs = clock.nowMs();
      // And all the time others come, in turns of their own.
      const late = read(node, `key-${i % keys}`);
      void late.then(() => (answered += 1));
      reads.push(late);
      const put = node.call('KV/Put', encodePutRequest({ key: `new-${i % 7}`, value }));
      expect((await clock.runUntil(put)).ok).toBe(true);
      // It is not in the KvStore yet, so it is in memory.
      expect((await clock.runUntil(read(node, `new-${i % 7}`))).ok).toBe(true);
      longestMs = Math.max(longestMs, clock.nowMs() - startMs);
    }
    // A write and an fsync on this disk are 20 ms at worst each, a read would be 3,000.
    expect(longestMs).toBeLessThan(500);
    expect(answered).toBeGreaterThan(50);
    const outcomes = await clock.runUntil(Promise.all(reads));
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
    const histories = await clock.runUntil(Promise.all(pages));
    expect(histories.map(({ events }) => events.length > 0)).toEqual([true, true]);
    expect(node.fatal).toEqual([]);
    machine.crash();
  });

  it('is asked by few reads at once, single ones and pages', async () => {
    const { machine, node } = await start(2);
    const { clock } = machine;
    const store = node.node.store;
    const startMs = clock.nowMs();
    const single = read(node, 'key-1').then(() => clock.nowMs() - startMs);
    // Two pages of the same scan, behind one of history: they come one after the other.
    const scan = read(node, 'key-', 'key.').then(() => clock.nowMs() - startMs);
    const other = store.history(2, 1000, 1).then(() => clock.nowMs() - startMs);
    const took = await clock.runUntil(Promise.all([single, scan, other]));
    expect(coldReadsAtOnceMax).toBe(2);
    expect(took.map((ms) => Math.round(ms / readLatencyMs))).toEqual([1, 3, 1]);
    machine.crash();
  });
});
