/** The saved index: used only when it is right, and never more than a short cut. */

import { beforeEach, describe, expect, it } from 'vitest';
import { revisionKey } from '../../../src/storage/schema/keys.js';
import { compact, del, dump, put, rangeOf } from './helpers.js';
import { SimStore } from './sim-store.js';

let sim: SimStore;

/** Whether the next start reads old records is seen by damaging one that is not current. */
async function readsOldRecords(): Promise<boolean> {
  await sim.run(sim.store.close());
  sim.disk.flipBit('d', revisionKey(2, 0, false), 5);
  try {
    await sim.open();
    return false;
  } catch {
    return true;
  } finally {
    sim.disk.flipBit('d', revisionKey(2, 0, false), 5);
  }
}

beforeEach(async () => {
  sim = new SimStore(1);
  sim.checkpointKeysMin = 0;
  await sim.open();
  for (let i = 0; i < 20; i += 1) put(sim.store, `k${i % 7}`, `v${i}`, i % 2 === 0 ? 9n : 0n);
  del(sim.store, 'k3');
});

describe('the checkpoint of the index', () => {
  it('spares reading the records after an orderly stop, history and leases included', async () => {
    const before = await sim.run(rangeOf(sim.store));
    const leases = new Map(sim.store.leasedKeys());
    expect(await readsOldRecords()).toBe(false);
    expect(await sim.run(rangeOf(sim.store))).toEqual(before);
    expect(new Map(sim.store.leasedKeys())).toEqual(leases);
    const old = await sim.run(rangeOf(sim.store, {}, { main: 10, sub: Infinity }));
    expect(old.kvs.map((kv) => kv.modRevision)).toEqual([9, 10, 4, 5, 6, 7, 8]);
  });

  it('is not made for a small store', async () => {
    sim = new SimStore(1);
    await sim.open();
    put(sim.store, 'a', '1');
    put(sim.store, 'a', '2');
    expect(await readsOldRecords()).toBe(true);
  });

  it('is completed by the records that came after it, after a crash too', async () => {
    await sim.restart();
    put(sim.store, 'k1', 'later');
    put(sim.store, 'new', 'n', 4n);
    del(sim.store, 'k5');
    await sim.run(sim.store.flushSync());
    const before = await sim.run(dump(sim.store));
    sim.disk.flipBit('d', revisionKey(2, 0, false), 5);
    await sim.crash();
    expect(await sim.run(dump(sim.store))).toEqual(before);
    expect(sim.store.present.lease('new')).toBe(4n);
    expect(sim.store.present.lease('k5')).toBe(0n);
  });

  it('is used after a compaction, too, which the start repeats in memory', async () => {
    await sim.restart();
    put(sim.store, 'k3', 'again');
    compact(sim.store, 19);
    await sim.run(sim.store.compactionDone());
    await sim.run(sim.store.flushSync());
    const before = await sim.run(dump(sim.store));
    // Revision 19 is in the checkpoint and in the store; if it were read, the damage would show.
    expect(sim.disk.flipBit('d', revisionKey(19, 0, false), 5)).toBe(true);
    await sim.crash();
    sim.disk.flipBit('d', revisionKey(19, 0, false), 5);
    expect(await sim.run(dump(sim.store))).toEqual(before);
  });

  it('is replaced by the next one, also by a smaller one', async () => {
    await sim.restart();
    del(sim.store, '\0', '\0');
    put(sim.store, 'a', '1');
    expect(await readsOldRecords()).toBe(false);
    expect(await sim.run(dump(sim.store))).toEqual(['a=1']);
  });

  it.each([
    ['header', 0x7d],
    ['block', 0x7c],
  ])('is passed over when a %s is damaged, and made anew', async (_what, prefix) => {
    await sim.run(sim.store.close());
    const key = sim.disk.keys('d').find((k) => k[0] === prefix) ?? Buffer.alloc(0);
    expect(sim.disk.flipBit('d', key, 77)).toBe(true);
    await sim.open();
    expect((await sim.run(dump(sim.store))).length).toBe(6);
    expect(new Map(sim.store.leasedKeys()).size).toBeGreaterThan(0);
    await sim.wait(50);
    expect(await readsOldRecords()).toBe(false);
  });
});
