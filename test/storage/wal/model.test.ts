import fc from 'fast-check';
import { expect, test } from 'vitest';

import { SimRandom } from '../../../src/sim/index.js';
import { asExpected, contentsOf, newWorld, nextOperation, open, Run } from './harness.js';

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('some' as const), count: fc.nat(6) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('crash' as const),
      count: fc.nat(4),
      afterEvents: fc.nat(8),
      unsyncedPercent: fc.constantFrom(0, 20, 80, 100),
      tornWrites: fc.boolean(),
    }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const some = (count: number): { do: 'some'; count: number } => ({ do: 'some', count });
/**
 * A mark with which the log does not agree, in a segment whose predecessor, with the entry that
 * does not agree, is released; the next segment begins before another entry is appended.
 */
const forgottenConflict: [number, number, ReturnType<typeof some>[]] = [
  -675092070,
  512,
  [4, 6, 1, 4, 6, 3].map(some),
];

/** A release is asked for, and the power fails before it has begun. */
const releaseAtTheCrash: [number, number, Step[]] = [
  -1458504364,
  512,
  [
    some(4),
    { do: 'reopen' },
    ...[2, 5, 6].map(some),
    { do: 'reopen' },
    { do: 'crash', count: 1, afterEvents: 3, unsyncedPercent: 80, tornWrites: false },
    { do: 'crash', count: 2, afterEvents: 0, unsyncedPercent: 20, tornWrites: true },
  ],
];

test('any run of appends, overwrites, marks, releases, restarts and crashes', async () => {
  const life = async (
    seed: number,
    segmentBytes: number,
    steps: readonly Step[],
  ): Promise<void> => {
    const world = newWorld(seed, segmentBytes);
    const script = new SimRandom(seed);
    const { clock, disk } = world;
    let opened = await open(world);
    let run = new Run(opened.wal, opened.contents);
    for (const one of steps) {
      const burst: Promise<void>[] = [];
      for (let i = one.do === 'reopen' ? 0 : one.count; i > 0; i--) {
        burst.push(run.submit(nextOperation(run.model, script)));
      }
      if (one.do === 'some') {
        await clock.runUntil(Promise.all(burst));
        expect(run.errors).toEqual([]);
        continue;
      }
      if (one.do === 'reopen') {
        await clock.runUntil(run.close());
      } else {
        for (let i = 0; i < one.afterEvents; i++) {
          await Promise.resolve();
          clock.step();
        }
        disk.crash(one);
      }
      opened = await open(world);
      expect(run.find(opened.contents)).toBeGreaterThanOrEqual(0);
      if (one.do === 'reopen') expect(opened.contents.tornBytes).toBe(0);
      run = new Run(opened.wal, opened.contents);
    }
    await clock.runUntil(run.close());
    expect(asExpected(await contentsOf(world))).toEqual(run.states.at(-1));
  };
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.constantFrom(512, 2048, 16_384),
      fc.array(step, { maxLength: 40 }),
      life,
    ),
    { numRuns: 300, examples: [forgottenConflict, releaseAtTheCrash] },
  );
});
