import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyIntervalSet } from '../../src/server/kv/key-interval-set.js';

const key = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\0'), minLength: 1, maxLength: 3 });

describe('a set of key intervals', () => {
  it('has exactly the keys of its intervals, in whatever order they were added', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, key), { maxLength: 12 }), fc.array(key), (given, keys) => {
        const set = new KeyIntervalSet();
        for (const [start, end] of given) set.add(start, end);
        for (const one of keys) {
          const inside = given.some(([start, end]) => start <= one && one < end);
          expect(set.has(one), JSON.stringify([one, given])).toBe(inside);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('takes thousands of them, one before the other', () => {
    const intervals = 20_000;
    const set = new KeyIntervalSet();
    const start = (i: number): string => `k${String(i).padStart(6, '0')}`;
    for (let i = intervals - 1; i >= 0; i -= 1) set.add(start(i), `${start(i)}5`);
    const other = new KeyIntervalSet();
    other.addAll(set);
    for (let i = 0; i < intervals; i += 1) {
      const inside = [`${start(i)}`, `${start(i)}4`, `${start(i)}5`].map((one) => other.has(one));
      if (inside.join() !== 'true,true,false') throw new Error(`wrong at ${start(i)}`);
    }
  });

  it('takes in another set', () => {
    const first = new KeyIntervalSet();
    const second = new KeyIntervalSet();
    first.add('a', 'c');
    second.add('b', 'd');
    first.addAll(second);
    expect(['a', 'b', 'c', 'd'].map((one) => first.has(one))).toEqual([true, true, true, false]);
  });
});
