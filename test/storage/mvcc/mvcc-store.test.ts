import { describe, expect, it } from 'vitest';
import { flushUnitRecordsMax } from '../../../src/common/index.js';
import { openLevelStore } from '../../../src/storage/index.js';
import { revisionKey } from '../../../src/storage/schema/keys.js';
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
      // Of 51 the nine live ones stay, and the tombstone: it is at the compacted revision itself.
      expect(store.compactedKeys).toBe(51 - 10);
      await expect(rangeOf(store, {}, at(51))).rejects.toThrow('compacted');
      await store.close();
      store = await openStore(await openLevelStore(dir));
      expect((await dump(store)).length).toBe(9);
      expect(store.compactRevision).toBe(52);
      await store.close();
    }));

  it('writes many entries in batches of a bounded size, whatever they hold', () =>
    inTempDir(async (dir) => {
      const kv = await openLevelStore(dir);
      const sizes: number[] = [];
      const write = kv.write.bind(kv);
      kv.write = (changes, options) => {
        sizes.push(changes.length);
        return write(changes, options);
      };
      const store = await openStore(kv);
      const { index } = store.applied;
      for (let i = 1; i <= 10_000; i += 1) {
        const txn = store.begin(index + i, 1);
        txn.setMeta(`lease/${i}`, Buffer.from('x'));
        txn.commit();
      }
      await store.flushSync();
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThanOrEqual(10_000);
      expect(Math.max(...sizes)).toBeLessThan(flushUnitRecordsMax + 10);
      await store.close();
    }));

  it('reports a record that was damaged on disk', () =>
    inTempDir(async (dir) => {
      const store = await openStore(await openLevelStore(dir));
      put(store, 'a', 'value');
      await store.close();
      const kv = await openLevelStore(dir);
      const key = revisionKey(2, 0, false);
      const [stored] = await kv.getMany([key]);
      const value = Buffer.from(stored ?? '');
      value.writeUInt8(value.readUInt8(3) ^ 1, 3);
      await kv.write([{ key, value }], { sync: true });
      await expect(openStore(kv)).rejects.toMatchObject({ name: 'StorageError' });
      await kv.close();
    }));
});
