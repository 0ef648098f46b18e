/**
 * What the store takes on disk, and what of it is in use: tools tell from the two how much a
 * defragmentation would give back. On LevelDB and on the simulated store.
 */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SimClock, SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import { type MvccStore, openLevelStore } from '../../../src/storage/index.js';
import { compact, inTempDir, openStore, put, realClock } from './helpers.js';

const value = 'v'.repeat(1000);

/** Opens the store in the same place each time. */
interface Place {
  open(): Promise<MvccStore>;
  run<T>(promise: Promise<T>): Promise<T>;
  pass(ms: number): Promise<void>;
}

async function onLevelDb(use: (place: Place) => Promise<void>): Promise<void> {
  await inTempDir((dir) =>
    use({
      open: async () => openStore(await openLevelStore(join(dir, 'kv')), realClock),
      run: (promise) => promise,
      pass: (ms) => new Promise((resolve) => void realClock.after(ms, () => resolve())),
    }),
  );
}

async function simulated(use: (place: Place) => Promise<void>): Promise<void> {
  const clock = new SimClock();
  const disk = new SimKvDisk({ clock, random: new SimRandom(1) });
  await use({
    open: () => clock.runUntil(disk.open('d').then((kv) => openStore(kv, clock))),
    run: (promise) => clock.runUntil(promise),
    pass: (ms) => clock.run(clock.nowMs() + ms),
  });
}

/** Times are short on purpose: that the store measures by itself is for the last test. */
describe.each([
  ['LevelDB', onLevelDb],
  ['the simulated store', simulated],
])('sizes on %s', (_name, on) => {
  it('are never 0, and all that is in use is allocated', async () => {
    await on(async ({ open, run }) => {
      let store = await open();
      expect(store.inUseBytes).toBeGreaterThan(0);
      expect(store.allocatedBytes).toBeGreaterThanOrEqual(store.inUseBytes);
      put(store, 'a', value);
      const { inUseBytes } = store;
      expect(inUseBytes).toBeGreaterThan(1000);
      expect(store.allocatedBytes).toBeGreaterThanOrEqual(inUseBytes);
      await run(store.close());
      store = await open();
      // What it had before, and perhaps the index that was saved at the end.
      expect(store.inUseBytes).toBeGreaterThanOrEqual(inUseBytes);
      expect(store.allocatedBytes).toBeGreaterThanOrEqual(store.inUseBytes);
      await run(store.close());
    });
  });

  it('grow with history; a compaction frees, and defragmentation gives back', async () => {
    await on(async ({ open, run }) => {
      const store = await open();
      const before = store.allocatedBytes;
      for (let i = 0; i < 1000; i += 1) put(store, `k${i % 10}`, value);
      await run(store.flushSync());
      const full = { allocated: store.allocatedBytes, inUse: store.inUseBytes };
      expect(full.inUse).toBeGreaterThan(1_000_000);
      expect(full.allocated).toBeGreaterThan(before + 1_000_000);

      compact(store, store.revision);
      await run(store.compactionDone());
      const compacted = { allocated: store.allocatedBytes, inUse: store.inUseBytes };
      expect(compacted.inUse).toBeLessThan(full.inUse / 5);
      expect(compacted.allocated).toBeGreaterThanOrEqual(full.inUse);

      await run(store.defragment());
      const after = { allocated: store.allocatedBytes, inUse: store.inUseBytes };
      expect(after.inUse).toBe(compacted.inUse);
      expect(after.allocated).toBeLessThan(compacted.allocated / 5);
      // Nearly all of what is left is in use, so that nobody defragments for ever.
      expect(after.allocated - after.inUse).toBeLessThan(after.allocated / 2);
      await run(store.close());
    });
  });

  it('count what a lease, or another record beside the keys, takes', async () => {
    await on(async ({ open, run }) => {
      let store = await open();
      const before = store.inUseBytes;
      const txn = store.begin(1, 1);
      txn.setMeta('one', Buffer.alloc(5000));
      txn.setMeta('two', Buffer.alloc(700));
      txn.commit();
      expect(store.inUseBytes - before).toBeGreaterThan(5700);
      await run(store.flushSync());
      const { inUseBytes } = store;
      await run(store.close());
      store = await open();
      expect(store.inUseBytes).toBe(inUseBytes);
      const next = store.begin(2, 1);
      next.setMeta('one', undefined);
      next.setMeta('two', Buffer.alloc(800));
      next.commit();
      expect(store.inUseBytes).toBeLessThan(inUseBytes - 4800);
      await run(store.close());
    });
  });
});

it('the store measures its files again some time after it has written', async () => {
  await simulated(async ({ open, run, pass }) => {
    const store = await open();
    for (let i = 0; i < 100; i += 1) put(store, 'k', value);
    await run(store.flushSync());
    compact(store, store.revision);
    await run(store.compactionDone());
    for (let i = 0; i < 100; i += 1) put(store, 'k', value);
    await run(store.flushSync());
    const early = store.allocatedBytes;
    await pass(60_000);
    expect(store.allocatedBytes).toBeGreaterThan(early + 50_000);
    await run(store.close());
  });
});
