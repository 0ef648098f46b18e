/** What arrives is what was sent, to the last bit that anyone can ask for. */

import { describe, expect, it } from 'vitest';
import { type Disk, GrpcCode, type OpenKvStore, silentLogger } from '../../../src/common/index.js';
import { nodeDisk } from '../../../src/server/platform/disk-node.js';
import { memoryPorts } from '../../../src/sim/member/memory-ports.js';
import {
  KvGenerations,
  type MvccStore,
  openGenerations,
  openLevelStore,
  openMvccStore,
} from '../../../src/storage/index.js';
import { at, inTempDir, query, rangeOf, realClock, testOptions } from '../mvcc/helpers.js';
import { applyEntry, goOn, Machine, memberDir, piecesOf, stage } from './machine.js';

function metaOf(store: MvccStore): unknown {
  return [...store.metaEntries('')].map(([name, value]) => [name, Buffer.from(value).toString()]);
}

/** Everything that can be asked of a store. */
async function everythingOf(store: MvccStore): Promise<unknown> {
  const { revision, compactRevision, sizeBytes, keyCount, applied } = store;
  const perRevision: unknown[] = [];
  for (let main = Math.max(1, compactRevision); main <= revision; main += 1) {
    perRevision.push({
      hash: await store.hashKv(main, false),
      all: await rangeOf(store, {}, at(main)),
      one: await rangeOf(store, { key: 'key3', rangeEnd: '' }, at(main)),
    });
  }
  const history = await store.history(Math.max(1, compactRevision + 1), 1e9, 1e9);
  return {
    ...{ revision, compactRevision, sizeBytes, keyCount, applied, perRevision },
    now: await rangeOf(store),
    counted: (await store.range(query({ countOnly: true }), undefined)).count,
    hashAll: await store.hashAll(),
    events: history.events.map(({ type, key, modRevision, sub, isCreate, kv }) => {
      return { type, key, modRevision, sub, isCreate, kv: Buffer.from(kv).toString('hex') };
    }),
    through: history.throughRevision,
    meta: metaOf(store),
    leases: [...store.leasedKeys()].sort(([a], [b]) => (a < b ? -1 : 1)),
    present: ['key0', 'key3', 'key5'].map((key) => [
      store.present.state(key),
      store.present.lease(key),
    ]),
  };
}

describe('a state that is installed', () => {
  it('is the one that was sent, at once and after a restart', async () => {
    const leader = new Machine(1);
    const from = await leader.run(leader.open());
    await leader.run(goOn(from, 2, 130));
    await leader.run(from.store.compactionDone());
    const expected = await leader.run(everythingOf(from.store));
    const { pieces, mark } = await leader.run(piecesOf(from.store));
    expect(mark).toEqual(from.store.applied);

    const machine = new Machine(2);
    const opened = await machine.run(machine.open());
    const { store, wal } = opened;
    await machine.run(goOn(opened, 2, 20));
    const staged = await machine.run(stage(store, pieces));
    expect(staged.mark).toEqual(mark);
    expect(store.applied.index).toBe(20);
    await machine.run(wal.markSnapshot(staged.mark));
    let switched = 0;
    await machine.run(
      store.install(staged, async (next) => () => {
        switched += 1;
        expect([...next.metaEntries('')]).toEqual([...store.metaEntries('')]);
        expect(store.applied).toEqual(mark);
        expect(metaOf(store)).toEqual(metaOf(from.store));
        expect(new Map(store.leasedKeys())).toEqual(new Map(from.store.leasedKeys()));
      }),
    );
    expect(switched).toBe(1);
    expect(store.flushed).toEqual({ index: mark.index, synced: true });
    expect(store.unflushedBytes).toBe(0);
    expect(await machine.run(everythingOf(store))).toEqual(expected);

    // Both go on alike.
    await leader.run(goOn(from, 131, 160));
    await machine.run(goOn(opened, 131, 160));
    await leader.run(from.store.compactionDone());
    await machine.run(store.compactionDone());
    const further = await leader.run(everythingOf(from.store));
    expect(await machine.run(everythingOf(store))).toEqual(further);
    await machine.run(store.close());
    await machine.run(wal.close());
    expect(await machine.kvDirs()).toEqual(['kv-1']);
    const again = await machine.run(machine.open());
    expect(await machine.run(everythingOf(again.store))).toEqual(further);
  });

  it('goes on with a compaction that the sender had not finished', async () => {
    const leader = new Machine(3, { latencyMsMax: 30 });
    const from = await leader.run(leader.open());
    await leader.run(goOn(from, 2, 60));
    await leader.run(from.store.flushSync());
    from.store.scheduleCompaction(61, 1, from.store.revision - 1);
    const hash = leader.run(from.store.hashKv(0));
    const { pieces } = await leader.run(piecesOf(from.store));
    const machine = new Machine(4);
    const { store, wal } = await machine.run(machine.open());
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    await machine.run(store.install(staged));
    expect(await machine.run(store.hashKv(0))).toEqual(await hash);
    await machine.run(store.compactionDone());
    await leader.run(from.store.compactionDone());
    expect(await machine.run(everythingOf(store))).toEqual(
      await leader.run(everythingOf(from.store)),
    );
  });

  it('may be empty but for its mark', async () => {
    const leader = new Machine(5);
    const from = await leader.run(leader.open());
    from.store.setApplied({ index: 9, term: 4 });
    const { pieces } = await leader.run(piecesOf(from.store));
    const machine = new Machine(6);
    const { store, wal } = await machine.run(machine.open());
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    await machine.run(store.install(staged));
    expect(store.applied).toMatchObject({ index: 9, term: 4 });
    expect(await machine.run(everythingOf(store))).toEqual(
      await leader.run(everythingOf(from.store)),
    );
  });

  for (const [name, ports] of [
    ['real LevelDB directories', () => ({ disk: nodeDisk, openKvStore: openLevelStore })],
    ['memory', () => memoryPorts()],
  ] as const) {
    it(`comes and goes through ${name}`, () => inTempDir((dir) => comeAndGo(dir, ports())));
  }
});

/** Three states one after the other into one member. */
async function comeAndGo(
  dir: string,
  ports: { readonly disk: Disk; readonly openKvStore: OpenKvStore },
): Promise<void> {
  const open = async (name: string) => {
    const place = { ...ports, memberDir: `${dir}/${name}${memberDir}` };
    await place.disk.mkdir(place.memberDir);
    const generations = await openGenerations(place);
    const chosen = generations[0];
    if (chosen === undefined || generations.length > 1) throw new Error('one is expected');
    const directories = new KvGenerations(place, generations);
    await directories.settle(generations, chosen);
    const store = await openMvccStore({
      kv: chosen.kv,
      clock: realClock,
      options: testOptions,
      logger: silentLogger,
      path: chosen.path,
      generations: directories,
    });
    return { store, list: () => place.disk.list(place.memberDir) };
  };
  const from = await open('a');
  for (let index = 1; index <= 100; index += 1) applyEntry(from.store, index);
  const to = await open('b');
  for (let index = 1; index <= 30; index += 1) applyEntry(to.store, index);
  const first = await piecesOf(from.store);
  for (let index = 101; index <= 150; index += 1) applyEntry(from.store, index);
  const second = await piecesOf(from.store);
  // Given up, installed, and installed again (L-22).
  const sink = await to.store.openSink();
  await sink.write(first.pieces[0] as Buffer);
  await sink.abort();
  const view = await to.store.snapshotView();
  const reading = view.records()[Symbol.asyncIterator]();
  expect((await reading.next()).done).toBe(false);
  const [one, two] = [await stage(to.store, first.pieces), await stage(to.store, second.pieces)];
  await to.store.install(one);
  expect(to.store.applied.index).toBe(100);
  await to.store.install(two);
  expect(to.store.applied.index).toBe(150);
  const source = await to.store.snapshotSource();
  const rest = async (): Promise<void> => {
    while ((await reading.next()).done !== true);
    await view.meta()[Symbol.asyncIterator]().next();
  };
  await expect(rest()).rejects.toMatchObject({ name: 'EtcdError', code: GrpcCode.UNAVAILABLE });
  await view.close();
  await source.close();
  expect(source.mark).toEqual(second.mark);
  await from.store.compactionDone();
  await to.store.compactionDone();
  const expected = await everythingOf(from.store);
  expect(await everythingOf(to.store)).toEqual(expected);
  await to.store.close();
  expect(await to.list()).toEqual(['kv-3']);
  const again = await open('b');
  expect(await everythingOf(again.store)).toEqual(expected);
  await again.store.close();
  await from.store.close();
}
