/** What permissions cover together, against a model that looks at each key (C-4). */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Coverage, type KeyRange } from '../../src/server/access/coverage.js';

function coverageOf(ranges: readonly KeyRange[]): Coverage {
  const coverage = new Coverage();
  const sorted = [...ranges].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  for (const range of sorted) coverage.add(range);
  return coverage;
}

const range = (key: string, rangeEnd = ''): KeyRange => ({ key, rangeEnd });

describe('coverage', () => {
  it('joins what touches, and only that', () => {
    const joined = coverageOf([range('b', 'd'), range('d', 'f'), range('f\0'), range('h', 'k')]);
    expect(joined.size).toBe(3);
    expect(joined.covers('b', 'f')).toBe(true);
    expect(joined.covers('b', 'f\0')).toBe(false);
    expect(joined.covers('f', '')).toBe(false);
    expect(joined.covers('f\0', '')).toBe(true);
    expect(coverageOf([range('f', 'g'), range('f'), range('e', 'f')]).size).toBe(1);
    // A key, and the first one behind it.
    expect(coverageOf([range('f'), range('f\0')]).covers('f', 'f\0\0')).toBe(true);
  });

  it('knows all from a key on, and everything', () => {
    const from = coverageOf([range('m', '\0'), range('n', 'o')]);
    expect(from.covers('m', '\0')).toBe(true);
    expect(from.covers('z', '')).toBe(true);
    expect(from.covers('l', '\0')).toBe(false);
    expect(from.covers('\0', '\0')).toBe(false);
    // GHSA-xg4h-6gfc-h4m8: who may read one key may not read all from it on.
    expect(coverageOf([range('m')]).covers('m', '\0')).toBe(false);
    expect(coverageOf([range('m', 'n')]).covers('m', '\0')).toBe(false);
    expect(coverageOf([range('\0', '\0')]).covers('\0', '\0')).toBe(true);
    expect(coverageOf([]).covers('a', '')).toBe(false);
  });

  // Keys of a small world, all of them: a, aa, ab, b, ... up to two letters.
  const letters = ['a', 'b', 'c', 'd'];
  const keys = letters.flatMap((a) => [a, ...letters.map((b) => a + b)]);
  const has = ({ key, rangeEnd }: KeyRange, one: string): boolean =>
    rangeEnd === '' ? one === key : one >= key && (rangeEnd === '\0' || one < rangeEnd);
  const anyKey = fc.constantFrom(...keys);
  const anyRange = fc
    .tuple(anyKey, fc.oneof(anyKey, fc.constantFrom('', '\0')))
    .map(([key, rangeEnd]) => range(key, rangeEnd));

  it('never covers a key that no permission has, and every range that one has', () => {
    const valid = anyRange.filter(
      ({ key, rangeEnd }) => rangeEnd === '' || rangeEnd === '\0' || key < rangeEnd,
    );
    fc.assert(
      fc.property(fc.array(valid, { maxLength: 6 }), anyRange, (permissions, asked) => {
        const coverage = coverageOf(permissions);
        for (const { key, rangeEnd } of permissions) {
          expect(coverage.covers(key, rangeEnd)).toBe(true);
        }
        const wanted = keys.filter((one) => has(asked, one));
        const allowed = wanted.every((one) => permissions.some((each) => has(each, one)));
        if (coverage.covers(asked.key, asked.rangeEnd)) expect(allowed).toBe(true);
        // Between the keys of this world there are others: only single ones tell both ways.
        else if (asked.rangeEnd === '') expect(allowed).toBe(false);
      }),
      { numRuns: 2000 },
    );
  });
});
