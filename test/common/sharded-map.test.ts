import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ShardedMap } from '../../src/common/index.js';

/** Some cuts with few changes: whole runs of keys are set and deleted. */
const run = fc.record({
  from: fc.integer({ min: 0, max: 20_000 }),
  count: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 4_000 })),
  step: fc.constantFrom(1, -1, 7, 7_919),
});
const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set' as const), run }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), run }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), run }) },
);
const kinds = fc.constantFrom<(n: number) => string | number | bigint>(
  (n) => n,
  (n) => BigInt(n) - 10_000n,
  (n) => `/a/long/prefix/${n}`,
);

function keysOf({ from, count, step }: { from: number; count: number; step: number }): number[] {
  return Array.from({ length: count }, (_, i) => (((from + i * step) % 20_011) + 20_011) % 20_011);
}

function inOrder<K extends string | number | bigint, V>(entries: Iterable<[K, V]>): Array<[K, V]> {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

describe('a map in shards', () => {
  it('holds what a Map holds', () => {
    fc.assert(
      fc.property(kinds, fc.array(change, { maxLength: 20 }), (keyOf, changes) => {
        const map = new ShardedMap<string | number | bigint, number>();
        const model = new Map<string | number | bigint, number>();
        for (const [at, { do: what, run: keys }] of changes.entries()) {
          if (what === 'clear') {
            map.clear();
            model.clear();
          }
          for (const n of what === 'clear' ? [] : keysOf(keys)) {
            const key = keyOf(n);
            if (what === 'set') {
              map.set(key, at);
              model.set(key, at);
            } else if (map.delete(key) !== model.delete(key)) throw new Error(`delete ${key}`);
            if (map.size !== model.size) throw new Error(`size after ${key}`);
          }
        }
        const wanted = inOrder(model);
        expect(inOrder(map)).toEqual(wanted);
        expect(inOrder(map)).toHaveLength([...map.values()].length);
        const start = keyOf(10_000);
        expect([...map.from(start)]).toEqual(wanted.filter(([key]) => key >= start));
        for (let n = 0; n < 20_011; n += 97) {
          const key = keyOf(n);
          if (map.get(key) !== model.get(key)) throw new Error(`get ${key}`);
          if (map.has(key) !== model.has(key)) throw new Error(`has ${key}`);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('may change while somebody goes through it', () => {
    const ways = fc.constantFrom('any', 'order');
    const often = fc.integer({ min: 1, max: 400 });
    fc.assert(
      fc.property(ways, often, fc.array(run, { maxLength: 60 }), (way, every, runs) => {
        const map = new ShardedMap<number, number>();
        for (let n = 0; n < 20_011; n += 3) map.set(n, n);
        const stays = new Set([...map.keys()]);
        const isGone = new Set<number>();
        const seen: number[] = [];
        let next = 0;
        for (const [key] of way === 'any' ? map : map.from(0)) {
          if (isGone.has(key)) throw new Error(`${key} comes although it is deleted`);
          seen.push(key);
          if (seen.length % every !== 0) continue;
          const keys = runs[next];
          next += 1;
          for (const n of keys === undefined ? [] : keysOf(keys)) {
            // Of those that were there some go, and those between them come.
            if (n % 3 === 0 && n % 2 === 0) {
              stays.delete(n);
              if (map.delete(n)) isGone.add(n);
            } else map.set(n, -n);
          }
        }
        expect(new Set(seen).size).toBe(seen.length);
        const found = new Set(seen);
        for (const key of stays) if (!found.has(key)) throw new Error(`${key} does not come`);
        if (way === 'order') expect(seen).toEqual([...seen].sort((a, b) => a - b));
      }),
      { numRuns: 20 },
    );
  });

  it('ends for whoever goes through it when it is cleared', () => {
    const map = new ShardedMap<number, number>();
    for (let n = 0; n < 10_000; n += 1) map.set(n, n);
    let seen = 0;
    for (const _ of map) {
      seen += 1;
      if (seen === 5) map.clear();
    }
    expect(seen).toBe(5);
    expect(map.size).toBe(0);
  });
});
