/** One suite for every KvStore: LevelDB and the simulated one must keep the same promises. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KvStore, OpenKvStore } from '../../../src/common/index.js';
import { SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import { openLevelStore } from '../../../src/storage/index.js';
import { realClock } from '../mvcc/helpers.js';

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const all = {
  gte: bytes('\0'),
  lt: bytes('\xff'),
  countMax: 1000,
  bytesMax: 1e9,
};
const shown = (page: ReadonlyArray<readonly [Buffer, Buffer]>): string[] =>
  page.map(([key, value]) => `${key.toString('latin1')}=${value.toString('latin1')}`);
const puts = (...pairs: ReadonlyArray<readonly [string, string]>) =>
  pairs.map(([key, value]) => ({ key: bytes(key), value: bytes(value) }));

const stores: Readonly<Record<string, () => OpenKvStore>> = {
  level: () => openLevelStore,
  // Every table is more than no memory.
  'level, its tables read around it': () => (dir) => openLevelStore(dir, undefined, true, 0),
  simulated: () =>
    new SimKvDisk({ clock: realClock, random: new SimRandom(1), latencyMsMax: 1 }).open,
};

for (const [name, opener] of Object.entries(stores)) {
  describe(`KvStore: ${name}`, () => {
    let dir: string;
    let open: OpenKvStore;
    let kv: KvStore;

    beforeEach(async () => {
      dir = mkdtempSync(join(tmpdir(), 'kvorum-kv-'));
      open = opener();
      kv = await open(dir);
    });

    afterEach(async () => {
      await kv.close().catch(() => {});
      rmSync(dir, { recursive: true, force: true });
    });

    it('reads back what was written, in the order asked for', async () => {
      await kv.write(puts(['b', '2'], ['a', '1'], ['c', '']), { sync: false });
      const [c, missing, a] = await kv.getMany([bytes('c'), bytes('x'), bytes('a')]);
      expect(c?.length).toBe(0);
      expect(missing).toBeUndefined();
      expect(a?.toString()).toBe('1');
    });

    it('applies puts and deletes of one batch, the later one of a key winning', async () => {
      await kv.write(puts(['a', '1'], ['b', '1']), { sync: false });
      await kv.write(
        [...puts(['a', '2']), { key: bytes('b') }, { key: bytes('none') }, ...puts(['c', '3'])],
        { sync: true },
      );
      await kv.write([...puts(['d', '1']), { key: bytes('d') }], { sync: true });
      expect(shown(await kv.scan(all))).toEqual(['a=2', 'c=3']);
    });

    it('scans in byte order from gte to before lt', async () => {
      await kv.write(puts(['\xfe', 'z'], ['\x80', 'y'], ['a', '1'], ['b', '2'], ['a\0', '3']), {
        sync: false,
      });
      expect(shown(await kv.scan(all))).toEqual(['a=1', 'a\0=3', 'b=2', '\x80=y', '\xfe=z']);
      const part = { ...all, gte: bytes('a\0'), lt: bytes('b') };
      expect(shown(await kv.scan(part))).toEqual(['a\0=3']);
    });

    it('stops a page after countMax entries, or with the entry that reaches bytesMax', async () => {
      await kv.write(puts(['a', '11'], ['b', '22'], ['c', '33'], ['d', '44']), { sync: false });
      expect(shown(await kv.scan({ ...all, countMax: 2 }))).toEqual(['a=11', 'b=22']);
      expect(shown(await kv.scan({ ...all, bytesMax: 6 }))).toEqual(['a=11', 'b=22']);
      expect(shown(await kv.scan({ ...all, bytesMax: 1 }))).toEqual(['a=11']);
    });

    it('pages through more entries than one internal read takes', async () => {
      const many = Array.from({ length: 2500 }, (_, i) => [`k${i + 10_000}`, 'v'] as const);
      await kv.write(puts(...many), { sync: false });
      expect((await kv.scan({ ...all, countMax: 2500 })).length).toBe(2500);
      expect((await kv.scan({ ...all, countMax: 2001 })).length).toBe(2001);
    });

    it('shows in a view what had been written when it was made, and only that', async () => {
      await kv.write(puts(['a', '1'], ['b', '1']), { sync: false });
      const view = kv.view();
      await kv.write([...puts(['a', '2'], ['c', '2']), { key: bytes('b') }], { sync: false });
      expect(shown(await view.scan(all))).toEqual(['a=1', 'b=1']);
      expect(shown(await kv.scan(all))).toEqual(['a=2', 'c=2']);
      await view.close();
    });

    it('reads the pages of a view in any order, two at a time, and closes under a scan', async () => {
      await kv.write(puts(['a', '1'], ['b', '2'], ['c', '3'], ['d', '4']), { sync: false });
      const view = kv.view();
      const from = (key: string, lt = '\xff') => ({
        ...all,
        gte: bytes(key),
        lt: bytes(lt),
        countMax: 2,
      });
      expect(shown(await view.scan(from('a')))).toEqual(['a=1', 'b=2']);
      const both = await Promise.all([view.scan(from('b\0')), view.scan(from('b\0'))]);
      expect(both.map(shown)).toEqual([
        ['c=3', 'd=4'],
        ['c=3', 'd=4'],
      ]);
      expect(shown(await view.scan(from('a')))).toEqual(['a=1', 'b=2']);
      // What follows, but with another end.
      expect(shown(await view.scan(from('b\0', 'd')))).toEqual(['c=3']);
      expect(shown(await view.scan(from('b\0')))).toEqual(['c=3', 'd=4']);
      expect(shown(await view.scan(from('d\0')))).toEqual([]);
      const late = view.scan(from('a'));
      await Promise.all([view.close(), late.catch(() => {})]);
    });

    it('keeps everything over close and open', async () => {
      await kv.write(puts(['a', '1']), { sync: false });
      await kv.close();
      kv = await open(dir);
      expect(shown(await kv.scan(all))).toEqual(['a=1']);
    });

    it('keeps its contents when asked to reclaim space', async () => {
      await kv.write(puts(['a', '1'], ['b', '2']), { sync: false });
      await kv.compact(bytes('\0'), bytes('\xff'));
      expect(shown(await kv.scan(all))).toEqual(['a=1', 'b=2']);
    });

    it('takes space, and gives it back when asked to', async () => {
      const large = 'v'.repeat(10_000);
      for (let i = 0; i < 100; i += 1) {
        const changes = puts([`k${i % 3}`, large], [`once${i}`, large]);
        await kv.write(i === 0 ? changes : [...changes, { key: bytes(`once${i - 1}`) }], {
          sync: false,
        });
      }
      expect(await kv.sizeBytes()).toBeGreaterThan(2_000_000);
      for (let time = 0; time < 2; time += 1) {
        // The second time there is nothing above the lowest tables.
        await kv.compact(bytes('\0'), bytes('\xff'));
        expect(await kv.sizeBytes()).toBeLessThan(100_000);
        expect(await kv.sizeBytes()).toBeGreaterThan(40_000);
        expect(shown(await kv.scan(all)).map((one) => one.slice(0, 6))).toEqual([
          'k0=vvv',
          'k1=vvv',
          'k2=vvv',
          'once99',
        ]);
      }
      await kv.write([{ key: bytes('k1') }], { sync: false });
      await kv.compact(bytes('k'), bytes('l'));
      expect(await kv.sizeBytes()).toBeLessThan(60_000);
      expect(shown(await kv.scan(all)).map((one) => one.slice(0, 2))).toEqual(['k0', 'k2', 'on']);
    });

    it('lets nobody else open the directory, and says so', async () => {
      await expect(open(dir)).rejects.toThrow(/in use by another process/);
      await expect(open(dir)).rejects.toMatchObject({ name: 'StorageError', path: dir });
    });

    it('writes empty batches', async () => {
      await kv.write([], { sync: true });
      expect(await kv.scan(all)).toEqual([]);
    });
  });
}

describe('a simulated KvStore that crashes', () => {
  it('keeps a prefix of the batches, at least up to the last synced one', async () => {
    const kept = new Set<number>();
    for (let seed = 0; seed < 200; seed += 1) {
      const disk = new SimKvDisk({ clock: realClock, random: new SimRandom(seed) });
      const kv = await disk.open('d');
      const writes: Array<Promise<void>> = [];
      for (let i = 0; i < 6; i += 1) {
        writes.push(kv.write(puts([`k${i}`, 'v'], ['last', `${i}`]), { sync: i === 2 }));
        if (i === 4) await Promise.all(writes);
      }
      disk.crash('d');
      const after = await disk.open('d');
      const found = shown(await after.scan(all));
      const count = found.length - 1;
      expect(count).toBeGreaterThanOrEqual(3);
      expect(found).toEqual([
        ...Array.from({ length: count }, (_, i) => `k${i}=v`),
        `last=${count - 1}`,
      ]);
      kept.add(count);
    }
    expect([...kept].sort()).toEqual([3, 4, 5, 6]);
  });

  it('never answers the calls of the process that died', async () => {
    const disk = new SimKvDisk({ clock: realClock, random: new SimRandom(1) });
    const kv = await disk.open('d');
    let answered = false;
    const note = (): void => {
      answered = true;
    };
    kv.write(puts(['a', '1']), { sync: true }).then(note, note);
    disk.crash('d');
    const after = await disk.open('d');
    await after.scan(all);
    await after.scan(all);
    expect(answered).toBe(false);
  });
});
