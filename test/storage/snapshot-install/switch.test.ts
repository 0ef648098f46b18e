/** Readers, writers and compactions that are under way when an installed state takes over. */

import { beforeAll, describe, expect, it } from 'vitest';
import { EtcdError, GrpcCode } from '../../../src/common/index.js';
import { ObsoleteSnapshotError } from '../../../src/storage/index.js';
import { at, dump, query, rangeOf } from '../mvcc/helpers.js';
import { goOn, Machine, piecesOf, stage } from './machine.js';

const keys = 2600;

/** A store whose values all say `word`. */
async function filled(machine: Machine, word: string, index: number) {
  const opened = await machine.run(machine.open());
  const { store } = opened;
  for (let i = 2; i < index; i += 1) {
    const txn = store.begin(i, 1);
    for (let k = i; k < keys; k += index - 2) {
      txn.put(`key${k}`, Buffer.from(`${word}${'.'.repeat(300)}`), k % 2 === 0 ? 5n : 0n);
    }
    txn.setMeta('word', Buffer.from(word));
    txn.commit();
  }
  store.setApplied({ index, term: 1 });
  await machine.run(store.flushSync());
  return opened;
}

/** The word that all have in common. */
function wordOf(values: readonly string[]): string {
  const words = new Set(values.map((value) => value.replaceAll('.', '')));
  expect(words.size, [...words].join()).toBe(1);
  return [...words].join();
}

/** What became of a read: the state it was of, or that it is to be tried again. */
async function fate(read: Promise<string>): Promise<string> {
  try {
    return await read;
  } catch (error) {
    expect(error).toBeInstanceOf(EtcdError);
    expect((error as EtcdError).code).toBe(GrpcCode.UNAVAILABLE);
    return 'again';
  }
}

describe('a state that takes over', () => {
  let pieces: Buffer[];

  beforeAll(async () => {
    const leader = new Machine(1);
    const { store } = await filled(leader, 'new', 50);
    ({ pieces } = await leader.run(piecesOf(store)));
  });

  it('never shows up in a read together with the old one', async () => {
    const seen = new Map<string, Set<string>>();
    const note = (what: string, word: string): void => {
      seen.set(what, (seen.get(what) ?? new Set()).add(word));
    };
    const machine = new Machine(2, { latencyMsMax: 2 });
    const opened = await filled(machine, 'old', 20);
    const { store, wal } = opened;
    const hashes = new Map([[(await machine.run(store.hashKv(0))).hash, 'old']]);
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    let isSwitched = false;
    const reads: Array<Promise<void>> = [];
    const hashed: Array<Promise<number>> = [];
    const readAll = (): void => {
      const begun = isSwitched;
      const check = (what: string, read: Promise<string>): void => {
        reads.push(
          fate(read).then((word) => {
            if (begun) expect(word, what).toBe('new');
            note(what, word);
          }),
        );
      };
      const revision = store.revision;
      check(
        'range',
        rangeOf(store).then(({ kvs }) => {
          expect(kvs.length).toBe(keys - 2);
          return wordOf(kvs.map(({ value }) => value));
        }),
      );
      check(
        'past',
        dump(store, at(revision)).then((all) => {
          return wordOf(all.map((text) => text.slice(text.indexOf('=') + 1)));
        }),
      );
      check(
        'sorted',
        Promise.resolve(store.range(query({ sortTarget: 4 }), undefined)).then(({ kvs }) =>
          wordOf(kvs.map((kv) => (Buffer.from(kv).includes('new') ? 'new' : 'old'))),
        ),
      );
      check(
        'history',
        store.history(2, 1e9, 1e9).then(({ events }) => {
          return wordOf(events.map(({ kv }) => (Buffer.from(kv).includes('new') ? 'new' : 'old')));
        }),
      );
      check(
        'view',
        (async () => {
          const view = await store.snapshotView();
          const words: string[] = [];
          try {
            for await (const [, value] of view.records()) {
              words.push(value.includes('new') ? 'new' : 'old');
            }
            for await (const [name, value] of view.meta()) {
              if (name === 'word') words.push(value.toString());
            }
          } finally {
            await view.close();
          }
          return wordOf(words);
        })(),
      );
      hashed.push(store.hashKv(0).then(({ hash }) => hash));
    };
    readAll();
    const installing = store.install(staged, async () => () => {
      isSwitched = true;
      expect(Buffer.from(store.meta('word') ?? []).toString()).toBe('new');
      expect(store.present.state('key30')?.modRevision).toBe(30);
      readAll();
    });
    for (let turn = 0; !isSwitched; turn += 1) {
      if (turn % 40 === 0 && turn < 400) readAll();
      await machine.clock.run(machine.clock.nowMs() + 0.05);
    }
    await machine.run(installing);
    readAll();
    await machine.run(Promise.all(reads));
    hashes.set((await machine.run(store.hashKv(0))).hash, 'new');
    const found = await machine.run(Promise.all(hashed));
    for (const hash of found) expect(hashes.has(hash)).toBe(true);
    for (const what of ['range', 'past', 'sorted', 'history']) {
      expect(seen.get(what), what).toContain('old');
      expect(seen.get(what), what).toContain('new');
    }
    await machine.run(store.close());
    expect(await machine.kvDirs()).toEqual(['kv-1']);
    expect(machine.fatal).toEqual([]);
  });

  it('ends what waits for the old one, after a grace, and removes it', async () => {
    const machine = new Machine(3);
    const { store, wal } = await filled(machine, 'old', 20);
    const view = await machine.run(store.snapshotView());
    const source = await machine.run(store.snapshotSource());
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    await machine.run(store.install(staged));
    await machine.clock.run(machine.clock.nowMs() + 10_000);
    expect(await machine.kvDirs()).toEqual(['kv-1']);
    const next = view.records()[Symbol.asyncIterator]().next();
    await expect(machine.run(next)).rejects.toMatchObject({ code: GrpcCode.UNAVAILABLE });
    const piece = source.next(Buffer.alloc(0));
    await expect(machine.run(piece)).rejects.toMatchObject({ code: GrpcCode.UNAVAILABLE });
    await machine.run(view.close());
    await machine.run(source.close());
  });

  it('drops what was not flushed, and a compaction that was under way', async () => {
    for (let delayMs = 0; delayMs < 12; delayMs += 1.9) {
      const machine = new Machine(4);
      const opened = await filled(machine, 'old', 20);
      const { store, wal } = opened;
      const staged = await machine.run(stage(store, pieces));
      await machine.run(wal.markSnapshot(staged.mark));
      for (let i = 21; i < 30; i += 1) {
        const txn = store.begin(i, 1);
        txn.deleteRange(`key${i}`, '');
        txn.put(`lost${i}`, Buffer.from('lost'), 9n);
        txn.setMeta(`lost${i}`, Buffer.from('lost'));
        txn.commit();
      }
      store.scheduleCompaction(30, 1, store.revision);
      const compacted = store.compactionDone();
      const flushed = store.flushSync();
      await machine.clock.run(machine.clock.nowMs() + delayMs);
      await machine.run(store.install(staged));
      const all = [compacted, flushed.then(({ index }) => expect([30, 50]).toContain(index))];
      await machine.run(Promise.all(all));
      expect(store.applied.index).toBe(50);
      expect([...store.metaEntries('lost')]).toEqual([]);
      expect([...store.leasedKeys()].some(([key]) => key.startsWith('lost'))).toBe(false);
      expect(wordOf((await machine.run(rangeOf(store))).kvs.map(({ value }) => value))).toBe('new');
      // It works on.
      await machine.run(goOn(opened, 51, 80));
      await machine.run(store.compactionDone());
      await machine.run(store.close());
      await machine.run(wal.close());
      expect(machine.fatal).toEqual([]);
      const again = await machine.run(machine.open());
      expect(again.store.applied.index).toBe(80);
      expect(await machine.kvDirs()).toEqual(['kv-1']);
    }
  });

  it('answers who waits for a flush or a compaction of the old one', async () => {
    const machine = new Machine(6, { latencyMsMax: 3 });
    const { store, wal } = await filled(machine, 'old', 10);
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    const waiting: Array<Promise<unknown>> = [];
    let isSwitched = false;
    const installing = store.install(staged, async () => () => {
      isSwitched = true;
    });
    for (let index = 11; !isSwitched; ) {
      if (index < 49) {
        const txn = store.begin(index, 1);
        txn.put('lost', Buffer.from('lost'), 0n);
        txn.commit();
        store.scheduleCompaction(index + 1, 1, store.revision);
        index += 2;
      }
      waiting.push(store.flushSync(), store.compactionDone(), store.hashAll());
      await machine.clock.run(machine.clock.nowMs() + 1);
    }
    await machine.run(installing);
    await machine.run(Promise.all(waiting));
    expect(waiting.length).toBeGreaterThan(20);
    expect(machine.fatal).toEqual([]);
    expect(await machine.run(rangeOf(store, { key: 'lost', rangeEnd: '' }))).toMatchObject({
      count: 0,
    });
  });

  it('is not touched by a write to the old one that fails late', async () => {
    const machine = new Machine(5, { latencyMsMax: 20 });
    const { store, wal } = await filled(machine, 'old', 20);
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    const txn = store.begin(21, 1);
    txn.put('lost', Buffer.from('lost'), 0n);
    txn.commit();
    await machine.run(
      store.install(
        staged,
        async () => () => machine.kvDisk.failWrites('/data/member/kv', new Error('EIO')),
      ),
    );
    await machine.run(store.flushSync());
    await machine.clock.run(machine.clock.nowMs() + 10_000);
    expect(machine.fatal).toEqual([]);
    expect(await machine.kvDirs()).toEqual(['kv-1']);
  });
});

describe('more than one install (R-28, L-22)', () => {
  const sent = new Map<number, Buffer[]>();
  const hashes = new Map<number, number>();

  beforeAll(async () => {
    const leader = new Machine(11);
    const from = await leader.run(leader.open());
    let index = 1;
    for (const next of [30, 45, 60]) {
      await leader.run(goOn(from, index + 1, next));
      index = next;
      const { pieces } = await leader.run(piecesOf(from.store));
      sent.set(next, pieces);
      hashes.set(next, (await leader.run(from.store.hashKv(0))).hash);
    }
  });

  const piecesAt = (index: number): Buffer[] => sent.get(index) ?? [];

  it('two a moment apart come one after the other', async () => {
    for (const gapMs of [0, 0.1, 0.5, 1, 2, 5]) {
      const machine = new Machine(12);
      const opened = await machine.run(machine.open());
      const { store, wal } = opened;
      await machine.run(goOn(opened, 2, 10));
      const first = await machine.run(stage(store, piecesAt(30)));
      const second = await machine.run(stage(store, piecesAt(45)));
      await machine.run(Promise.all([wal.markSnapshot(first.mark), wal.markSnapshot(second.mark)]));
      const one = store.install(first);
      await machine.clock.run(machine.clock.nowMs() + gapMs);
      const other = store.install(second);
      await machine.run(Promise.all([one, other]));
      expect(store.applied.index).toBe(45);
      expect((await machine.run(store.hashKv(0))).hash).toBe(hashes.get(45));
      await machine.run(store.close());
      await machine.run(wal.close());
      expect(await machine.kvDirs()).toEqual(['kv-2']);
      const again = await machine.run(machine.open());
      expect((await machine.run(again.store.hashKv(0))).hash).toBe(hashes.get(45));
    }
  });

  it('an older one, or the same once more, is refused and gone', async () => {
    const machine = new Machine(13);
    const { store, wal } = await machine.run(machine.open());
    const old = await machine.run(stage(store, piecesAt(30)));
    const newer = await machine.run(stage(store, piecesAt(45)));
    const same = await machine.run(stage(store, piecesAt(45)));
    await machine.run(wal.markSnapshot(newer.mark));
    await machine.run(store.install(newer));
    for (const staged of [old, same]) {
      await expect(machine.run(store.install(staged))).rejects.toBeInstanceOf(
        ObsoleteSnapshotError,
      );
    }
    expect(store.applied.index).toBe(45);
    await machine.clock.run(machine.clock.nowMs() + 10_000);
    expect(await machine.kvDirs()).toEqual(['kv-2']);
    expect((await machine.run(store.hashKv(0))).hash).toBe(hashes.get(45));
  });

  it('one that was overtaken stays until the present state is durable (L-3)', async () => {
    for (let cutMs = 0; cutMs < 8; cutMs += 0.3) {
      const machine = new Machine(14, { loseAllUnsynced: true });
      const opened = await machine.run(machine.open());
      const { store, wal } = opened;
      await machine.run(goOn(opened, 2, 20));
      const staged = await machine.run(stage(store, piecesAt(30)));
      await machine.run(goOn(opened, 21, 35));
      await machine.run(wal.markSnapshot(staged.mark));
      store.install(staged).catch(() => {});
      await machine.clock.run(machine.clock.nowMs() + cutMs);
      machine.crash(0);
      const again = await machine.run(machine.open());
      expect(again.store.applied.index).toBeGreaterThanOrEqual(30);
      expect(await machine.kvDirs()).toHaveLength(1);
    }
  });

  it('one that is cut off by an orderly stop is found at the next start', async () => {
    for (let cutMs = 0; cutMs < 6; cutMs += 0.4) {
      const machine = new Machine(15);
      const opened = await machine.run(machine.open());
      const { store, wal } = opened;
      await machine.run(goOn(opened, 2, 20));
      const staged = await machine.run(stage(store, piecesAt(60)));
      await machine.run(wal.markSnapshot(staged.mark));
      const installing = store.install(staged).catch((error: unknown) => {
        expect(error).toMatchObject({ reason: 'STOPPED' });
      });
      await machine.clock.run(machine.clock.nowMs() + cutMs);
      await machine.run(store.close());
      await machine.run(installing);
      await machine.run(wal.close());
      const again = await machine.run(machine.open());
      expect(again.store.applied.index).toBe(60);
      expect((await machine.run(again.store.hashKv(0))).hash).toBe(hashes.get(60));
      expect(await machine.kvDirs()).toEqual(['kv-1']);
    }
  });
});
