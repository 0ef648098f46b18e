/**
 * A start from the saved index ends in the same state as a start from all records, whatever
 * happened before, and wherever it ended.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../../src/common/index.js';
import { SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import { KeyItem } from '../../../src/storage/index/item.js';
import { MvccState } from '../../../src/storage/mvcc/state.js';
import { orderByKey } from '../../../src/storage/recovery/order-by-key.js';
import { restore } from '../../../src/storage/recovery/restore.js';
import { revisionKey } from '../../../src/storage/schema/keys.js';
import { decodeMark } from '../../../src/storage/schema/mark.js';
import { seal } from '../../../src/storage/schema/seal.js';
import { apply, type Change, compact, dump, put, testOptions } from './helpers.js';
import { SimStore } from './sim-store.js';

/** All keys and values of a directory that nobody has open. */
async function contentOf(sim: SimStore): Promise<Array<readonly [Buffer, Buffer]>> {
  const kv = await sim.disk.open('d');
  const gte = Buffer.from([0]);
  const lt = Buffer.from([0xff]);
  const all = await sim.run(kv.scan({ gte, lt, countMax: 1e9, bytesMax: 1e9 }));
  await sim.run(kv.close());
  return all;
}

/** What a start makes of a copy, and what it complained about. */
async function restoreCopy(
  sim: SimStore,
  content: ReadonlyArray<readonly [Buffer, Buffer]>,
  checkpointKeysMin: number,
): Promise<{ shown: unknown; warnings: string[]; isSaved: boolean }> {
  const { clock } = sim;
  const disk = new SimKvDisk({ clock, random: new SimRandom(1) });
  const kv = await disk.open('copy');
  await sim.run(
    kv.write(
      content.map(([key, value]) => ({ key, value })),
      { sync: true },
    ),
  );
  const warnings: string[] = [];
  const warn = (_message: string, fields: unknown): void => {
    warnings.push(JSON.stringify(fields));
  };
  const logger = { ...silentLogger, warn } as Logger;
  const state = new MvccState({ kv, clock, options: testOptions, logger, checkpointKeysMin });
  const { checkpoint } = await sim.run(restore(state));
  state.index.verify();
  return { shown: shownState(state), warnings, isSaved: checkpoint !== undefined };
}

/** All that can be observed of a state; what a deleted key was before does not matter any more. */
function shownState(state: MvccState): unknown {
  const items: unknown[] = [];
  state.index.walk('', undefined, Number.POSITIVE_INFINITY, (key, item) => {
    const { main, sub, bytes, dead, history } = item;
    const revisions = history?.revisions ?? [];
    const isTombstoneAlone = dead && revisions.length === 0;
    items.push({
      key,
      main,
      sub,
      bytes,
      dead,
      generation: isTombstoneAlone ? undefined : [item.created, item.version],
      revisions,
      closed: (history?.closed ?? []).map((g) =>
        g.revisions.length === 3 ? g.revisions : [g.created, g.version, ...g.revisions],
      ),
    });
    return true;
  });
  return {
    items,
    leases: [...state.leases].sort(([a], [b]) => (a < b ? -1 : 1)),
    live: state.index.live,
    counters: [state.revision, state.compactRevision, state.sizeBytes, state.records],
    applied: state.applied,
    removal: state.removal,
  };
}

/** Compares both kinds of start on what is on the disk now; the saved index must be usable. */
async function expectSame(sim: SimStore): Promise<void> {
  const content = await contentOf(sim);
  const all = await restoreCopy(sim, content, Number.POSITIVE_INFINITY);
  const saved = await restoreCopy(sim, content, 0);
  expect(saved.shown).toEqual(all.shown);
  expect(saved.warnings).toEqual([]);
  expect(saved.isSaved).toBe(true);
}

type Step =
  | { readonly kind: 'apply'; readonly changes: readonly Change[] }
  | { readonly kind: 'compact'; readonly back: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'crash' }
  | { readonly kind: 'stop' };

function play(sim: SimStore, step: Step): Promise<unknown> | undefined {
  const { store } = sim;
  if (step.kind === 'apply') apply(store, step.changes);
  else if (step.kind === 'wait') return sim.wait(step.ms);
  else if (step.kind === 'compact') {
    const revision = store.revision - step.back;
    if (revision > store.compactRevision) compact(store, revision);
  }
  return undefined;
}

const keys = fc.constantFrom('a', 'ab', 'b', 'b\0', 'c', 'd', 'ü', `${'x'.repeat(200)}`);
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('put' as const),
      key: keys,
      value: fc.string({ maxLength: 3 }),
      lease: fc.constantFrom(0n, 0n, 5n, -7n),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('delete' as const), key: keys }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('delete' as const),
      key: keys,
      end: fc.constantFrom('b', 'd', '\0'),
    }),
  },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      changes: fc.array(change, { maxLength: 3 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('compact' as const), back: fc.nat(6) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'crash' as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'stop' as const }) },
);

function simStore(seed: number, journalBytesMin: number): SimStore {
  // At once, or much later than what a checkpoint sees.
  const flushBytes = [1, 300, 1e6][seed % 3] ?? 1;
  const flushIntervalMs = [1, 1, 40][seed % 3] ?? 1;
  const sim = new SimStore(seed, { flushBytes, flushIntervalMs, compactionBatch: 2 });
  sim.checkpointKeysMin = 0;
  sim.journalBytesMin = journalBytesMin;
  return sim;
}

describe('a start from the saved index', () => {
  it('ends as one from all records, after any history, crashes and compactions', async () => {
    let checkpoints = 0;
    const history = fc.array(step, { minLength: 10, maxLength: 80 });
    const property = fc.asyncProperty(fc.nat(), fc.nat(400), history, async (seed, min, steps) => {
      const sim = simStore(seed, min);
      await sim.open();
      for (const one of steps) {
        if (one.kind === 'crash' || one.kind === 'stop') {
          if (one.kind === 'crash') sim.disk.crash('d');
          else await sim.run(sim.store.close());
          if (sim.disk.keys('d').some((key) => key[0] === 0x7c)) checkpoints += 1;
          await expectSame(sim);
          await sim.open();
        } else await play(sim, one);
      }
      sim.disk.crash('d');
      await expectSame(sim);
      expect(sim.fatal).toEqual([]);
    });
    await fc.assert(property, { numRuns: 150 });
    expect(checkpoints).toBeGreaterThan(100);
  });

  it('ends so after a crash at every batch, and after a second one (L-1, L-4, L-5)', async () => {
    const script: Step[] = [];
    for (let i = 0; i < 60; i += 1) {
      const p = (key: string): Change => ({
        type: 'put',
        key,
        value: `v${i}`,
        lease: BigInt(i % 3),
      });
      if (i % 11 === 10) script.push({ kind: 'compact', back: 3 });
      else if (i % 5 === 4) {
        script.push({ kind: 'apply', changes: [{ type: 'delete', key: `k${i % 7}` }] });
      } else script.push({ kind: 'apply', changes: [p(`k${i % 7}`), p(`m${i % 4}`)] });
      script.push({ kind: 'wait', ms: i % 4 });
    }
    const full = simStore(0, 250);
    await full.open();
    for (const one of script) await play(full, one);
    const batches = full.disk.batchesWritten('d');
    expect(batches).toBeGreaterThan(80);
    for (let crashAt = 1; crashAt <= batches; crashAt += 1) {
      const sim = simStore(crashAt, 250);
      await sim.open();
      let at = 0;
      for (; at < script.length && sim.disk.batchesWritten('d') < crashAt; at += 1) {
        await play(sim, script[at] as Step);
      }
      sim.disk.crash('d');
      await expectSame(sim);
      await sim.open();
      for (const end = at + (crashAt % 13); at < end && at < script.length; at += 1) {
        await play(sim, script[at] as Step);
      }
      sim.disk.crash('d');
      await expectSame(sim);
    }
  });

  it('holds what changes while a checkpoint is written, but was not flushed', async () => {
    for (let crashAfter = 0; crashAfter < 12; crashAfter += 1) {
      const sim = new SimStore(crashAfter, { flushBytes: 1e6, flushIntervalMs: 1000 });
      sim.checkpointKeysMin = 0;
      sim.journalBytesMin = 1000;
      await sim.open();
      for (let i = 0; i < 60; i += 1) put(sim.store, `k${i}`, 'v');
      // The flush begins a checkpoint; nothing of what follows is due before it is written.
      await sim.run(sim.store.flushSync());
      const start = sim.disk.batchesWritten('d');
      for (let i = 0; i < 30; i += 1) put(sim.store, `k${i}`, 'later', 7n);
      for (let ms = 0; ms < 100 && sim.disk.batchesWritten('d') < start + crashAfter; ms += 1) {
        await sim.wait(1);
      }
      sim.disk.crash('d');
      await expectSame(sim);
    }
  });

  it('ends so if a compaction was cut short and the next one, too (L-5)', async () => {
    for (let cut = 1; cut <= 8; cut += 1) {
      for (let again = 1; again <= 6; again += 1) {
        const sim = new SimStore(cut * 10 + again, { compactionBatch: 2, compactionSleepMs: 3 });
        sim.checkpointKeysMin = 0;
        await sim.open();
        for (let i = 0; i < 40; i += 1) put(sim.store, `k${i % 10}`, `v${i}`);
        await sim.run(sim.store.flushSync());
        const crashAfter = async (batches: number): Promise<void> => {
          const end = sim.disk.batchesWritten('d') + batches;
          for (let ms = 0; ms < 200 && sim.disk.batchesWritten('d') < end; ms += 1) {
            await sim.wait(1);
          }
          sim.disk.crash('d');
          await expectSame(sim);
          await sim.open();
        };
        compact(sim.store, 21);
        await crashAfter(cut);
        if (sim.store.compactRevision < 35) compact(sim.store, 35);
        await crashAfter(again);
        await sim.run(sim.store.compactionDone());
        sim.disk.crash('d');
        await expectSame(sim);
      }
    }
  });

  it('reads all records if a part of it is damaged or missing, and says so', async () => {
    const sim = simStore(3, 400);
    await sim.open();
    for (let i = 0; i < 60; i += 1) {
      put(sim.store, `k${i % 9}`, `v${i}`, i % 2 === 0 ? 9n : 0n);
      if (i === 40) compact(sim.store, 30);
      await sim.wait(3);
    }
    sim.disk.crash('d');
    const content = await contentOf(sim);
    const all = await restoreCopy(sim, content, Number.POSITIVE_INFINITY);
    const parts = content.filter(([key]) => key[0] === 0x7c || key[0] === 0x7b);
    expect(parts.filter(([key]) => key[0] === 0x7c).length).toBeGreaterThan(0);
    expect(parts.filter(([key]) => key[0] === 0x7b).length).toBeGreaterThan(1);
    let refused = 0;
    for (const [damaged] of parts) {
      for (const how of ['missing', 'damaged', 'swapped'] as const) {
        const other = parts[(parts.findIndex(([key]) => key === damaged) + 1) % parts.length];
        const changed = content.flatMap(([key, value]): Array<readonly [Buffer, Buffer]> => {
          if (key !== damaged) return [[key, value]];
          if (how === 'missing') return [];
          if (how === 'swapped') return [[key, other?.[1] ?? value]];
          const copy = Buffer.from(value);
          copy[copy.length >> 1] = (copy[copy.length >> 1] as number) ^ 4;
          return [[key, copy]];
        });
        const { shown, warnings } = await restoreCopy(sim, changed, 0);
        expect(shown).toEqual(all.shown);
        refused += warnings.length;
      }
    }
    // What an interrupted removal left behind is not part of it.
    expect(refused).toBeGreaterThan(parts.length);
  });

  it('opens what an earlier version left, and saves the index anew', async () => {
    const sim = simStore(1, 100);
    await sim.open();
    for (let i = 0; i < 30; i += 1) put(sim.store, `k${i % 9}`, `v${i}`);
    await sim.run(sim.store.close());
    const before = await contentOf(sim);
    // Such a version has an index of its own, no journal, and a mark that knows of none.
    const kv = await sim.disk.open('d');
    const mark = before.find(([key]) => key[0] === 0x7a);
    const stored = decodeMark(mark?.[1] ?? Buffer.alloc(0), '');
    const { journalEnd: _end, journalBytes: _bytes, ...old } = stored;
    const lists = { voters: [], votersOutgoing: [], learners: [], learnersNext: [] };
    const configuration = { ...lists, autoLeave: false };
    await sim.run(
      kv.write(
        [
          ...before.filter(([key]) => 'z{|}'.includes(String.fromCharCode(key[0] ?? 0))),
          [Buffer.from('h')],
          [Buffer.from('i\0\0\0\0', 'latin1')],
        ].map(([key]) => ({ key: key as Buffer })),
        { sync: true },
      ),
    );
    const i = Buffer.from('i\0\0\0\0', 'latin1');
    const changes = [
      { key: Buffer.from('f'), value: Buffer.from('1') },
      {
        key: Buffer.from('a'),
        value: seal(Buffer.from('a'), Buffer.from(JSON.stringify({ ...old, configuration }))),
      },
      { key: Buffer.from('h'), value: Buffer.from('{}') },
      { key: i, value: Buffer.from('old') },
    ];
    await sim.run(kv.write(changes, { sync: true }));
    await sim.run(kv.close());
    await sim.open();
    expect((await sim.run(dump(sim.store))).length).toBe(9);
    put(sim.store, 'k0', 'new');
    await sim.wait(50);
    sim.disk.crash('d');
    const left = sim.disk.keys('d').map((key) => String.fromCharCode(key[0] ?? 0));
    expect(left).not.toContain('h');
    expect(left).not.toContain('i');
    expect(left).toContain('}');
    expect(left).not.toContain('a');
    await expectSame(sim);
    sim.disk.flipBit('d', revisionKey(31, 0, false), 3);
    await sim.open();
  });

  it('starts the journal anew after a version that keeps none', async () => {
    const sim = simStore(1, 1e6);
    await sim.open();
    for (let i = 0; i < 30; i += 1) put(sim.store, `k${i % 9}`, `v${i}`);
    await sim.run(sim.store.close());
    expect(sim.disk.keys('d').filter((key) => key[0] === 0x7b).length).toBe(0);
    await sim.open();
    put(sim.store, 'a', '1');
    await sim.run(sim.store.flushSync());
    sim.disk.crash('d');
    expect(sim.disk.keys('d').filter((key) => key[0] === 0x7b).length).toBe(1);
    await expectSame(sim);
  });
});

describe('sorting by key', () => {
  it('is that of strings, and keeps the order of what is the same', () => {
    const part = fc.constantFrom('', 'a', 'b', '\0', 'ÿ', 'aaaaaaaa', '/registry/');
    const key = fc.array(part, { maxLength: 6 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(fc.array(key, { maxLength: 400 }), (list) => {
        const items = list.map((name, i) => {
          const item = new KeyItem(i, 0, 0, -1);
          item.key = name;
          return item;
        });
        const expected = items.map((_, i) => i);
        const nameOf = (i: number): string => list[i] ?? '';
        expected.sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : nameOf(a) > nameOf(b) ? 1 : a - b));
        expect([...orderByKey(items)]).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('gets along with keys that are prefixes of each other', () => {
    const items = Array.from({ length: 3000 }, (_, i) => {
      const item = new KeyItem(i, 0, 0, -1);
      item.key = '\0'.repeat((i * 7919) % 3000);
      return item;
    });
    const lengths = [...orderByKey(items)].map((i) => items[i]?.key.length);
    expect(lengths).toEqual(Array.from({ length: 3000 }, (_, i) => i));
  });
});
