import { describe, expect, test } from 'vitest';

import { StorageError } from '../../../src/common/index.js';
import { SimRandom } from '../../../src/sim/index.js';
import {
  asExpected,
  contentsOf,
  dir,
  entry,
  metadataIfNew,
  newWorld,
  nextOperation,
  open,
  Run,
  type World,
} from './harness.js';

const steps = 60;

/** A scripted life of a log: bursts of operations, an orderly restart, more of them, an end. */
async function live(world: World, seed: number): Promise<Run | undefined> {
  const script = new SimRandom(seed);
  let run: Run | undefined;
  for (let life = 0; life < 2; life++) {
    const { wal, contents } = await open(world);
    run = new Run(wal, contents);
    for (let step = 0; step < steps; ) {
      const burst: Promise<void>[] = [];
      for (let i = script.between(1, 4); i > 0; i--, step++) {
        burst.push(run.submit(nextOperation(run.model, script)));
      }
      await world.clock.runUntil(Promise.all(burst));
      if (run.errors.length > 0) return run;
    }
    await world.clock.runUntil(run.close());
  }
  return run;
}

/** As `live`, but ends when the disk stops answering. Keeps the run that was going on. */
async function liveUntilHalt(world: World, seed: number): Promise<Run | undefined> {
  const script = new SimRandom(seed);
  let run: Run | undefined;
  const life = async (): Promise<void> => {
    for (let i = 0; i < 2; i++) {
      const { wal, contents } = await openPlain(world);
      run = new Run(wal, contents);
      for (let step = 0; step < steps; ) {
        const burst: Promise<void>[] = [];
        for (let k = script.between(1, 4); k > 0; k--, step++) {
          burst.push(run.submit(nextOperation(run.model, script)));
        }
        await Promise.all(burst);
      }
      await run.close();
    }
  };
  void life();
  await world.clock.runAll();
  return run;
}

async function openPlain(world: World) {
  const { openWal } = await import('../../../src/storage/wal/wal.js');
  const { segmentBytes, random } = world;
  return openWal(world.disk.process(), dir, { random, segmentBytes, metadataIfNew });
}

async function checkSurvives(world: World, run: Run | undefined, at: string): Promise<void> {
  const { wal, contents } = await open(world);
  if (run !== undefined) expect(run.find(contents), at).toBeGreaterThanOrEqual(0);
  // It works on, and what it takes now survives the worst.
  const again = new Run(wal, contents);
  const next = entry(again.model.lastIndex + 1, again.model.hardState.term + 1);
  await world.clock.runUntil(again.submit({ type: 'append', entries: [next] }));
  expect(again.acknowledged, at).toBe(1);
  world.disk.crash({ unsyncedPercent: 0, tornWrites: false });
  expect(asExpected(await contentsOf(world)), at).toEqual(again.states[1]);
}

describe('what was acknowledged survives a crash at every disk operation (L-2)', () => {
  for (const [unsyncedPercent, tornWrites] of [
    [0, false],
    [30, true],
    [70, true],
    [100, false],
  ] as const) {
    test(`${unsyncedPercent} % of what was not synced survives`, async () => {
      for (const seed of [1, 2]) {
        const whole = newWorld(seed);
        await live(whole, seed);
        const operations = whole.disk.operations;
        expect(operations).toBeGreaterThan(150);
        for (let at = 0; at < operations; at++) {
          const world = newWorld(seed);
          world.disk.haltAt(at);
          const run = await liveUntilHalt(world, seed);
          expect(world.disk.halted).toBe(true);
          world.disk.crash({ unsyncedPercent, tornWrites });
          await checkSurvives(world, run, `seed ${seed}, operation ${at}`);
        }
      }
    });
  }
});

test('a process that is killed without power loss loses nothing later on (L-2)', async () => {
  const whole = newWorld(3);
  await live(whole, 3);
  for (let at = 0; at < whole.disk.operations; at++) {
    const world = newWorld(3);
    world.disk.haltAt(at);
    const run = await liveUntilHalt(world, 3);
    world.disk.kill();
    // What the next process finds, it will act upon: it must be durable once it is open.
    const { contents } = await open(world);
    if (run !== undefined) expect(run.find(contents), `operation ${at}`).toBeGreaterThanOrEqual(0);
    world.disk.crash({ unsyncedPercent: 0, tornWrites: false });
    expect(asExpected(await contentsOf(world)), `operation ${at}`).toEqual(asExpected(contents));
  }
});

test('after a failed disk operation nothing is acknowledged, and nothing is lost (L-31)', async () => {
  const whole = newWorld(4);
  await live(whole, 4);
  const kinds = ['writeDurable', 'sync', 'syncDir', 'write', 'rename', 'remove', 'open'] as const;
  let failures = 0;
  for (let nth = 1; nth <= whole.disk.operations; nth++) {
    const world = newWorld(4);
    // Sticky or not must make no difference: a second try is never made.
    world.disk.inject({ kinds, nth, code: 'EIO', sticky: nth % 2 === 0 });
    let run: Run | undefined;
    try {
      run = await live(world, 4);
    } catch (error) {
      expect(error).toBeInstanceOf(StorageError);
    }
    if (run !== undefined && run.errors.length > 0) {
      failures += 1;
      const acknowledged = run.acknowledged;
      for (const error of run.errors) expect(error).toBeInstanceOf(StorageError);
      const before = run.errors.length;
      const late = { type: 'append', entries: [entry(run.model.lastIndex + 1, 99)] } as const;
      await world.clock.runUntil(run.submit(late));
      expect(run.errors.length).toBe(before + 1);
      expect(run.acknowledged).toBe(acknowledged);
    }
    world.disk.crash({ unsyncedPercent: 50, tornWrites: true });
    await checkSurvives(world, run, `operation ${nth}`);
  }
  expect(failures).toBeGreaterThan(20);
});

describe('a creation that failed anywhere is started again (L-27)', () => {
  for (const how of ['fails', 'crashes', 'is killed'] as const) {
    test(how, async () => {
      const whole = newWorld(5);
      await open(whole);
      for (let at = 0; at < whole.disk.operations; at++) {
        const world = newWorld(5);
        if (how === 'fails') {
          const all = ['open', 'write', 'sync', 'mkdir', 'rename', 'syncDir', 'list'] as const;
          world.disk.inject({ kinds: all, nth: at + 1, code: at % 2 === 0 ? 'EIO' : 'ENOSPC' });
          await open(world).catch((error: unknown) => {
            expect(error).toBeInstanceOf(StorageError);
            expect((error as StorageError).remedy).not.toBe('');
          });
          world.disk.clearFaults();
        } else {
          world.disk.haltAt(at);
          void openPlain(world);
          await world.clock.runAll();
          if (how === 'crashes') world.disk.crash({ unsyncedPercent: 50, tornWrites: true });
          else world.disk.kill();
        }
        const { wal, contents } = await open(world);
        expect(contents.metadata).toEqual(metadataIfNew);
        expect(contents.entries).toEqual([]);
        expect(world.disk.tree().every(([path]) => !path.endsWith('.tmp'))).toBe(true);
        // L-26: the names that lead there are durable, whoever made them.
        await world.clock.runUntil(wal.append(undefined, [entry(1, 1)], true));
        world.disk.crash({ unsyncedPercent: 0, tornWrites: false });
        expect((await contentsOf(world)).entries.length, `operation ${at}`).toBe(1);
      }
    });
  }
});

test('no append is acknowledged in a segment whose name is not durable (L-26)', async () => {
  const world = newWorld(6);
  const { wal, contents } = await open(world);
  const run = new Run(wal, contents);
  for (let index = 1; index <= 60; index++) {
    await world.clock.runUntil(run.submit({ type: 'append', entries: [entry(index, 1)] }));
    const clone = world.disk.crashClone({ unsyncedPercent: 0, tornWrites: false });
    const found = await contentsOf({ ...world, disk: clone });
    expect(found.entries.length).toBe(index);
  }
  expect(world.disk.tree(dir).length).toBeGreaterThan(3);
});

test('a frame whose fsync failed, and that was read back all the same, survives a later power loss', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const world = newWorld(seed, 64 * 1024);
    const first = await open(world);
    await world.clock.runUntil(first.wal.append(undefined, [entry(1, 1)], true));
    world.disk.inject({ kinds: ['writeDurable'], nth: 1, code: 'EIO' });
    const failed = first.wal.append(undefined, [entry(2, 1)], true);
    await expect(world.clock.runUntil(failed)).rejects.toThrow(StorageError);
    // The process ends; the next one reads what the page cache has, whole or not.
    world.disk.kill();
    const second = await open(world);
    const last = second.contents.entries.at(-1)?.index ?? 0;
    await world.clock.runUntil(second.wal.append(undefined, [entry(last + 1, 1)], true));
    world.disk.crash({ unsyncedPercent: 0, tornWrites: false });
    const { entries } = await contentsOf(world);
    expect(entries.map(({ index }) => index)).toEqual(last === 1 ? [1, 2] : [1, 2, 3]);
  }
});
