/** Which directory counts when a member starts, and what becomes of the others. */

import { describe, expect, it } from 'vitest';
import { StorageError } from '../../../src/common/index.js';
import {
  chooseGeneration,
  KvGenerations,
  type OpenGeneration,
} from '../../../src/storage/index.js';
import { goOn, Halted, Machine, memberDir, piecesOf, stage } from './machine.js';

const kv = {
  getMany: () => Promise.reject(new Error('not to be read')),
  write: () => Promise.reject(new Error('not to be written')),
  scan: () => Promise.reject(new Error('not to be read')),
  view: () => {
    throw new Error('not to be read');
  },
  compact: () => Promise.resolve(),
  sizeBytes: () => Promise.resolve(0),
  close: () => Promise.resolve(),
};

function generations(...applied: ReadonlyArray<number | undefined>): OpenGeneration[] {
  return applied.map((index, generation) => ({
    generation,
    path: `${memberDir}/kv-${generation}`,
    kv,
    applied: index === undefined ? undefined : { index, term: 1 },
  }));
}

function chosen(list: OpenGeneration[], snapshot: number, lastIndex: number, term = 1): number {
  return chooseGeneration(list, { snapshot: { index: snapshot, term }, lastIndex }, memberDir)
    .generation;
}

describe('of several complete directories', () => {
  it('the old one counts until the log is marked with the new one', () => {
    expect(chosen(generations(10, 20), 5, 12)).toBe(0);
    expect(chosen(generations(10, 20), 10, 10)).toBe(0);
    // Entries beyond the received state may be in the log already, and may be others in the end.
    expect(chosen(generations(10, 20), 5, 25)).toBe(0);
    // A member that joined and has nothing yet.
    expect(chosen(generations(0, 20), 0, 0)).toBe(0);
  });

  it('the new one counts from then on', () => {
    expect(chosen(generations(10, 20), 20, 20)).toBe(1);
    expect(chosen(generations(10, 24), 20, 30)).toBe(1);
    expect(chosen(generations(10, 24), 22, 30)).toBe(1);
  });

  it('the log says which of two installs was the last (L-22)', () => {
    expect(chosen(generations(10, 20, 30), 20, 20)).toBe(1);
    expect(chosen(generations(10, 20, 30), 30, 30)).toBe(2);
    expect(chosen(generations(10, 33, 30), 30, 33)).toBe(1);
  });

  it('one that another term made does not fit', () => {
    expect(() => chosen(generations(10, 20), 20, 20, 2)).toThrow(StorageError);
  });

  it('none is guessed at if none fits', () => {
    expect(() => chosen(generations(10, 20), 30, 40)).toThrow(/none of the databases fits/);
    expect(() => chosen(generations(10, 20), 5, 8)).toThrow(/kv at entry 10, kv-1 at entry 20/);
    expect(() => chosen(generations(undefined, 20), 0, 0)).toThrow(StorageError);
  });
});

describe('a directory', () => {
  it('has its lasting name only while all of it is there for sure', async () => {
    const done: string[] = [];
    const note = (what: string): Promise<void> => {
      done.push(what);
      return Promise.resolve();
    };
    const place = {
      memberDir: 'm',
      openKvStore: () => Promise.resolve(kv),
      disk: {
        open: () => Promise.reject(new Error('not to be opened')),
        list: () => Promise.resolve([]),
        mkdir: () => note('mkdir'),
        mode: () => Promise.resolve(0o700),
        rename: (from: string, to: string) => note(`rename ${from} ${to}`),
        remove: (path: string) => note(`remove ${path}`),
        syncDir: (dir: string) => note(`syncDir ${dir}`),
      },
    };
    const directories = new KvGenerations(place, generations(1));
    const { path } = await directories.stage();
    const whole = await directories.complete(path);
    await directories.remove(whole);
    expect(done).toEqual([
      'remove m/kv-1.tmp',
      'syncDir m/kv-1.tmp',
      'rename m/kv-1.tmp m/kv-1',
      'syncDir m',
      'rename m/kv-1 m/kv-1.gone',
      'syncDir m',
      'remove m/kv-1.gone',
    ]);
  });
});

describe('a start', () => {
  it('opens a directory as earlier versions left it', async () => {
    const machine = new Machine(1);
    const first = await machine.run(machine.open());
    await machine.run(goOn(first, 2, 20));
    await machine.run(first.store.close());
    await machine.run(first.wal.close());
    expect(await machine.kvDirs()).toEqual(['kv']);
    const again = await machine.run(machine.open());
    expect(again.store.applied.index).toBe(20);
  });

  it('finds what was synced, also if the log is elsewhere', async () => {
    const machine = new Machine(1, { walDir: '/wal' });
    const first = await machine.run(machine.open());
    await machine.run(goOn(first, 2, 20));
    await machine.run(first.store.flushSync());
    machine.crash(0);
    const again = await machine.run(machine.open());
    expect(again.store.applied.index).toBe(20);
  });

  it('removes what was not finished, and numbers on', async () => {
    const leader = new Machine(2);
    const from = await leader.run(leader.open());
    await leader.run(goOn(from, 2, 50));
    const { pieces } = await leader.run(piecesOf(from.store));
    const machine = new Machine(3);
    const first = await machine.run(machine.open());
    await machine.run(goOn(first, 2, 10));
    const sink = await machine.run(first.store.openSink());
    await machine.run(sink.write(pieces[0] as Buffer));
    await machine.run(stage(first.store, pieces));
    expect(await machine.kvDirs()).toEqual(['kv', 'kv-1.tmp', 'kv-2']);
    machine.crash(100);
    const { store, wal } = await machine.run(machine.open());
    expect(store.applied.index).toBeLessThanOrEqual(10);
    expect(await machine.kvDirs()).toEqual(['kv']);
    const staged = await machine.run(stage(store, pieces));
    expect(await machine.kvDirs()).toContain('kv');
    await machine.run(wal.markSnapshot(staged.mark));
    machine.crash(100);
    const after = await machine.run(machine.open());
    expect(after.store.applied.index).toBe(50);
    expect(await machine.kvDirs()).toHaveLength(1);
  });

  it('refuses and removes nothing if the state that the log needs is gone', async () => {
    const leader = new Machine(4);
    const from = await leader.run(leader.open());
    await leader.run(goOn(from, 2, 50));
    const { pieces } = await leader.run(piecesOf(from.store));
    const machine = new Machine(5);
    const { store, wal } = await machine.run(machine.open());
    await machine.run(goOn({ store, wal }, 2, 10));
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    machine.crash(100);
    await machine.run(machine.disk.remove(`${memberDir}/kv-1`));
    for (let attempt = 0; attempt < 2; attempt += 1) {
      await expect(machine.run(machine.open())).rejects.toMatchObject({ name: 'StorageError' });
      expect(await machine.kvDirs()).toEqual(['kv']);
    }
  });

  it('is refused while another process has any of the directories open', async () => {
    const leader = new Machine(6);
    const from = await leader.run(leader.open());
    await leader.run(goOn(from, 2, 50));
    const { pieces } = await leader.run(piecesOf(from.store));
    const machine = new Machine(7);
    const { store, wal } = await machine.run(machine.open());
    await expect(machine.run(machine.open())).rejects.toThrow(/in use/);
    const staged = await machine.run(stage(store, pieces));
    await machine.run(wal.markSnapshot(staged.mark));
    // At any moment of the change.
    let isInstalled = false;
    const installing = store.install(staged).then(() => {
      isInstalled = true;
    });
    for (let turn = 0; turn < 60; turn += 1) {
      await machine.clock.run(machine.clock.nowMs() + 0.1);
      await expect(machine.run(machine.open())).rejects.toMatchObject({ name: 'StorageError' });
    }
    expect(isInstalled).toBe(true);
    await installing;
    expect(store.applied.index).toBe(50);
    await machine.run(store.close());
    await machine.run(wal.close());
    const again = await machine.run(machine.open());
    expect(again.store.applied.index).toBe(50);
  });

  it('comes through crashes at each of its own operations, too', async () => {
    const leader = new Machine(8);
    const from = await leader.run(leader.open());
    await leader.run(goOn(from, 2, 50));
    const { hash } = await leader.run(from.store.hashKv(0));
    const { pieces } = await leader.run(piecesOf(from.store));
    for (const kind of ['disk', 'kv'] as const) {
      for (let at = 0; ; at += 1) {
        const machine = new Machine(9);
        const { store, wal } = await machine.run(machine.open());
        await machine.run(goOn({ store, wal }, 2, 10));
        await machine.run(store.openSink());
        const staged = await machine.run(stage(store, pieces));
        await machine.run(wal.markSnapshot(staged.mark));
        machine.crash(50);
        if (kind === 'disk') machine.disk.haltAt(machine.disk.operations + at);
        else machine.kvDisk.haltAt(machine.kvDisk.operations + at);
        const opening = machine.run(machine.open());
        const ended = await opening.then(
          () => false,
          (error: unknown) => {
            expect(error).toBeInstanceOf(Halted);
            return true;
          },
        );
        machine.crash(at % 101);
        const again = await machine.run(machine.open());
        expect(again.store.applied.index, `${kind} ${at}`).toBe(50);
        expect((await machine.run(again.store.hashKv(0))).hash).toBe(hash);
        expect(await machine.kvDirs(), `${kind} ${at}`).toEqual(['kv-2']);
        if (!ended) {
          expect(at).toBeGreaterThan(5);
          break;
        }
      }
    }
  });
});
