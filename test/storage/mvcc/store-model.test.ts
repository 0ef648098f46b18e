/** The store against a naive model: random changes, reads of every kind, restarts and crashes. */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SimClock, SimKvDisk, SimRandom } from '../../../src/sim/index.js';
import type { MvccStore, RangeQuery } from '../../../src/storage/index.js';
import { apply, at, type Change, compact, openStore, query, rangeOf, show } from './helpers.js';
import { Model } from './model.js';

const keys = ['a', 'b', 'ba', 'c', '\x80', '\xff', 'a\0'];

const key = fc.constantFrom(...keys);
const change: fc.Arbitrary<Change> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('put' as const),
      key,
      value: fc.constantFrom('', 'x', 'yy', 'z'.repeat(300)),
      lease: fc.constantFrom(0n, 7n, -1n),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('delete' as const),
      key,
      end: fc.constantFrom('', '\0', 'b', 'c'),
    }),
  },
);

/** No key is changed twice in one transaction (C-1.7.3), as the server makes sure. */
const transaction = fc
  .uniqueArray(change, { minLength: 1, maxLength: 3, selector: (c) => c.key })
  .map((list) => {
    const ranged = list.find((c) => c.type === 'delete' && (c.end ?? '') !== '');
    return ranged === undefined ? list : [ranged];
  });

const back = fc.integer({ min: 0, max: 8 });

const rangeFields: fc.Arbitrary<Partial<RangeQuery>> = fc.record({
  key,
  rangeEnd: fc.constantFrom('', '\0', 'b', 'c', '\xff', 'a'),
  limit: fc.constantFrom(-1, 0, 1, 2, 3),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
  sortOrder: fc.constantFrom(0, 1, 2),
  sortTarget: fc.constantFrom(0, 1, 2, 3, 4),
  minModRevision: fc.constantFrom(0, 0, 3, 6),
  maxModRevision: fc.constantFrom(0, 0, 5, 9),
  minCreateRevision: fc.constantFrom(0, 0, 3),
  maxCreateRevision: fc.constantFrom(0, 0, 6),
});

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('txn' as const), changes: transaction }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('range' as const), fields: rangeFields, back }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('history' as const), back }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('compact' as const), back }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hash' as const), back }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** A store in a simulation beside its model, and the entries to apply again after a crash. */
class World {
  readonly clock = new SimClock();
  readonly random: SimRandom;
  readonly disk: SimKvDisk;
  readonly log: Array<{ changes: readonly Change[] } | { compact: number }> = [];
  model = new Model();
  /** Compactions that the present process has made, but for those it made again. */
  readonly compactedHere = new Set<number>();
  store: MvccStore | undefined;

  private readonly saving: { readonly checkpointKeysMin: number; readonly journalBytesMin: number };

  constructor(seed: number) {
    // Half of the restarts go through the saved index, half read all records.
    this.saving = { checkpointKeysMin: seed % 2 === 0 ? 0 : 1000, journalBytesMin: 500 };
    this.random = new SimRandom(seed);
    this.disk = new SimKvDisk({ clock: this.clock, random: this.random, latencyMsMax: 2 });
  }

  run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.runUntil(promise);
  }

  get open(): MvccStore {
    if (this.store === undefined) throw new Error('not open');
    return this.store;
  }

  async start(): Promise<void> {
    // A cache smaller than the data, so that reads are cold, warm and mixed.
    const options = { cacheBytesMax: 0, flushBytes: 2000, compactionBatch: 2 };
    const fatal = (error: Error): void => {
      throw error;
    };
    const opening = this.disk
      .open('d')
      .then((kv) => openStore(kv, this.clock, options, fatal, this.saving));
    this.store = await this.run(opening);
    const { index } = this.store.applied;
    expect(index).toBeLessThanOrEqual(this.log.length);
    this.compactedHere.clear();
    for (const entry of this.log.slice(index)) this.applyEntry(entry);
  }

  /** Entry i of the log has index i + 1, as in Raft. */
  add(entry: { changes: readonly Change[] } | { compact: number }): void {
    this.log.push(entry);
    this.applyEntry(entry);
  }

  private applyEntry(entry: { changes: readonly Change[] } | { compact: number }): void {
    if ('changes' in entry) {
      apply(this.open, entry.changes);
    } else {
      try {
        compact(this.open, entry.compact);
      } catch {
        // The model says whether it should have been refused.
      }
    }
  }
}

async function perform(world: World, s: Step): Promise<void> {
  const { model } = world;
  const store = world.open;
  switch (s.do) {
    case 'txn':
      world.add({ changes: s.changes });
      model.apply(s.changes);
      expect(store.revision).toBe(model.revision);
      return;
    case 'range': {
      const main = model.revision - s.back;
      const q = query(s.fields);
      const point = s.back === 0 ? undefined : at(main);
      const reading = world.run(rangeOf(store, s.fields, point));
      if (main < model.compactRevision) await expect(reading).rejects.toThrow('compacted');
      else expect(await reading).toEqual(model.range(q, main));
      return;
    }
    case 'history': {
      const from = Math.max(1, model.revision - s.back);
      if (from < model.compactRevision) return;
      const seen: string[] = [];
      for (let next = from; next <= model.revision; ) {
        const page = await world.run(store.history(next, 2, 200));
        expect(page.throughRevision).toBeGreaterThanOrEqual(next);
        for (const e of page.events) {
          expect(e.modRevision).toBeLessThanOrEqual(page.throughRevision);
          const kv = show(e.kv);
          expect(kv.modRevision).toBe(e.modRevision);
          expect(kv.key).toBe(e.key);
          expect(e.isCreate).toBe(e.type === 'put' && kv.version === 1);
          seen.push(`${e.modRevision}.${e.sub} ${e.type} ${e.key} ${kv.value}`);
        }
        next = page.throughRevision + 1;
      }
      const expected = model
        .history(from)
        .filter((r) => r.main > model.compactRevision || model.stored.includes(r))
        .map((r) => `${r.main}.${r.sub} ${r.kv ? 'put' : 'delete'} ${r.key} ${r.kv?.value ?? ''}`);
      expect(seen).toEqual(expected);
      return;
    }
    case 'compact': {
      const revision = model.revision - s.back;
      world.add({ compact: revision });
      if (model.compact(revision) === undefined) world.compactedHere.add(revision);
      if (world.compactedHere.size > 10) {
        world.compactedHere.delete([...world.compactedHere][0] as number);
      }
      expect(store.compactRevision).toBe(model.compactRevision);
      return;
    }
    case 'hash': {
      const revision = Math.max(1, model.revision - s.back);
      const answer = await world.run(
        store.hashKv(revision).catch(({ reason }: { reason: unknown }) => reason),
      );
      const now = { hash: model.hash(revision), compactRevision: model.compactRevision };
      const kept = model.compactionHashes.get(revision);
      const hashRevision = revision;
      const isCompacted = revision < model.compactRevision;
      const possible: unknown[] = [isCompacted ? 'COMPACTED' : { ...now, hashRevision }];
      if (kept !== undefined) {
        // A process does not know the compactions of those before it.
        if (world.compactedHere.has(revision)) possible.pop();
        possible.push({ ...kept, hashRevision });
      }
      expect(possible).toContainEqual(answer);
      const live = world.run(store.hashKv(revision, false));
      if (isCompacted) await expect(live).rejects.toThrow('compacted');
      else expect(await live).toEqual({ ...now, hashRevision });
      return;
    }
    case 'restart':
      await world.run(store.close());
      return world.start();
    case 'crash':
      world.disk.crash('d');
      return world.start();
    case 'wait':
      await world.clock.run(world.clock.nowMs() + 20);
      return;
  }
}

async function checkAll(world: World): Promise<void> {
  const { model } = world;
  const store = world.open;
  expect(store.revision).toBe(model.revision);
  const living = model.at(model.revision);
  expect(store.keyCount).toBe(living.size);
  const leases = [...living.values()].filter((kv) => kv.lease !== 0n);
  expect(new Map(store.leasedKeys())).toEqual(new Map(leases.map((kv) => [kv.key, kv.lease])));
  for (const { lease } of leases) {
    const wanted = leases.filter((kv) => kv.lease === lease).map((kv) => kv.key);
    expect([...store.present.keysOf(lease)].sort()).toEqual(wanted.sort());
  }
  for (const k of keys) {
    const kv = living.get(k);
    expect(store.present.state(k)).toEqual(
      kv && {
        modRevision: kv.modRevision,
        createRevision: kv.createRevision,
        version: kv.version,
      },
    );
  }
  await world.run(store.compactionDone());
  await world.run(store.flushSync());
  const sizes = model.stored.map((r) => model.bytesOf(r).length + 22);
  expect(store.sizeBytes).toBe(sizes.reduce((a, b) => a + b, 0));
  const stored = world.disk.keys('d').filter((k) => k[0] === 0x6b);
  expect(stored.length).toBe(model.stored.length);
}

describe('the store against a model', () => {
  it('agrees on everything, over restarts and crashes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
        async (seed, steps) => {
          const world = new World(seed);
          await world.start();
          for (const s of steps) await perform(world, s);
          await checkAll(world);
          await world.run(world.open.close());
          await world.start();
          await checkAll(world);
        },
      ),
      { numRuns: 400 },
    );
  });
});
