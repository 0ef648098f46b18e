/** Crashes at every batch, and damage: what befell the stores of others (docs/lessons.md). */

import { describe, expect, it } from 'vitest';
import { markKey, revisionKey } from '../../../src/storage/schema/keys.js';
import { apply, at, type Change, compact, del, dump, put, rangeOf } from './helpers.js';
import { Model } from './model.js';
import { SimStore } from './sim-store.js';

type Entry = { readonly changes: readonly Change[] } | { readonly compact: number };

const p = (key: string, value: string): Change => ({ type: 'put', key, value });
const d = (key: string, end = ''): Change => ({ type: 'delete', key, end });

/** Forty entries with puts, deletes, transactions and compactions. */
function script(): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < 40; i += 1) {
    if (i % 9 === 8) entries.push({ compact: Math.floor(i / 2) });
    else if (i % 5 === 4) entries.push({ changes: [d(`k${i % 7}`)] });
    else if (i % 6 === 5) entries.push({ changes: [d('k2', 'k5'), p('n', `v${i}`)] });
    else entries.push({ changes: [p(`k${i % 7}`, `v${i}`), p(`m${i % 3}`, `w${i}`)] });
  }
  return entries;
}

function play(sim: SimStore, model: Model | undefined, entry: Entry): void {
  if ('changes' in entry) {
    apply(sim.store, entry.changes);
    model?.apply(entry.changes);
    return;
  }
  compact(sim.store, entry.compact);
  expect(model?.compact(entry.compact)).toBeUndefined();
}

/** Every revision that can be read equals the model, and nothing superfluous is stored. */
async function expectEqual(sim: SimStore, model: Model): Promise<void> {
  const { store } = sim;
  expect(store.revision).toBe(model.revision);
  for (let m = Math.max(1, model.compactRevision); m <= model.revision; m += 1) {
    const expected = [...model.at(m).values()].map((kv) => `${kv.key}=${kv.value}`).sort();
    expect(await sim.run(dump(store, at(m)))).toEqual(expected);
  }
  await sim.run(store.compactionDone());
  await sim.run(store.flushSync());
  expect((await sim.run(store.hashKv(0))).hash).toBe(model.hash(model.revision));
  const stored = sim.disk.keys('d').filter((key) => key[0] === 0x6b);
  expect(stored.length).toBe(model.stored.length);
}

describe('a crash at any batch', () => {
  it('loses whole entries from the end only, and replay brings them back (L-1)', async () => {
    const entries = script();
    const reference = new Model();
    const full = new SimStore(0, { flushBytes: 1, flushIntervalMs: 1, compactionBatch: 2 });
    await full.open();
    for (const entry of entries) {
      play(full, reference, entry);
      await full.wait(3);
    }
    await expectEqual(full, reference);
    const batches = full.disk.batchesWritten('d');
    expect(batches).toBeGreaterThan(45);

    let lost = 0;
    for (let crashAt = 1; crashAt <= batches; crashAt += 1) {
      const options = { flushBytes: 1, flushIntervalMs: 1, compactionBatch: 2 };
      const sim = new SimStore(crashAt, options);
      const model = new Model();
      await sim.open();
      let applied = 0;
      for (const entry of entries) {
        if (sim.disk.batchesWritten('d') >= crashAt) break;
        play(sim, model, entry);
        applied += 1;
        await sim.wait(crashAt % 4);
      }
      const before = sim.store.revision;
      await sim.crash();
      const { index } = sim.store.applied;
      expect(index).toBeLessThanOrEqual(applied);
      lost += applied - index;
      // What came back is exactly the state after entry `index`: revision and content.
      const then = new Model();
      for (const entry of entries.slice(0, index)) {
        if ('changes' in entry) then.apply(entry.changes);
        else then.compact(entry.compact);
      }
      await expectEqual(sim, then);
      for (const entry of entries.slice(index, applied)) play(sim, undefined, entry);
      expect(sim.store.revision).toBe(before);
      for (const entry of entries.slice(applied)) play(sim, model, entry);
      await expectEqual(sim, model);
    }
    expect(lost).toBeGreaterThan(10);
  });

  it('between batches of a compaction, never takes the revision back (L-5)', async () => {
    for (let crashAfter = 0; crashAfter < 12; crashAfter += 1) {
      const sim = new SimStore(crashAfter, { compactionBatch: 10, compactionSleepMs: 5 });
      const model = new Model();
      await sim.open();
      for (let i = 0; i < 100; i += 1) play(sim, model, { changes: [p(`k${i % 4}`, `v${i}`)] });
      // The newest revision is a tombstone that the compaction at it must keep.
      play(sim, model, { changes: [d('k3')] });
      await sim.run(sim.store.flushSync());
      play(sim, model, { compact: model.revision });
      const start = sim.disk.batchesWritten('d');
      const crashAt = start + 1 + crashAfter;
      for (let ms = 0; ms < 500 && sim.disk.batchesWritten('d') < crashAt; ms += 1) {
        await sim.wait(1);
      }
      if (sim.store.flushed.index < sim.store.applied.index) continue;
      await sim.crash();
      expect(sim.store.revision).toBe(model.revision);
      // The compaction itself was not synced; then the log has it.
      if (sim.store.applied.index < 102) compact(sim.store, model.revision);
      expect(sim.store.compactRevision).toBe(model.compactRevision);
      await expectEqual(sim, model);
      await sim.restart();
      await expectEqual(sim, model);
    }
  });

  it('asked to reclaim space, changes nothing (L-4)', async () => {
    const sim = new SimStore(4);
    const model = new Model();
    await sim.open();
    for (const entry of script()) play(sim, model, entry);
    const defragmenting = sim.store.defragment();
    defragmenting.catch(() => {});
    await sim.run(sim.store.flushSync());
    await sim.crash();
    await expectEqual(sim, model);
    await sim.run(sim.store.defragment());
    await expectEqual(sim, model);
  });

  it('keeps what flushSync promised, even if the disk loses all that was not synced', async () => {
    const sim = new SimStore(1, {}, true);
    await sim.open();
    put(sim.store, 'a', '1');
    const mark = await sim.run(sim.store.flushSync());
    expect(mark.index).toBe(1);
    expect(sim.store.flushed).toEqual({ index: 1, synced: true });
    put(sim.store, 'b', '2');
    await sim.crash();
    expect(await sim.run(dump(sim.store))).toEqual(['a=1']);
    expect(sim.store.applied.index).toBe(1);
  });

  it('brings back meta records and configuration of the same entry, or of none', async () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const sim = new SimStore(seed, { flushBytes: 1 });
      await sim.open();
      for (let i = 1; i <= 10; i += 1) {
        const txn = sim.store.begin(i, 1);
        txn.setMeta('n', Buffer.from(String(i)));
        txn.setMeta(`only/${i}`, Buffer.from('x'));
        if (i > 1) txn.setMeta(`only/${i - 1}`, undefined);
        txn.put('k', Buffer.from(String(i)), 0n);
        txn.commit();
        const voters = [BigInt(i)];
        const configuration = { ...sim.store.applied.configuration, voters };
        sim.store.setApplied({ index: i, term: 1, configuration });
        await sim.wait(seed % 3);
      }
      await sim.crash();
      const { index, configuration } = sim.store.applied;
      if (index === 0) continue;
      expect(sim.store.meta('n')?.toString()).toBe(String(index));
      expect([...sim.store.metaEntries('only/')].map(([name]) => name)).toEqual([`only/${index}`]);
      expect(configuration.voters).toEqual([BigInt(index)]);
      expect(await sim.run(dump(sim.store))).toEqual([`k=${index}`]);
    }
  });
});

describe('compaction and history', () => {
  it('compacting exactly on a delete keeps its event for a slow watcher (L-6)', async () => {
    for (const restart of [false, true]) {
      const sim = new SimStore(6);
      await sim.open();
      put(sim.store, 'a', '1');
      del(sim.store, 'a');
      compact(sim.store, 3);
      await sim.run(sim.store.compactionDone());
      if (restart) await sim.restart();
      const page = await sim.run(sim.store.history(3, 10, 1e6));
      expect(page.events.map((e) => [e.type, e.key, e.modRevision])).toEqual([['delete', 'a', 3]]);
      // It goes with the next one.
      put(sim.store, 'b', '1');
      compact(sim.store, 4);
      await sim.run(sim.store.compactionDone());
      expect(sim.disk.keys('d').filter((k) => k[0] === 0x6b).length).toBe(1);
    }
  });

  it('history from the compact revision on has the tombstone at it (L-7)', async () => {
    const sim = new SimStore(7);
    await sim.open();
    apply(sim.store, [p('a', '1'), p('b', '1'), p('c', '1')]);
    apply(sim.store, [d('a'), p('b', '2')]);
    put(sim.store, 'a', '3');
    compact(sim.store, 3);
    await sim.run(sim.store.compactionDone());
    await sim.restart();
    const page = await sim.run(sim.store.history(3, 10, 1e6));
    expect(page.events.map((e) => `${e.type} ${e.key} ${e.modRevision}.${e.sub}`)).toEqual([
      'delete a 3.0',
      'put b 3.1',
      'put a 4.0',
    ]);
    expect(page.events.map((e) => e.isCreate)).toEqual([false, false, true]);
    await expect(sim.run(sim.store.history(2, 10, 1e6))).rejects.toThrow('compacted');
  });

  it('what can be read depends on the entries alone, not on the removal (L-14)', async () => {
    const answers: string[] = [];
    for (const removalDone of [false, true]) {
      const sim = new SimStore(14);
      await sim.open();
      for (let i = 0; i < 5; i += 1) put(sim.store, 'a', String(i));
      compact(sim.store, 4);
      if (removalDone) await sim.run(sim.store.compactionDone());
      const seen = [0, 3, 4, 6, 7].map((r) => sim.store.checkRevision(r)?.reason ?? 'ok');
      answers.push(seen.join());
    }
    expect(answers[0]).toBe('COMPACTED,COMPACTED,ok,ok,FUTURE_REVISION');
    expect(answers[1]).toBe(answers[0]);
  });

  it('refuses what is compacted or not there yet, and accepts 0 on a new store', async () => {
    const sim = new SimStore(1);
    const store = await sim.open();
    expect(store.compactRevision).toBe(-1);
    compact(store, 0);
    expect(store.compactRevision).toBe(0);
    expect(() => compact(store, 0)).toThrow('required revision has been compacted');
    expect(() => compact(store, 2)).toThrow('required revision is a future revision');
    put(store, 'a', '1');
    compact(store, 2);
    expect(() => compact(store, 1)).toThrow('required revision has been compacted');
    expect(store.applied.index).toBe(6);
    await sim.run(store.compactionDone());
  });

  it('waits with the removal for a read that began before it', async () => {
    const sim = new SimStore(3, { cacheBytesMax: 0, compactionBatch: 10_000 });
    await sim.open();
    for (let i = 0; i < 3000; i += 1) put(sim.store, `k${i}`, 'old');
    const before = sim.store.revision;
    for (let i = 0; i < 3000; i += 1) put(sim.store, `k${i}`, 'new');
    await sim.run(sim.store.flushSync());
    const reading = rangeOf(sim.store, {}, at(before));
    compact(sim.store, sim.store.revision);
    const late = rangeOf(sim.store, {}, at(before));
    await expect(late).rejects.toThrow('compacted');
    const { kvs } = await sim.run(reading);
    expect(kvs.length).toBe(3000);
    expect(kvs.every((kv) => kv.value === 'old')).toBe(true);
    await sim.run(sim.store.compactionDone());
    expect(sim.disk.keys('d').filter((k) => k[0] === 0x6b).length).toBe(3000);
  });
});

describe('damage', () => {
  it('is reported with directory, record and remedy when the store starts', async () => {
    const sim = new SimStore(1);
    await sim.open();
    put(sim.store, 'a', '1');
    put(sim.store, 'b', '2');
    await sim.run(sim.store.close());
    for (let bit = 0; bit < 8 * 12; bit += 5) {
      expect(sim.disk.flipBit('d', revisionKey(3, 0, false), bit)).toBe(true);
      await expect(sim.open()).rejects.toThrow(
        /revision 3\.0 is damaged.*\/data\/kv.*Keep this directory/,
      );
      sim.disk.kill('d');
      sim.disk.flipBit('d', revisionKey(3, 0, false), bit);
    }
    await sim.open();
    expect(await sim.run(dump(sim.store))).toEqual(['a=1', 'b=2']);
  });

  it('is reported when a record is read that is not in memory', async () => {
    const sim = new SimStore(1, { cacheBytesMax: 0 });
    await sim.open();
    put(sim.store, 'a', '1');
    await sim.run(sim.store.flushSync());
    sim.disk.flipBit('d', revisionKey(2, 0, false), 3);
    const reading = sim.run(rangeOf(sim.store, { key: 'a', rangeEnd: '' }));
    await expect(reading).rejects.toMatchObject({ name: 'StorageError', path: '/data/kv' });
  });

  it('is noticed when a record or the mark is missing, or the format is newer', async () => {
    const loseKey = async (key: Buffer, value?: Buffer): Promise<SimStore> => {
      const sim = new SimStore(1);
      await sim.open();
      put(sim.store, 'a', '1');
      put(sim.store, 'b', '2');
      await sim.run(sim.store.close());
      const kv = await sim.disk.open('d');
      await sim.run(kv.write([value === undefined ? { key } : { key, value }], { sync: true }));
      await sim.run(kv.close());
      return sim;
    };
    const record = await loseKey(revisionKey(2, 0, false));
    await expect(record.open()).rejects.toThrow(/should hold 2 records .* but has 1/);
    const mark = await loseKey(markKey);
    await expect(mark.open()).rejects.toThrow(/should hold 0 records/);
    const format = await loseKey(Buffer.from('f'), Buffer.from('9'));
    await expect(format.open()).rejects.toThrow(/format 9/);
    const noFormat = await loseKey(Buffer.from('f'));
    await expect(noFormat.open()).rejects.toThrow(/no format record/);
  });

  it('ends the store once when a background write fails', async () => {
    const sim = new SimStore(1);
    await sim.open();
    put(sim.store, 'a', '1');
    sim.disk.failWrites('d', new Error('no space left'));
    await expect(sim.run(sim.store.flushSync())).rejects.toThrow('no space left');
    put(sim.store, 'b', '1');
    await sim.wait(100);
    await expect(sim.run(sim.store.flushSync())).rejects.toThrow('no space left');
    expect(sim.fatal.map((e) => e.message)).toEqual(['no space left']);
  });

  it('refuses an entry that was applied before', async () => {
    const sim = new SimStore(1);
    await sim.open();
    put(sim.store, 'a', '1');
    expect(() => sim.store.begin(1, 1)).toThrow('applied once');
    await sim.restart();
    expect(() => sim.store.begin(1, 1)).toThrow('applied once');
    expect(() => sim.store.setApplied({ index: 0, term: 1 })).toThrow('applied once');
  });
});
