import { describe, expect, it } from 'vitest';
import { openLevelStore } from '../../../src/storage/index.js';
import { at, compact, del, dump, inTempDir, openStore, put, rangeOf } from './helpers.js';

describe('the store on LevelDB', () => {
  it('keeps everything over a restart', () =>
    inTempDir(async (dir) => {
      let store = await openStore(await openLevelStore(dir));
      expect(store.revision).toBe(1);
      for (let i = 0; i < 50; i += 1) put(store, `k${i % 10}`, `v${i}`, i % 3 === 0 ? 7n : 0n);
      del(store, 'k3');
      expect(store.revision).toBe(52);
      const before = await rangeOf(store);
      const old = await rangeOf(store, {}, at(20));
      await store.close();
      store = await openStore(await openLevelStore(dir));
      expect(store.revision).toBe(52);
      expect(store.keyCount).toBe(9);
      expect(await rangeOf(store)).toEqual(before);
      expect(await rangeOf(store, {}, at(20))).toEqual(old);
      expect(before.count).toBe(9);
      await store.close();
    }));

  it('compacts and goes on', () =>
    inTempDir(async (dir) => {
      let store = await openStore(await openLevelStore(dir));
      for (let i = 0; i < 50; i += 1) put(store, `k${i % 10}`, `v${i}`);
      del(store, 'k3');
      compact(store, 52);
      await store.compactionDone();
      expect((await dump(store)).length).toBe(9);
      await expect(rangeOf(store, {}, at(51))).rejects.toThrow('compacted');
      await store.close();
      store = await openStore(await openLevelStore(dir));
      expect((await dump(store)).length).toBe(9);
      expect(store.compactRevision).toBe(52);
      await store.close();
    }));
});
