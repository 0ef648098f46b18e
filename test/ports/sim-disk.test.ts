/** What the simulated disk does that a real one does only on a bad day (L-38). */

import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { beforeEach, describe, expect, test } from 'vitest';

import type { DiskFile } from '../../src/common/index.js';
import { SimClock, SimDisk, SimRandom } from '../../src/sim/index.js';

let clock: SimClock;
let disk: SimDisk;
beforeEach(() => {
  clock = new SimClock();
  disk = new SimDisk({ clock, random: new SimRandom(1) });
});

function run<T>(work: Promise<T>): Promise<T> {
  return clock.runUntil(work);
}

async function durableFile(path: string, content: string): Promise<DiskFile> {
  disk.plant(path, Buffer.from(content));
  return run(disk.open(path, 'write'));
}

const loseAll = { unsyncedPercent: 0, tornWrites: false } as const;
const keepAll = { unsyncedPercent: 100, tornWrites: false } as const;

describe('a crash', () => {
  test('loses what was not synced, and keeps what was', async () => {
    const file = await durableFile('/d/f', '....');
    await run(file.write(0, [Buffer.from('ab')]));
    await run(file.sync());
    await run(file.write(2, [Buffer.from('cdef')]));
    expect(disk.crashClone(keepAll).peek('/d/f').toString()).toBe('abcdef');
    expect(disk.peek('/d/f').toString()).toBe('abcdef');
    disk.crash(loseAll);
    expect(disk.peek('/d/f').toString()).toBe('ab..');
  });

  test('keeps a durable write though an earlier one is lost', async () => {
    const file = await durableFile('/d/f', '......');
    await run(file.write(0, [Buffer.from('lost')]));
    await run(file.writeDurable(2, [Buffer.from('kept')]));
    expect(disk.crashClone(loseAll).peek('/d/f').toString()).toBe('..kept');
    expect(disk.crashClone(keepAll).peek('/d/f').toString()).toBe('lokept');
    await run(file.sync());
    expect(disk.crashClone(loseAll).peek('/d/f').toString()).toBe('lokept');
  });

  test('a sync covers what was written before it began', async () => {
    const file = await durableFile('/d/f', '....');
    await run(file.write(0, [Buffer.from('ab')]));
    const syncing = file.sync();
    void file.write(2, [Buffer.from('cd')]);
    await run(syncing);
    expect(disk.crashClone(loseAll).peek('/d/f').toString()).toBe('ab..');
  });

  test('keeps some un-synced writes, in sectors, in any combination', async () => {
    const sectors = (letters: string): string =>
      [...letters].map((letter) => letter.repeat(512)).join('');
    const seen = new Set<string>();
    for (let seed = 0; seed < 600; seed++) {
      disk = new SimDisk({ clock, random: new SimRandom(seed) });
      const file = await durableFile('/d/f', sectors('....'));
      await run(file.write(0, [Buffer.from(sectors('ab'))]));
      await run(file.write(1024, [Buffer.from(sectors('cd'))]));
      disk.crash({ unsyncedPercent: 60, tornWrites: true });
      seen.add(disk.peek('/d/f').toString());
    }
    expect(seen.size).toBe(16);
    for (const one of seen) {
      expect(one).toMatch(/^(a{512}|\.{512})(b{512}|\.{512})(c{512}|\.{512})(d{512}|\.{512})$/);
    }
  });

  test('loses names that no directory sync has covered (L-26)', async () => {
    await run(disk.mkdir('/d'));
    await run(disk.syncDir('/'));
    const file = await run(disk.open('/d/new', 'create'));
    await run(file.writeDurable(0, [Buffer.from('x')]));
    disk.plant('/d/old', Buffer.from('o'));
    await run(disk.rename('/d/old', '/d/renamed'));
    disk.plant('/d/gone', Buffer.from('g'));
    await run(disk.remove('/d/gone'));
    const names = (options: typeof loseAll | typeof keepAll): string[] =>
      disk
        .crashClone(options)
        .tree()
        .map(([path]) => path);
    expect(names(keepAll)).toEqual(['/d/new', '/d/renamed']);
    await run(disk.syncDir('/d'));
    expect(names(loseAll)).toEqual(['/d/new', '/d/renamed']);
    await run(disk.rename('/d/renamed', '/d/again'));
    expect(names(loseAll)).toEqual(['/d/new', '/d/renamed']);
    disk.crash(loseAll);
    expect(disk.peek('/d/renamed').toString()).toBe('o');
  });

  test('a directory is a name like others (L-26)', async () => {
    await run(disk.mkdir('/a/b'));
    const file = await run(disk.open('/a/b/f', 'create'));
    await run(file.sync());
    await run(disk.syncDir('/a/b'));
    await run(disk.syncDir('/'));
    expect(disk.crashClone(loseAll).tree()).toEqual([]);
    await run(disk.syncDir('/a'));
    expect(disk.crashClone(loseAll).tree()).toEqual([['/a/b/f', 0]]);
  });

  test('what a process goes on to do once it is gone does nothing (it was told just before)', async () => {
    await durableFile('/d/f', '....');
    await durableFile('/d/g', '....');
    for (const end of [() => disk.crash(loseAll), () => disk.kill()]) {
      const process = disk.process();
      let settled = 0;
      const count = (): void => {
        settled += 1;
      };
      const told = Promise.resolve().then(() => {
        void process.rename('/d/f', '/d/moved').then(count, count);
        void process.remove('/d/g').then(count, count);
        void process.open('/d/new', 'create').then(count, count);
      });
      end();
      await told;
      await clock.runAll();
      expect(settled).toBe(0);
      expect(disk.tree('/d').map(([path]) => path)).toEqual(['/d/f', '/d/g']);
      await run(disk.process().rename('/d/f', '/d/f'));
    }
  });

  test('ends the process: nothing of it completes or takes effect any more', async () => {
    const file = await durableFile('/d/f', '....');
    let completed = 0;
    const count = (): void => {
      completed += 1;
    };
    void file.write(0, [Buffer.from('ab')]).then(count, count);
    void disk.list('/').then(count, count);
    disk.crash(loseAll);
    void file.write(2, [Buffer.from('cd')]).then(count, count);
    void file.close().then(count, count);
    await clock.runAll();
    expect(completed).toBe(0);
    expect(disk.peek('/d/f').toString()).toBe('....');
    const again = await run(disk.open('/d/f', 'read'));
    expect((await run(again.read(0, 9))).toString()).toBe('....');
  });

  test('a kill ends the process and loses nothing', async () => {
    const file = await durableFile('/d/f', '....');
    await run(file.write(0, [Buffer.from('ab')]));
    disk.kill();
    expect(disk.peek('/d/f').toString()).toBe('ab..');
    expect(disk.peekDurable('/d/f').toString()).toBe('....');
  });
});

describe('faults', () => {
  test('hit the operation they were meant for, once or for ever', async () => {
    const file = await durableFile('/d/f', '....');
    disk.inject({ kinds: ['sync'], nth: 2, code: 'EIO' });
    await run(file.sync());
    await expect(run(file.sync())).rejects.toMatchObject({ code: 'EIO' });
    await run(file.sync());
    disk.inject({ kinds: ['sync', 'write'], path: '/d/', nth: 1, code: 'ENOSPC', sticky: true });
    await expect(run(file.sync())).rejects.toMatchObject({ code: 'ENOSPC' });
    await expect(run(file.write(0, [Buffer.from('x')]))).rejects.toThrow('ENOSPC');
    disk.clearFaults();
    await run(file.sync());
  });

  test('a sync that failed leaves each write on the disk or lost for good', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      disk = new SimDisk({ clock, random: new SimRandom(seed) });
      const file = await durableFile('/d/f', '....');
      await run(file.write(0, [Buffer.from('ab')]));
      await run(file.write(2, [Buffer.from('cd')]));
      disk.inject({ kinds: ['sync'], nth: 1, code: 'EIO' });
      await expect(run(file.sync())).rejects.toThrow('EIO');
      // The second one succeeds, and means nothing.
      await run(file.sync());
      expect(disk.peek('/d/f').toString()).toBe('abcd');
      disk.crash(keepAll);
      seen.add(disk.peek('/d/f').toString());
    }
    expect([...seen].sort()).toEqual(['....', '..cd', 'ab..', 'abcd']);
  });

  test('a failed write may have written a part', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      disk = new SimDisk({ clock, random: new SimRandom(seed) });
      const file = await durableFile('/d/f', '.'.repeat(1024));
      disk.inject({ kinds: ['write'], nth: 1, code: 'EIO' });
      await expect(run(file.write(511, [Buffer.from('a'), Buffer.from('b')]))).rejects.toThrow();
      seen.add(disk.peek('/d/f').toString().slice(510, 514));
    }
    // Up to the end of a sector, or all of it.
    expect([...seen].sort()).toEqual(['....', '.a..', '.ab.']);
  });

  test('a disk is full at the sector', async () => {
    const file = await durableFile('/d/f', '.'.repeat(510));
    disk.setCapacity(600);
    await run(file.write(0, [Buffer.from('over')]));
    const more = 'm'.repeat(100);
    await expect(run(file.write(509, [Buffer.from(more)]))).rejects.toMatchObject({
      code: 'ENOSPC',
    });
    expect(disk.peek('/d/f').toString()).toBe(`over${'.'.repeat(505)}mmm`);
    disk.setCapacity(609);
    await run(file.write(509, [Buffer.from(more)]));
  });

  test('bits flip at rest', async () => {
    const file = await durableFile('/d/f', 'aaaa');
    await run(file.write(1, [Buffer.from('b')]));
    disk.flipBit('/d/f', 1, 1);
    expect(disk.peek('/d/f').toString()).toBe('a`aa');
    expect(disk.peekDurable('/d/f').toString()).toBe('acaa');
  });

  test('a process can be stopped at each operation; that one may still take effect', async () => {
    const seen = new Set<string>();
    for (let seed = 0; seed < 20; seed++) {
      disk = new SimDisk({ clock, random: new SimRandom(seed) });
      const file = await durableFile('/d/f', '....');
      disk.haltAt(disk.operations + 1);
      await run(file.write(0, [Buffer.from('a')]));
      expect(disk.halted).toBe(false);
      void file.write(1, [Buffer.from('b')]).then(() => expect.fail('completed'));
      void file.write(2, [Buffer.from('c')]).then(() => expect.fail('completed'));
      await clock.runAll();
      expect(disk.halted).toBe(true);
      disk.crash(keepAll);
      seen.add(disk.peek('/d/f').toString());
    }
    expect([...seen].sort()).toEqual(['a...', 'ab..']);
  });
});

test('the same seed gives the same disk, to the byte and the microsecond', async () => {
  async function life(seed: number): Promise<string> {
    const time = new SimClock();
    const one = new SimDisk({ clock: time, random: new SimRandom(seed) });
    const work = (async () => {
      await one.mkdir('/d');
      const files = await Promise.all(['a', 'b'].map((name) => one.open(`/d/${name}`, 'create')));
      await Promise.all(files.map((file, i) => file.write(i, [Buffer.alloc(100, 'x')])));
      await one.syncDir('/');
      await files[0]?.sync();
    })();
    await time.runUntil(work);
    one.crash({ unsyncedPercent: 50, tornWrites: true });
    const bytes = one.tree().map(([path]) => path + one.peek(path).toString('hex'));
    return `${time.nowMs()} ${one.operations} ${bytes.join()}`;
  }
  expect(await life(5)).toBe(await life(5));
  expect(await life(5)).not.toBe(await life(6));
});

test('what a process that is gone waited for is let go', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const file = await durableFile('/d/f', '....');
  disk.crash(loseAll);
  const waiting = new WeakRef(waitsOn(file));
  for (let i = 0; i < 20 && waiting.deref() !== undefined; i += 1) {
    await turn();
    collect();
  }
  expect(waiting.deref()).toBeUndefined();
});

/** Something that goes on when `file` is synced, which will never be. */
function waitsOn(file: DiskFile): object {
  const process = { memory: Buffer.alloc(1000), isDone: false };
  file.sync().then(() => {
    process.isDone = true;
  });
  return process;
}
