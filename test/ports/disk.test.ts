/** What every Disk promises, asked of the real and of the simulated one. */

import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { type Disk, InvariantError } from '../../src/common/index.js';
import { nodeDisk } from '../../src/server/platform/disk-node.js';
import { SimClock, SimDisk, SimRandom } from '../../src/sim/index.js';

interface Subject {
  readonly disk: Disk;
  readonly base: string;
  run<T>(work: Promise<T>): Promise<T>;
  clean(): Promise<void>;
}

const subjects: ReadonlyArray<readonly [string, () => Promise<Subject>]> = [
  [
    'real',
    async () => {
      const base = await mkdtemp(join(tmpdir(), 'kvorum-disk-'));
      return {
        disk: nodeDisk,
        base,
        run: (work) => work,
        clean: () => rm(base, { recursive: true }),
      };
    },
  ],
  [
    'simulated',
    async () => {
      const clock = new SimClock();
      const disk = new SimDisk({ clock, random: new SimRandom(1) });
      await clock.runUntil(disk.mkdir('/base'));
      return { disk, base: '/base', run: (work) => clock.runUntil(work), clean: async () => {} };
    },
  ],
];

describe.each(subjects)('%s disk', (_name, make) => {
  let subject: Subject;
  beforeEach(async () => {
    subject = await make();
  });
  afterEach(() => subject.clean());

  /** Runs `work` against the disk, with time passing. */
  function on(work: (disk: Disk, base: string) => Promise<void>): Promise<void> {
    return subject.run(work(subject.disk, subject.base));
  }

  test('reads what was written, up to the end of the file', () =>
    on(async (disk, base) => {
      const file = await disk.open(join(base, 'a'), 'create');
      expect(await file.size()).toBe(0);
      expect(await file.read(0, 10)).toEqual(Buffer.alloc(0));
      await file.write(0, [Buffer.from('hello '), Buffer.alloc(0), Buffer.from('world')]);
      expect((await file.read(0, 100)).toString()).toBe('hello world');
      expect((await file.read(6, 3)).toString()).toBe('wor');
      expect((await file.read(11, 3)).length).toBe(0);
      expect((await file.read(50, 3)).length).toBe(0);
      await file.write(6, [Buffer.from('there')]);
      await file.write(3, []);
      expect((await file.read(0, 100)).toString()).toBe('hello there');
      await file.sync();
      await file.close();
      await file.close();
    }));

  test('what it returns belongs to the caller', () =>
    on(async (disk, base) => {
      const file = await disk.open(join(base, 'a'), 'create');
      await file.write(0, [Buffer.from('abc')]);
      (await file.read(0, 3)).fill(0);
      expect((await file.read(0, 3)).toString()).toBe('abc');
      await file.close();
    }));

  test('writes many and large chunks whole and in order', () =>
    on(async (disk, base) => {
      const file = await disk.open(join(base, 'a'), 'create');
      const chunks = Array.from({ length: 3000 }, (_, i) => Buffer.alloc((i * 7) % 50, i));
      chunks.push(Buffer.alloc(3_000_000, 9));
      await file.write(5, chunks);
      const expected = Buffer.concat([Buffer.alloc(5), ...chunks]);
      expect((await file.read(0, expected.length + 1)).equals(expected)).toBe(true);
      await file.writeDurable(1, [Buffer.from('xy'), Buffer.from('z')]);
      expect((await file.read(0, 5)).toString('latin1')).toBe('\0xyz\0');
      await file.close();
    }));

  test('a hole and an extended file read as zeros', () =>
    on(async (disk, base) => {
      const file = await disk.open(join(base, 'a'), 'create');
      await file.write(4, [Buffer.from('x')]);
      await file.truncate(7);
      expect(await file.read(0, 9)).toEqual(Buffer.from('\0\0\0\0x\0\0', 'latin1'));
      await file.truncate(2);
      await file.truncate(6);
      expect(await file.read(0, 9)).toEqual(Buffer.alloc(6));
      expect(await file.size()).toBe(6);
      await file.close();
    }));

  test('modes: create makes a new file only, read and write need one that is there', () =>
    on(async (disk, base) => {
      const path = join(base, 'a');
      await expect(disk.open(path, 'read')).rejects.toMatchObject({ code: 'ENOENT' });
      await expect(disk.open(path, 'write')).rejects.toMatchObject({ code: 'ENOENT' });
      const created = await disk.open(path, 'create');
      await created.write(0, [Buffer.from('kept')]);
      await created.close();
      await expect(disk.open(path, 'create')).rejects.toMatchObject({ code: 'EEXIST' });
      const written = await disk.open(path, 'write');
      expect((await written.read(0, 9)).toString()).toBe('kept');
      await written.writeDurable(0, [Buffer.from('K')]);
      await written.close();
      const read = await disk.open(path, 'read');
      expect((await read.read(0, 9)).toString()).toBe('Kept');
      await read.close();
      const missing = join(base, 'no', 'such', 'dir');
      await expect(disk.open(missing, 'create')).rejects.toMatchObject({ code: 'ENOENT' });
    }));

  test('a file that is used after close is a broken invariant', () =>
    on(async (disk, base) => {
      const file = await disk.open(join(base, 'a'), 'create');
      await file.close();
      await expect((async () => file.read(0, 1))()).rejects.toThrow(InvariantError);
      await expect((async () => file.write(0, [Buffer.alloc(1)]))()).rejects.toThrow(
        InvariantError,
      );
      await expect((async () => file.sync())()).rejects.toThrow(InvariantError);
    }));

  test('lists names in order; a missing directory is empty', () =>
    on(async (disk, base) => {
      expect(await disk.list(join(base, 'none'))).toEqual([]);
      await disk.mkdir(join(base, 'x/y/z'));
      await disk.mkdir(join(base, 'x/y/z'));
      for (const name of ['b', 'a', 'c'])
        await (await disk.open(join(base, name), 'create')).close();
      expect(await disk.list(base)).toEqual(['a', 'b', 'c', 'x']);
      expect(await disk.list(join(base, 'x'))).toEqual(['y']);
      await expect(disk.list(join(base, 'a'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    }));

  test('renames over what is there, and an open file follows its new name', () =>
    on(async (disk, base) => {
      await disk.mkdir(join(base, 'to'));
      const file = await disk.open(join(base, 'a'), 'create');
      await (await disk.open(join(base, 'b'), 'create')).close();
      await disk.rename(join(base, 'a'), join(base, 'b'));
      await disk.rename(join(base, 'b'), join(base, 'to/c'));
      await file.writeDurable(0, [Buffer.from('still')]);
      await file.close();
      expect(await disk.list(base)).toEqual(['to']);
      const again = await disk.open(join(base, 'to/c'), 'read');
      expect((await again.read(0, 9)).toString()).toBe('still');
      await again.close();
      const [from, to] = [join(base, 'none'), join(base, 'd')];
      await expect(disk.rename(from, to)).rejects.toMatchObject({ code: 'ENOENT' });
      await disk.syncDir(base);
      await disk.syncDir(join(base, 'to'));
    }));

  test('removes files and whole directories, and what is missing without complaint', () =>
    on(async (disk, base) => {
      await disk.mkdir(join(base, 'x/y'));
      await (await disk.open(join(base, 'x/y/f'), 'create')).close();
      await (await disk.open(join(base, 'g'), 'create')).close();
      await disk.remove(join(base, 'g'));
      await disk.remove(join(base, 'x'));
      await disk.remove(join(base, 'x'));
      await disk.remove(join(base, 'p/q/r'));
      expect(await disk.list(base)).toEqual([]);
      await expect(disk.syncDir(join(base, 'x'))).rejects.toMatchObject({ code: 'ENOENT' });
    }));
});

test('files and directories of the real disk are for their owner only', async () => {
  const base = await mkdtemp(join(tmpdir(), 'kvorum-disk-'));
  await nodeDisk.mkdir(join(base, 'a/b'));
  const file = await nodeDisk.open(join(base, 'a/b/f'), 'create');
  await file.close();
  const modes = await Promise.all(
    ['a', 'a/b', 'a/b/f'].map(async (name) => (await stat(join(base, name))).mode & 0o777),
  );
  expect(modes).toEqual([0o700, 0o700, 0o600]);
  await rm(base, { recursive: true });
});
