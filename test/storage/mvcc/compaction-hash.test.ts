/**
 * HashKV at compacted revisions, with the answers that etcd 3.7.3 gives to the same changes: it
 * hashes what each compaction covers before that is removed, and answers from the last ten.
 */

import { describe, expect, it } from 'vitest';
import { SimClock, SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import type { MvccStore } from '../../../src/storage/index.js';
import { compact, del, openStore, put } from './helpers.js';

/** As etcd said it: hash, and the compaction that the hash stands on. */
type Answer = readonly [hash: number, compactRevision: number] | 'COMPACTED';

class Machine {
  readonly clock = new SimClock();
  readonly disk = new SimKvDisk({ clock: this.clock, random: new SimRandom(7) });
  readonly fatal: Error[] = [];

  async open(compactionSleepMs = 0): Promise<MvccStore> {
    const kv = await this.run(this.disk.open('d'));
    const options = { compactionSleepMs, cacheBytesMax: 0 };
    return this.run(openStore(kv, this.clock, options, (error) => this.fatal.push(error)));
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.runUntil(promise);
  }

  async compact(store: MvccStore, revision: number): Promise<void> {
    compact(store, revision);
    await this.run(store.compactionDone());
  }

  async ask(store: MvccStore, revision: number): Promise<Answer> {
    try {
      const { hash, compactRevision } = await this.run(store.hashKv(revision));
      return [hash, compactRevision];
    } catch (error) {
      return (error as { reason: 'COMPACTED' }).reason;
    }
  }

  async expect(store: MvccStore, answers: Readonly<Record<number, Answer>>): Promise<void> {
    const found: Record<number, Answer> = {};
    for (const at of Object.keys(answers)) found[Number(at)] = await this.ask(store, Number(at));
    expect(found).toEqual(answers);
  }
}

/** Revisions 2 to 6. */
function fill(store: MvccStore): void {
  put(store, 'a', '1');
  put(store, 'b', '1');
  put(store, 'a', '2');
  del(store, 'b');
  put(store, 'c', '1');
}

/** What etcd answers after `fill`, before any compaction. */
const before = {
  3: [2143169314, -1],
  5: [1416966122, -1],
  6: [3076932441, -1],
} as const;

describe('HashKV at a compacted revision', () => {
  it('is what it was before the compaction, and after the next ones', async () => {
    const machine = new Machine();
    const store = await machine.open();
    fill(store);
    await machine.expect(store, before);
    await machine.compact(store, 3);
    await machine.expect(store, {
      2: 'COMPACTED',
      3: [2143169314, -1],
      4: [2393049859, 3],
      5: [194725478, 3],
      6: [2664599291, 3],
      0: [2664599291, 3],
    });
    // A revision that deletes.
    await machine.compact(store, 5);
    const kept = { 3: [2143169314, -1], 4: 'COMPACTED', 5: [194725478, 3] } as const;
    await machine.expect(store, { ...kept, 6: [709067906, 5] });
    put(store, 'a', '3');
    del(store, 'a', '\0');
    await machine.expect(store, { ...kept, 7: [643951048, 5], 8: [3888644198, 5] });
    await machine.compact(store, 7);
    await machine.expect(store, { ...kept, 7: [643951048, 5], 8: [1301707201, 7] });
    // Nothing lives at this one.
    await machine.compact(store, 8);
    await machine.expect(store, { ...kept, 7: [643951048, 5], 8: [2995024033, 7] });
    await machine.expect(store, { 0: [1084519789, 8] });
    put(store, 'x', '1');
    await machine.compact(store, 9);
    await machine.expect(store, { ...kept, 8: [2995024033, 7], 9: [1485623432, 8] });
    await machine.run(store.close());

    const again = await machine.open();
    await machine.expect(again, { 3: 'COMPACTED', 8: 'COMPACTED', 9: [1485623432, 9] });
    for (let i = 0; i < 15; i += 1) put(again, `k${i % 4}`, `${i}`);
    for (let r = 10; r <= 23; r += 1) await machine.compact(again, r);
    await machine.expect(again, {
      9: 'COMPACTED',
      13: 'COMPACTED',
      14: [4242638554, 13],
      15: [2414930074, 14],
      16: [2430290189, 15],
      17: [2437462241, 16],
      18: [1456057740, 17],
      19: [3683057261, 18],
      20: [2382837402, 19],
      21: [1141406934, 20],
      22: [2023534151, 21],
      23: [1319194559, 22],
      24: [3556090447, 23],
    });
    expect(machine.fatal).toEqual([]);
  });

  it('holds for compactions that follow each other faster than they are done', async () => {
    const machine = new Machine();
    const store = await machine.open();
    fill(store);
    for (const revision of [3, 5, 6]) compact(store, revision);
    // Asked for while nothing has been removed yet.
    const early = [3, 5].map((revision) => store.hashKv(revision));
    const [three, five] = await machine.run(Promise.all(early));
    expect(three).toMatchObject({ hash: 2143169314, compactRevision: -1 });
    expect(five).toMatchObject({ hash: 194725478, compactRevision: 3 });
    await machine.run(store.compactionDone());
    await machine.expect(store, { 3: [2143169314, -1], 5: [194725478, 3], 6: [709067906, 5] });
  });

  it('keeps the last ten, also when more wait to be done', async () => {
    const machine = new Machine();
    const store = await machine.open();
    for (let i = 0; i < 40; i += 1) put(store, `k${i % 3}`, `${i}`);
    const before = new Map<number, Answer>();
    for (let r = 3; r <= 40; r += 1) {
      compact(store, r);
      before.set(r, 'COMPACTED');
    }
    await machine.run(store.compactionDone());
    const known = [];
    for (let r = 3; r <= 40; r += 1) {
      const answer = await machine.ask(store, r);
      if (answer !== 'COMPACTED') known.push([r, answer[1]]);
    }
    expect(known).toEqual(Array.from({ length: 10 }, (_, i) => [31 + i, 30 + i]));
  });

  it('is not made up for a compaction that another process left unfinished', async () => {
    const machine = new Machine();
    const first = await machine.open(1000);
    for (let i = 0; i < 60; i += 1) put(first, 'k', `${i}`);
    await machine.run(first.flushSync());
    compact(first, 50);
    // It has its hash, and has begun to remove.
    await machine.expect(first, { 50: [expect.any(Number), -1] as never });
    await machine.clock.run(machine.clock.nowMs() + 500);
    machine.disk.crash('d');

    const second = await machine.open();
    expect(second.compactRevision).toBe(50);
    await machine.run(second.compactionDone());
    const [, compactRevision] = await machine.ask(second, 50);
    expect(compactRevision).toBe(50);
    await machine.compact(second, 55);
    expect(await machine.ask(second, 55)).toMatchObject([expect.any(Number), 50]);
  });

  it('removes in spite of a damaged record, and tells', async () => {
    const machine = new Machine();
    const store = await machine.open();
    fill(store);
    await machine.run(store.flushSync());
    const [key] = machine.disk.keys('d').filter((one) => one[0] === 0x6b);
    expect(machine.disk.flipBit('d', key as Buffer, 77)).toBe(true);
    await machine.compact(store, 5);
    expect(machine.fatal).toEqual([]);
    expect(store.compactedKeys).toBe(2);
    expect(await machine.ask(store, 5)).toEqual([1336054247, 5]);
  });
});
