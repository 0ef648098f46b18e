/** What is read around LevelDB is what LevelDB has. */

import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KvChange, KvStore } from '../../../src/common/index.js';
import { SimRandom } from '../../../src/sim/index.js';
import { openLevelStore } from '../../../src/storage/index.js';
import { TableReads } from '../../../src/storage/level/table-reads.js';
import { markKey, revisionKey } from '../../../src/storage/schema/index.js';

const noMemory = 0;
let dir: string;
let kv: KvStore;
let tables: TableReads;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kvorum-tables-'));
  kv = await openLevelStore(dir);
  tables = new TableReads(dir, noMemory);
});

afterEach(async () => {
  await tables.close();
  await kv.close().catch(() => {});
  rmSync(dir, { recursive: true, force: true });
});

const keyOf = (revision: number): Buffer => revisionKey(revision, 0, false);

/** Writes records as the flush does: in the order of their keys, each batch with the mark. */
async function fill(from: number, to: number, sizeMax: number): Promise<Map<number, Buffer>> {
  const random = new SimRandom(from);
  const written = new Map<number, Buffer>();
  for (let at = from; at < to; ) {
    const batch: KvChange[] = [];
    for (let bytes = 0; at < to && bytes < 1_000_000; at += 1) {
      const value = random.bytes(random.below(sizeMax));
      written.set(at, value);
      batch.push({ key: keyOf(at), value });
      bytes += value.length + 18;
    }
    batch.push({ key: markKey, value: Buffer.from(String(at)) });
    await kv.write(batch, { sync: false });
  }
  return written;
}

const ldb = (): string[] => readdirSync(dir).filter((name) => name.endsWith('.ldb'));

/** Puts all that LevelDB has in memory into tables. */
const flushAll = () => kv.compact(Buffer.from('k'), Buffer.from('l'));

describe('records read from the tables', () => {
  it.each([
    ['small', 30_000, 700],
    ['large', 6_000, 9_000],
    ['larger than a block and a buffer', 40, 2_000_000],
  ])('are all there: %s', async (_name, count, sizeMax) => {
    const written = await fill(1, count + 1, sizeMax);
    await flushAll();
    await tables.list();
    expect(ldb().length).toBeGreaterThan(1);
    for (const [revision, value] of written) {
      const found = await tables.get(keyOf(revision));
      expect(found?.equals(value), `revision ${revision}`).toBe(true);
    }
    for (const revision of [0, count + 1, 2 ** 40]) {
      expect(await tables.get(keyOf(revision))).toBeUndefined();
    }
  });

  it('goes on while tables come and go', async () => {
    await kv.close();
    kv = await openLevelStore(dir, undefined, true, noMemory);
    const written = new Map<number, Buffer>();
    const random = new SimRandom(7);
    for (let round = 0; round < 6; round += 1) {
      const more = fill(round * 10_000 + 1, (round + 1) * 10_000 + 1, 400);
      const known = [...written.keys()];
      for (let i = 0; known.length > 0 && i < 300; i += 1) {
        const keys = Array.from({ length: 1 + random.below(5) }, () => random.pick(known));
        const values = await kv.getMany(keys.map(keyOf));
        expect(values).toEqual(keys.map((revision) => written.get(revision)));
      }
      for (const [revision, value] of await more) written.set(revision, value);
      await kv.sizeBytes();
      if (round % 3 === 2) await flushAll();
    }
    const gone = [...written.keys()].filter((revision) => revision % 3 === 0);
    await kv.write(
      gone.map((revision) => ({ key: keyOf(revision) })),
      { sync: false },
    );
    await flushAll();
    await kv.sizeBytes();
    // What was deleted is nowhere once it is in no table.
    expect(await kv.getMany(gone.slice(0, 50).map(keyOf))).toEqual(Array(50).fill(undefined));
  });

  it('leaves to LevelDB what is damaged, cut short, or no table', async () => {
    const written = await fill(1, 20_000, 800);
    await flushAll();
    const names = ldb().map((name) => join(dir, name));
    const [first = '', second = ''] = names;
    writeFileSync(join(dir, '999999.ldb'), 'no table');
    truncateSync(first, statSync(first).size - 100);
    writeFileSync(second, Buffer.alloc(statSync(second).size, 0x41));
    await tables.list();
    let found = 0;
    for (const [revision, value] of written) {
      const read = await tables.get(keyOf(revision));
      if (read === undefined) continue;
      expect(read.equals(value)).toBe(true);
      found += 1;
    }
    expect(found).toBeLessThan(written.size);
    for (const name of names) rmSync(name);
    await tables.list();
    expect(await tables.get(keyOf(1))).toBeUndefined();
  });

  it('are used only where the tables are much of the memory', async () => {
    await fill(1, 30_000, 1_000);
    await flushAll();
    const { isUseful } = tables;
    await tables.list();
    expect([isUseful, tables.isUseful]).toEqual([false, true]);
    const roomy = new TableReads(dir, 1024 * 1024 * 1024);
    await roomy.list();
    expect(roomy.isUseful).toBe(false);
  });
});
