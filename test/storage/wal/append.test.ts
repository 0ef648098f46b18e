import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { InvariantError, StorageError } from '../../../src/common/index.js';
import { nodeDisk } from '../../../src/server/platform/disk-node.js';
import { SimClock } from '../../../src/sim/index.js';
import { inspectWal } from '../../../src/storage/wal/inspect.js';
import { openWal } from '../../../src/storage/wal/wal.js';
import {
  asExpected,
  contentsOf,
  dir,
  entry,
  metadataIfNew,
  newWorld,
  open,
  Run,
  snapshot,
  type World,
} from './harness.js';

async function segmentsOf(world: World): Promise<Array<{ sequence: number; recycled: boolean }>> {
  const result: Array<{ sequence: number; recycled: boolean }> = [];
  const reading = (async () => {
    for await (const record of inspectWal(world.disk, dir)) {
      if (record.kind !== 'segment') continue;
      const { sequence, isRecycled } = record.segment;
      result.push({ sequence, recycled: isRecycled });
    }
  })();
  await world.clock.runUntil(reading);
  return result;
}

describe('opening', () => {
  test('a directory without a log is an error unless one may be created', async () => {
    const { disk, clock, random } = newWorld(1);
    await expect(clock.runUntil(openWal(disk, dir, { random }))).rejects.toThrow(StorageError);
    expect(disk.tree()).toEqual([]);
    const created = await clock.runUntil(openWal(disk, dir, { random, metadataIfNew }));
    expect(created.isNew).toBe(true);
    await clock.runUntil(created.wal.close());
    const metadata = Buffer.from('not these');
    const opened = await clock.runUntil(openWal(disk, dir, { random, metadataIfNew: metadata }));
    expect(opened.isNew).toBe(false);
    expect(opened.contents.metadata).toEqual(metadataIfNew);
    expect(opened.contents.hardState).toEqual({ term: 0, vote: 0n, commit: 0 });
    expect(opened.contents.snapshot.index).toBe(0);
  });

  test('works on the real disk', async () => {
    const base = await mkdtemp(join(tmpdir(), 'kvorum-wal-'));
    try {
      const path = join(base, 'member/wal');
      const { random } = newWorld(2);
      const options = { random, metadataIfNew, segmentBytes: 64 * 1024 };
      const first = await openWal(nodeDisk, path, options);
      for (let i = 1; i <= 2000; i += 20) {
        const batch = Array.from({ length: 20 }, (_, k) => entry(i + k, 1, 300));
        await first.wal.append({ term: 1, vote: 5n, commit: i }, batch, true);
      }
      await first.wal.markSnapshot(snapshot(1000, 1));
      await first.wal.release(1000);
      await first.wal.close();
      expect(first.wal.sizeBytes).toBeGreaterThan(300_000);
      const second = await openWal(nodeDisk, path, options);
      expect(second.contents.entries.map((one) => one.index)).toEqual(
        Array.from({ length: 1000 }, (_, i) => 1001 + i),
      );
      expect(second.contents.hardState).toEqual({ term: 1, vote: 5n, commit: 1981 });
      expect(second.contents.tornBytes).toBe(0);
      await second.wal.close();
      expect((await readdir(path)).every((name) => name.endsWith('.wal'))).toBe(true);
    } finally {
      await rm(base, { recursive: true });
    }
  });
});

describe('appending', () => {
  test('what gathers during a write goes out in one', async () => {
    const world = newWorld(3, 1 << 20);
    const { wal } = await open(world);
    const before = world.disk.operations;
    const order: number[] = [];
    const all = Array.from({ length: 20 }, (_, i) => {
      return wal.append(undefined, [entry(i + 1, 1)], true).then(() => order.push(i));
    });
    await world.clock.runUntil(Promise.all(all));
    expect(world.disk.operations - before).toBe(2);
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test('an append without sync waits for those before it, and for nothing if there are none', async () => {
    const world = newWorld(4, 1 << 20);
    const { wal } = await open(world);
    const before = world.disk.operations;
    // No event of the simulation is needed for this one.
    await wal.append({ term: 1, vote: 0n, commit: 0 }, [], false);
    expect(world.disk.operations).toBe(before);
    let isWritten = false;
    const first = wal.append(undefined, [entry(1, 1)], true).then(() => {
      isWritten = true;
    });
    const second = wal.append({ term: 1, vote: 0n, commit: 1 }, [], false).then(() => {
      expect(isWritten).toBe(true);
    });
    await world.clock.runUntil(Promise.all([first, second]));
    expect(world.disk.operations).toBe(before + 1);
    const clone = world.disk.crashClone({ unsyncedPercent: 100, tornWrites: false });
    expect((await contentsOf({ ...world, disk: clone })).hardState.commit).toBe(0);
    await world.clock.runUntil(wal.close());
    expect((await contentsOf(world)).hardState.commit).toBe(1);
  });

  test('one append larger than a frame is durable as a whole', async () => {
    const world = newWorld(5, 1 << 20);
    const { wal } = await open(world);
    const many = Array.from({ length: 9 }, (_, i) => entry(i + 1, 1, 1_500_000));
    const hardState = { term: 1, vote: 1n, commit: 9 };
    await world.clock.runUntil(wal.append(hardState, many, true));
    world.disk.crash({ unsyncedPercent: 0, tornWrites: false });
    const contents = await contentsOf(world);
    expect(contents.hardState).toEqual(hardState);
    expect(contents.entries.length).toBe(9);
    for (const [i, one] of contents.entries.entries()) {
      expect(Buffer.compare(one.data, Buffer.alloc(1_500_000, i + 1))).toBe(0);
    }
  });

  test('a commit index never runs ahead of entries that are yet to be overwritten', async () => {
    const world = newWorld(6, 1 << 20);
    const { wal } = await open(world);
    const old = [entry(1, 1), entry(2, 1), entry(3, 1)];
    await world.clock.runUntil(wal.append({ term: 1, vote: 0n, commit: 1 }, old, true));
    // The frame that is under way is followed by one that is too full for the second append.
    const blocker = wal.append({ term: 2, vote: 0n, commit: 1 }, [], true);
    const big = Array.from({ length: 3 }, (_, i) => entry(4 + i, 2, 1_500_000));
    const large = wal.append(undefined, big, true);
    const fresh = [entry(2, 3), entry(3, 3)];
    const overwrite = wal.append({ term: 3, vote: 0n, commit: 3 }, fresh, true);
    await world.clock.runUntil(Promise.all([blocker, large]));
    const clone = world.disk.crashClone({ unsyncedPercent: 0, tornWrites: false });
    const contents = await contentsOf({ ...world, disk: clone });
    expect(contents.entries.length).toBe(6);
    expect(contents.hardState.commit).toBe(1);
    await world.clock.runUntil(overwrite);
    expect((await contentsOf(world)).entries.map((one) => one.term)).toEqual([1, 3, 3]);
  });

  test('numbers and ids of full width come back', async () => {
    const world = newWorld(7);
    const { wal } = await open(world);
    const top = Number.MAX_SAFE_INTEGER;
    await world.clock.runUntil(wal.markSnapshot(snapshot(top - 2, top - 1)));
    const hardState = { term: top, vote: 2n ** 64n - 1n, commit: top - 2 };
    await world.clock.runUntil(wal.append(hardState, [entry(top - 1, top, 0)], true));
    await world.clock.runUntil(wal.close());
    const contents = await contentsOf(world);
    expect(contents.hardState).toEqual(hardState);
    expect(contents.snapshot).toEqual(snapshot(top - 2, top - 1));
    expect(contents.entries.map(({ index, term }) => [index, term])).toEqual([[top - 1, top]]);
  });

  test.each([
    ['leaves a gap', [entry(5, 1)]],
    ['goes back in terms', [entry(4, 0)]],
    ['overwrites a committed entry', [entry(2, 2)]],
  ])('an append that %s is a broken invariant', async (_name, entries) => {
    const world = newWorld(8);
    const { wal } = await open(world);
    const three = [entry(1, 1), entry(2, 1), entry(3, 1)];
    await world.clock.runUntil(wal.append({ term: 1, vote: 0n, commit: 2 }, three, true));
    const appending = world.clock.runUntil(wal.append(undefined, entries, true));
    await expect(appending).rejects.toThrow(InvariantError);
    const later = world.clock.runUntil(wal.append(undefined, [entry(4, 1)], true));
    await expect(later).rejects.toThrow(InvariantError);
  });

  test('a snapshot that contradicts the log drops it, one that agrees keeps what follows', async () => {
    for (const [term, kept] of [
      [1, [4, 5]],
      [2, []],
    ] as const) {
      const world = newWorld(9);
      const { wal } = await open(world);
      const five = [1, 2, 3, 4, 5].map((index) => entry(index, 1));
      await world.clock.runUntil(wal.append({ term: 2, vote: 0n, commit: 1 }, five, true));
      await world.clock.runUntil(wal.markSnapshot(snapshot(3, term)));
      const next = entry(kept.length === 0 ? 4 : 6, 2);
      await world.clock.runUntil(wal.append(undefined, [next], true));
      await world.clock.runUntil(wal.close());
      const contents = await contentsOf(world);
      expect(contents.snapshot).toEqual(snapshot(3, term));
      expect(contents.hardState.commit).toBe(3);
      expect(contents.entries.map((one) => one.index)).toEqual([...kept, next.index]);
    }
  });

  test('after close everything is refused', async () => {
    const world = newWorld(9);
    const { wal } = await open(world);
    await world.clock.runUntil(wal.close());
    await world.clock.runUntil(wal.close());
    await expect(wal.append(undefined, [entry(1, 1)], true)).rejects.toThrow(StorageError);
    await expect(wal.markSnapshot(snapshot(1, 1))).rejects.toThrow(StorageError);
    await expect(wal.release(1)).rejects.toThrow(StorageError);
  });
});

describe('segments', () => {
  test('the next one is ready before it is needed, larger than the one before', async () => {
    const world = newWorld(10, 16 << 20);
    const { wal } = await open(world);
    expect(wal.sizeBytes).toBe(1 << 20);
    for (let index = 1; index <= 60; index++) {
      await world.clock.runUntil(wal.append(undefined, [entry(index, 1, 100_000)], true));
    }
    const sizes = world.disk.tree(dir).map(([, size]) => size);
    expect(sizes).toEqual([1 << 20, 4 << 20, 16 << 20]);
  });

  test('release deletes whole segments, only behind the mark, and never the last', async () => {
    const world = newWorld(11, 4096);
    const { wal, contents } = await open(world);
    const run = new Run(wal, contents);
    for (let index = 1; index <= 100; index++) {
      await world.clock.runUntil(run.submit({ type: 'append', entries: [entry(index, 1, 300)] }));
    }
    const all = (await segmentsOf(world)).length;
    await world.clock.runUntil(wal.release(100));
    expect((await segmentsOf(world)).length).toBe(all);
    await world.clock.runUntil(run.submit({ type: 'mark', snapshot: snapshot(50, 1) }));
    await world.clock.runUntil(wal.release(100));
    const half = (await segmentsOf(world)).length;
    expect(half).toBeLessThan(all);
    expect(half).toBeGreaterThan(all / 3);
    await world.clock.runUntil(run.submit({ type: 'mark', snapshot: snapshot(100, 1) }));
    await world.clock.runUntil(wal.release(60));
    expect((await segmentsOf(world)).length).toBeGreaterThan(1);
    await world.clock.runUntil(wal.release(100));
    expect((await segmentsOf(world)).length).toBe(1);
    await world.clock.runUntil(run.close());
    expect(asExpected(await contentsOf(world))).toEqual(run.states.at(-1));
  });

  test('are used again, and their old bytes are never taken for entries', async () => {
    const world = newWorld(12, 4096);
    const { wal, contents } = await open(world);
    const run = new Run(wal, contents);
    let recycled = 0;
    let index = 0;
    for (let round = 0; round < 40; round++) {
      for (let i = 0; i < 8; i++) {
        index += 1;
        const hardState = { term: 1, vote: 0n, commit: index };
        // Frames of one size, so that old and new ones lie at the same offsets.
        const entries = [entry(index, 1, 296)];
        await world.clock.runUntil(run.submit({ type: 'append', entries, hardState }));
        const clone = world.disk.crashClone({ unsyncedPercent: 50, tornWrites: true });
        const found = await contentsOf({ ...world, disk: clone });
        expect(run.find(found)).toBe(run.states.length - 1);
        expect(found.tornBytes).toBe(0);
      }
      await world.clock.runUntil(run.submit({ type: 'mark', snapshot: snapshot(index - 2, 1) }));
      await world.clock.runUntil(run.submit({ type: 'release', index: index - 2 }));
      const segments = await segmentsOf(world);
      if (segments.at(-1)?.recycled === true) recycled += 1;
      expect(world.disk.tree(dir).length).toBeLessThanOrEqual(4);
    }
    expect(recycled).toBeGreaterThan(10);
  });

  test('release waits until the segment that takes over is durably begun', async () => {
    const world = newWorld(14, 2048);
    const { wal } = await open(world);
    let index = 0;
    let rolled = 0;
    for (let round = 0; round < 12; round++) {
      index += 1;
      const hardState = { term: 1, vote: 0n, commit: index };
      await world.clock.runUntil(wal.append(hardState, [entry(index, 1, 450)], true));
      await world.clock.runUntil(wal.markSnapshot(snapshot(index, 1)));
      await world.clock.run(world.clock.nowMs() + 50);
      const before = world.disk.tree(dir).at(-1)?.[0];
      // This one may begin a segment; the others call while that is going on.
      const appending = wal.append(undefined, [entry(index + 1, 1, 450)], true);
      for (let event = 0; event < 15; event++) {
        void wal.release(index);
        await Promise.resolve();
        await world.clock.run(world.clock.nowMs() + 0.1);
        const clock = new SimClock();
        const clone = world.disk.crashClone({ unsyncedPercent: 30, tornWrites: true }, clock);
        const found = await contentsOf({ ...world, clock, disk: clone });
        expect(found.snapshot.index).toBe(index);
      }
      await world.clock.runUntil(appending);
      index += 1;
      if (world.disk.tree(dir).at(-1)?.[0] !== before) rolled += 1;
    }
    expect(rolled).toBeGreaterThan(3);
  });

  test('release does not count on a mark that is not durable yet (L-41)', async () => {
    const world = newWorld(15, 2048);
    const { wal } = await open(world);
    const all = Array.from({ length: 30 }, (_, i) => i + 1);
    for (const index of all) {
      const hardState = { term: 1, vote: 0n, commit: index };
      await world.clock.runUntil(wal.append(hardState, [entry(index, 1, 300)], true));
    }
    const marking = wal.markSnapshot(snapshot(28, 1));
    for (let event = 0; event < 60; event++) {
      void wal.release(28);
      await world.clock.run(world.clock.nowMs() + 0.05);
      const clock = new SimClock();
      const clone = world.disk.crashClone({ unsyncedPercent: 0, tornWrites: false }, clock);
      const found = await contentsOf({ ...world, clock, disk: clone });
      expect(found.entries.length + found.snapshot.index).toBe(30);
    }
    await world.clock.runUntil(marking);
  });

  test('a full disk while preparing the next one is not the end', async () => {
    const world = newWorld(13, 8192);
    const { wal } = await open(world);
    world.disk.setCapacity(8192 + 4096);
    for (let index = 1; index <= 20; index++) {
      await world.clock.runUntil(wal.append(undefined, [entry(index, 1, 300)], true));
    }
    // Later on there is no room for entries either: that is the end.
    const more = async (): Promise<void> => {
      for (let index = 21; index <= 60; index++) {
        await wal.append(undefined, [entry(index, 1, 300)], true);
      }
    };
    await expect(world.clock.runUntil(more())).rejects.toThrow(
      /the disk is full.*ENOSPC.*Free space/s,
    );
    await world.clock.runUntil(wal.close()).catch(() => {});
    world.disk.setCapacity(1 << 20);
    expect((await contentsOf(world)).entries.length).toBeGreaterThanOrEqual(20);
  });
});
