/** The traps of Range (C-1.5) one by one, transactions, warm records and slices. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { mvccSliceKeysMax } from '../../../src/common/index.js';
import { encodeRangeResponse } from '../../../src/proto/index.js';
import { KeyIndex } from '../../../src/storage/index/key-index.js';
import type { MvccStore } from '../../../src/storage/index.js';
import { apply, at, del, put, query, rangeOf, show } from './helpers.js';
import { SimStore } from './sim-store.js';

let sim: SimStore;
let store: MvccStore;

beforeEach(async () => {
  sim = new SimStore(1);
  store = await sim.open();
});

const keysOf = async (fields: Parameters<typeof rangeOf>[1]) => {
  const { kvs, more, count } = await sim.run(rangeOf(store, fields));
  return { keys: kvs.map((kv) => kv.key).join(), more, count };
};

/** a: oldest creation, newest change; c: many versions. */
function abc(): void {
  put(store, 'c', '1');
  put(store, 'a', '3');
  put(store, 'b', '2');
  put(store, 'c', '0');
  put(store, 'c', '1');
  put(store, 'a', '9', 5n);
}

describe('range', () => {
  it('counts all keys whatever the limit, and says that there are more', async () => {
    abc();
    expect(await keysOf({ limit: 1 })).toEqual({ keys: 'a', more: true, count: 3 });
    expect(await keysOf({ limit: 3 })).toEqual({ keys: 'a,b,c', more: false, count: 3 });
    expect(await keysOf({ limit: -1 })).toEqual({ keys: 'a,b,c', more: false, count: 3 });
  });

  it('counts all keys whatever the filters', async () => {
    abc();
    expect(await keysOf({ minModRevision: 6 })).toEqual({ keys: 'a,c', more: false, count: 3 });
    expect(await keysOf({ maxModRevision: 4 })).toEqual({ keys: 'b', more: false, count: 3 });
    expect(await keysOf({ minCreateRevision: 3 })).toEqual({ keys: 'a,b', more: false, count: 3 });
    expect(await keysOf({ maxCreateRevision: 2 })).toEqual({ keys: 'c', more: false, count: 3 });
  });

  it('computes more after filtering', async () => {
    abc();
    const one = await keysOf({ minModRevision: 6, limit: 1 });
    expect(one).toEqual({ keys: 'a', more: true, count: 3 });
    const two = await keysOf({ minModRevision: 6, limit: 2 });
    expect(two).toEqual({ keys: 'a,c', more: false, count: 3 });
  });

  it('sorts after limiting when the order is NONE, before it when it is ASCEND', async () => {
    abc();
    // Of a (mod 7) and b (mod 4), the first two by key, b is the oldest change.
    expect((await keysOf({ sortTarget: 3, limit: 1 })).keys).toBe('b');
    expect((await keysOf({ sortTarget: 3, sortOrder: 1, limit: 1 })).keys).toBe('b');
    // By creation c is first, but NONE takes only a and b into account.
    expect((await keysOf({ sortTarget: 2, limit: 1 })).keys).toBe('a');
    expect((await keysOf({ sortTarget: 2, sortOrder: 1, limit: 1 })).keys).toBe('c');
  });

  it('sorts by each target in both directions', async () => {
    abc();
    const sorted = async (sortTarget: number): Promise<string[]> => [
      (await keysOf({ sortTarget, sortOrder: 1 })).keys,
      (await keysOf({ sortTarget, sortOrder: 2 })).keys,
    ];
    expect(await sorted(0)).toEqual(['a,b,c', 'c,b,a']);
    expect(await sorted(1)).toEqual(['b,a,c', 'c,a,b']);
    expect(await sorted(2)).toEqual(['c,a,b', 'b,a,c']);
    expect(await sorted(3)).toEqual(['b,c,a', 'a,c,b']);
    expect(await sorted(4)).toEqual(['c,b,a', 'a,b,c']);
  });

  it('finds the last keys with a limit', async () => {
    abc();
    del(store, 'b');
    const last = await keysOf({ sortOrder: 2, limit: 1 });
    expect(last).toEqual({ keys: 'c', more: true, count: 2 });
    const both = await keysOf({ sortOrder: 2, limit: 2 });
    expect(both).toEqual({ keys: 'c,a', more: false, count: 2 });
  });

  it('answers keysOnly without lease, but with it when sorted by value', async () => {
    abc();
    const { kvs } = await rangeOf(store, { key: 'a', rangeEnd: '', keysOnly: true });
    expect(kvs).toEqual([
      { key: 'a', createRevision: 3, modRevision: 7, version: 2, value: '', lease: 0n },
    ]);
    const sorted = await rangeOf(store, { keysOnly: true, sortTarget: 4, sortOrder: 1 });
    expect(sorted.kvs.map((kv) => [kv.key, kv.value, kv.lease])).toEqual([
      ['c', '', 0n],
      ['b', '', 0n],
      ['a', '', 5n],
    ]);
  });

  it('gives the same keys in pages of the reply, if asked to', async () => {
    const lengths = [1, 63, 64, 65, 95, 96, 97, 98, 127, 128, 300, 5_000, 70_000];
    for (const length of lengths) put(store, 'k'.repeat(length), '1', 7n);
    for (let i = 0; i < 3_000; i++) put(store, `many/${i}`, '1');
    for (let i = 0; i < 300; i++) put(store, 'many/7', '1');
    del(store, 'many/8');
    const past = at(store.revision - 200);
    for (const limit of [0, 1, 100, 2_999]) {
      for (const point of [undefined, past]) {
        const fields = { keysOnly: true, limit };
        const listed = await sim.run(Promise.resolve(store.range(query(fields), point)));
        const wanted = { ...query(fields), paged: true };
        const paged = await sim.run(Promise.resolve(store.range(wanted, point)));
        const pages = paged.pages ?? [];
        expect(paged).toEqual({ ...listed, kvs: [], pages });
        const bytes = Buffer.concat(encodeRangeResponse(undefined, paged));
        const same = bytes.equals(Buffer.concat(encodeRangeResponse(undefined, listed)));
        expect(same, `limit ${limit}`).toBe(true);
        expect(pages.length).toBeLessThan(40);
      }
    }
  });

  it('does not read values for keysOnly', async () => {
    sim = new SimStore(1, { cacheBytesMax: 0 });
    store = await sim.open();
    abc();
    await sim.run(store.flushSync());
    expect(store.range(query({ keysOnly: true }), undefined)).not.toBeInstanceOf(Promise);
    expect(store.range(query({}), undefined)).toBeInstanceOf(Promise);
  });

  it('gives no keys and not more for countOnly', async () => {
    abc();
    const counted = await keysOf({ countOnly: true, limit: 1, minModRevision: 100 });
    expect(counted).toEqual({ keys: '', more: false, count: 3 });
  });

  it('is empty when its end is not after its start', async () => {
    abc();
    for (const rangeEnd of ['a', 'b']) {
      expect(await keysOf({ key: 'b', rangeEnd })).toEqual({ keys: '', more: false, count: 0 });
    }
  });

  it('takes the end as not included, and a zero byte as no end', async () => {
    abc();
    expect((await keysOf({ key: 'a', rangeEnd: 'c' })).keys).toBe('a,b');
    expect((await keysOf({ key: 'b', rangeEnd: '\0' })).keys).toBe('b,c');
    expect((await keysOf({ key: '\0', rangeEnd: '\0' })).keys).toBe('a,b,c');
    expect((await keysOf({ key: 'b', rangeEnd: '' })).keys).toBe('b');
  });

  it('reads at an old revision, and not at a compacted one', async () => {
    abc();
    const old = await rangeOf(store, {}, at(3));
    expect(old.kvs.map((kv) => `${kv.key}${kv.version}`)).toEqual(['a1', 'c1']);
    expect(old.count).toBe(2);
  });

  it('sees the changes of a transaction up to the point it was asked at', async () => {
    put(store, 'a', 'before');
    const txn = store.begin(2, 1);
    const first = txn.readPoint();
    txn.put('a', Buffer.from('1'), 0n);
    const second = txn.readPoint();
    txn.deleteRange('a', '\0');
    txn.put('b', Buffer.from('2'), 0n);
    expect(txn.countRange('\0', '\0')).toBe(1);
    expect(txn.state('a')).toBeUndefined();
    txn.commit();
    const value = async (point: typeof first) =>
      (await rangeOf(store, {}, point)).kvs.map((kv) => `${kv.key}=${kv.value}`);
    expect(await value(first)).toEqual(['a=before']);
    expect(await value(second)).toEqual(['a=1']);
    expect((await rangeOf(store)).kvs.map((kv) => kv.key)).toEqual(['b']);
  });
});

describe('a transaction', () => {
  it('takes no revision if it changes nothing', () => {
    put(store, 'a', '1');
    expect(del(store, 'x')).toMatchObject({ revision: 2, events: [] });
    expect(del(store, 'b', '\0').events).toEqual([]);
    const txn = store.begin(store.applied.index + 1, 1);
    expect(txn.changed).toBe(false);
    txn.setMeta('m', Buffer.from('x'));
    expect(txn.commit().revision).toBe(2);
    expect(store.applied.index).toBe(4);
  });

  it('numbers its changes, deletes in key order, and tells what was there before', () => {
    apply(store, [
      { type: 'put', key: 'b', value: '1' },
      { type: 'put', key: 'a', value: '2', lease: 9n },
    ]);
    const { events, revision } = apply(store, [
      { type: 'delete', key: 'a', end: '\0' },
      { type: 'put', key: 'c', value: '3' },
    ]);
    expect(revision).toBe(3);
    expect(events.map((e) => `${e.type} ${e.key} ${e.modRevision}.${e.sub}`)).toEqual([
      'delete a 3.0',
      'delete b 3.1',
      'put c 3.2',
    ]);
    const [a, , c] = events;
    const empty = { createRevision: 0, version: 0, value: '', lease: 0n };
    expect(a && show(a.kv)).toEqual({ ...empty, key: 'a', modRevision: 3 });
    expect(a?.prevKv && show(a.prevKv)).toMatchObject({ value: '2', lease: 9n, modRevision: 2 });
    expect(c?.prevKv).toBeNull();
    expect(c?.isCreate).toBe(true);
  });

  it('starts version and creation again after a delete, and a put takes the lease away', () => {
    put(store, 'a', '1', 7n);
    put(store, 'a', '2', 7n);
    expect(store.present.lease('a')).toBe(7n);
    expect(store.present.state('a')).toEqual({ modRevision: 3, createRevision: 2, version: 2 });
    put(store, 'a', '3');
    expect(store.present.lease('a')).toBe(0n);
    del(store, 'a');
    put(store, 'a', '4');
    expect(store.present.state('a')).toEqual({ modRevision: 6, createRevision: 6, version: 1 });
    expect(store.present.value('a')?.toString()).toBe('4');
  });
});

describe('records that are not in memory', () => {
  it('are brought in by warm and stay until the next commit', async () => {
    sim = new SimStore(1, { cacheBytesMax: 0 });
    store = await sim.open();
    put(store, 'a', '1');
    put(store, 'b', '2');
    await sim.run(store.flushSync());
    expect(store.isWarm(['a'])).toBe(false);
    expect(store.isWarm(['none'])).toBe(true);
    expect(store.peek('a')).toBeUndefined();
    expect(store.peek('none')).toBeNull();
    expect(() => store.present.record('a')).toThrow('made warm');
    const cold = put(store, 'b', '3').events[0];
    expect(cold?.prevKv).toBeUndefined();
    await sim.run(store.flushSync());
    await sim.run(store.warm(['a', 'b', 'none']));
    expect(store.isWarm(['a', 'b', 'none'])).toBe(true);
    await sim.run(store.flushSync());
    await sim.wait(100);
    expect(store.present.value('a')?.toString()).toBe('1');
    expect(store.present.value('b')?.toString()).toBe('3');
    const warm = put(store, 'b', '4').events[0];
    expect(warm?.prevKv && show(warm.prevKv).value).toBe('3');
    await sim.run(store.flushSync());
    expect(store.isWarm(['a'])).toBe(false);
  });

  it('are kept after a small read, so that the next is answered at once', async () => {
    sim = new SimStore(1, { cacheBytesMax: 4 * 1024 * 1024 });
    store = await sim.open();
    put(store, 'a', '1');
    store = await sim.restart();
    const single = query({ key: 'a', rangeEnd: '' });
    const first = store.range(single, undefined);
    expect(first).toBeInstanceOf(Promise);
    await sim.run(Promise.resolve(first));
    const second = store.range(single, undefined);
    expect(second).not.toBeInstanceOf(Promise);
    expect((await second).kvs.map((kv) => show(kv).value)).toEqual(['1']);
  });
});

describe('long work', () => {
  it('sorts more keys than fit in a slice as it sorts few', async () => {
    const keys = mvccSliceKeysMax * 2 + 77;
    for (let i = 0; i < keys; i += 1) put(store, `k${(i * 7919) % keys}`, String(i % 1000));
    for (const sortTarget of [2, 4]) {
      for (const sortOrder of [1, 2]) {
        const { kvs, more } = await sim.run(rangeOf(store, { sortTarget, sortOrder, limit: 3000 }));
        const all = (await sim.run(rangeOf(store))).kvs;
        const sign = sortOrder === 2 ? -1 : 1;
        const expected = all.slice().sort((a, b) => {
          if (sortTarget === 2) return sign * (a.createRevision - b.createRevision);
          return sign * (a.value < b.value ? -1 : a.value > b.value ? 1 : 0);
        });
        expect(more).toBe(true);
        expect(kvs).toEqual(expected.slice(0, 3000));
      }
    }
  });

  describe('of 100,000 keys', () => {
    const keys = 100_000;
    /** Keys that the index handled in each turn of the event loop. */
    let visited: Map<number, number>;

    beforeEach(async () => {
      for (let i = 0; i < keys; ) {
        const txn = store.begin(store.applied.index + 1, 1);
        for (const end = i + 5000; i < end; i += 1) {
          txn.put(`k${String(i).padStart(6, '0')}`, Buffer.from('v'), 0n);
        }
        txn.commit();
      }
      await sim.run(store.flushSync());
      visited = new Map();
      const count = (): void => {
        const turn = sim.clock.eventsFired;
        visited.set(turn, (visited.get(turn) ?? 0) + 1);
      };
      const { walk, locate } = KeyIndex.prototype;
      vi.spyOn(KeyIndex.prototype, 'walk').mockImplementation(function (
        this: KeyIndex,
        start,
        end,
        max,
        visit,
        quiet,
      ) {
        const counting: typeof visit = (key, item) => {
          count();
          return visit(key, item);
        };
        return walk.call(this, start, end, max, counting, quiet);
      });
      vi.spyOn(KeyIndex.prototype, 'locate').mockImplementation(function (this: KeyIndex, key) {
        count();
        return locate.call(this, key);
      });
    });

    afterEach(() => {
      vi.restoreAllMocks();
    });

    const mostOf = async (work: () => unknown): Promise<number> => {
      visited.clear();
      await sim.run(Promise.resolve(work()));
      return Math.max(0, ...visited.values());
    };

    /** What goes through many keys of the index. */
    const jobs: Record<string, () => unknown> = {
      'a range': () => store.range(query(), undefined),
      'a keys-only range': () => store.range(query({ keysOnly: true }), undefined),
      'a filtered range': () => store.range(query({ minModRevision: 3 }), undefined),
      'a range of the past': () => store.range(query(), at(store.revision - 1)),
      'a count of the past': () => store.range(query({ countOnly: true }), at(store.revision - 1)),
      'a compaction': () => {
        store.scheduleCompaction(store.applied.index + 1, 1, store.revision);
        return store.compactionDone();
      },
    };
    for (const [name, job] of Object.entries(jobs)) {
      it(`gives way during ${name}: no slice handles more keys than the limit`, async () => {
        const most = await mostOf(job);
        expect(most).toBeGreaterThan(0);
        expect(most).toBeLessThanOrEqual(mvccSliceKeysMax);
      });
    }

    it('gives way during a restart: no slice handles more keys than the limit', async () => {
      visited.clear();
      store = await sim.crash();
      expect(store.keyCount).toBe(keys);
      expect(Math.max(...visited.values())).toBeLessThanOrEqual(mvccSliceKeysMax);
    });

    it('ends a slice early when it takes long', async () => {
      let nowMs = 0;
      // Each look at the clock shows one millisecond more: a slice ends at the sixth at the latest.
      vi.spyOn(sim.clock, 'nowMs').mockImplementation(() => {
        nowMs += 1;
        return nowMs;
      });
      for (const name of ['a range', 'a keys-only range', 'a filtered range', 'a compaction']) {
        expect(await mostOf(jobs[name] as () => unknown), name).toBeLessThanOrEqual(64 * 7);
      }
    });

    it('counts the past from what the leaves know, and only visits what changed since', async () => {
      put(store, 'k000777', 'new');
      del(store, 'k050000');
      const past = at(store.revision - 2);
      const most = await mostOf(async () => {
        const { count } = await store.range(query({ countOnly: true }), past);
        expect(count).toBe(keys);
      });
      expect(most).toBeLessThanOrEqual(128);
      // The count of the present needs no walk at all.
      expect(store.range(query({ countOnly: true }), undefined)).toMatchObject({ count: keys - 1 });
    });

    it('gives way during hashes and restarts after each page', async () => {
      const turnsOf = async (work: () => Promise<unknown>): Promise<number> => {
        const before = sim.clock.eventsFired;
        await sim.run(work());
        return sim.clock.eventsFired - before;
      };
      const slices = keys / mvccSliceKeysMax;
      expect(await turnsOf(() => store.hashKv(0))).toBeGreaterThan(slices);
      const before = sim.clock.eventsFired;
      store = await sim.restart();
      expect(sim.clock.eventsFired - before).toBeGreaterThan(slices);
      expect(store.keyCount).toBe(keys);
    });
  });
});
