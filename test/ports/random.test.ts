/** What every Random promises, asked of the real and of the simulated one. */

import { describe, expect, test } from 'vitest';

import type { Random } from '../../src/common/index.js';
import { openNodeRandom } from '../../src/server/platform/random-node.js';
import { SimRandom } from '../../src/sim/index.js';

const subjects: ReadonlyArray<readonly [string, () => Random]> = [
  ['real', openNodeRandom],
  ['simulated', () => new SimRandom(1)],
  ['simulated, seed 0', () => new SimRandom(0)],
];

const draws = 20_000;

describe.each(subjects)('%s random', (_name, make) => {
  test('u32 covers all 32 bits evenly', () => {
    const random = make();
    const ones = new Array<number>(32).fill(0);
    for (let i = 0; i < draws; i++) {
      const word = random.u32();
      expect(Number.isInteger(word) && word >= 0 && word < 2 ** 32).toBe(true);
      for (let bit = 0; bit < 32; bit++) ones[bit] = (ones[bit] ?? 0) + ((word >>> bit) & 1);
    }
    // Six standard deviations: fails by chance once in 10^7 runs.
    for (const count of ones) expect(Math.abs(count - draws / 2)).toBeLessThan(6 * 71);
  });

  test('u64 covers all 64 bits and does not repeat', () => {
    const random = make();
    const seen = new Set<bigint>();
    let or = 0n;
    for (let i = 0; i < 2000; i++) {
      const word = random.u64();
      expect(word >= 0n && word < 2n ** 64n).toBe(true);
      seen.add(word);
      or |= word;
    }
    expect(seen.size).toBe(2000);
    expect(or).toBe(2n ** 64n - 1n);
  });

  test('float lies in [0, 1) and is spread evenly', () => {
    const random = make();
    const tenths = new Array<number>(10).fill(0);
    for (let i = 0; i < draws; i++) {
      const value = random.float();
      expect(value >= 0 && value < 1).toBe(true);
      const tenth = Math.floor(value * 10);
      tenths[tenth] = (tenths[tenth] ?? 0) + 1;
    }
    for (const count of tenths) expect(Math.abs(count - draws / 10)).toBeLessThan(6 * 43);
  });
});

describe('the seeded random', () => {
  const take = (random: SimRandom): number[] => Array.from({ length: 20 }, () => random.u32());

  test('repeats itself for the same seed only', () => {
    expect(take(new SimRandom(7))).toEqual(take(new SimRandom(7)));
    expect(take(new SimRandom(7))).not.toEqual(take(new SimRandom(8)));
    expect(take(new SimRandom(2n ** 40n))).not.toEqual(take(new SimRandom(0)));
  });

  test('stays the same from version to version, so that seeds in reports keep their meaning', () => {
    expect(take(new SimRandom(42)).slice(0, 4)).toMatchInlineSnapshot(`
      [
        660444221,
        3652823732,
        77678286,
        922035873,
      ]
    `);
  });

  test('forks do not depend on what is drawn afterwards', () => {
    const [a, b] = [new SimRandom(1), new SimRandom(1)];
    const [fork, same] = [a.fork(), b.fork()];
    a.u32();
    expect(take(fork)).toEqual(take(same));
    expect(take(a.fork())).not.toEqual(take(b.fork()));
  });

  test('helpers stay within their bounds and reach all of them', () => {
    const random = new SimRandom(3);
    const seen = new Set<number>();
    for (let i = 0; i < 500; i++) seen.add(random.between(-1, 3));
    expect([...seen].sort((x, y) => x - y)).toEqual([-1, 0, 1, 2, 3]);
    const mixed = random.shuffled([1, 2, 3, 4, 5]);
    expect(mixed.slice().sort()).toEqual([1, 2, 3, 4, 5]);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
    expect([1, 2]).toContain(random.pick([1, 2]));
    expect(random.bytes(9).length).toBe(9);
  });
});
