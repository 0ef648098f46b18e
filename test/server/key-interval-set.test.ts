import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyIntervalSet } from '../../src/server/key-interval-set.js';

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

  it('takes in another set', () => {
    const first = new KeyIntervalSet();
    const second = new KeyIntervalSet();
    first.add('a', 'c');
    second.add('b', 'd');
    first.addAll(second);
    expect(['a', 'b', 'c', 'd'].map((one) => first.has(one))).toEqual([true, true, true, false]);
  });
});
