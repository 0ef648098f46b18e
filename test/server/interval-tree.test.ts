import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IntervalTree } from '../../src/server/watch/interval-tree.js';
import { SimRandom } from '../../src/sim/index.js';

const point = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '\xff'), maxLength: 3 });
const interval = fc.tuple(point, point).filter(([start, end]) => end === '' || start < end);
const step = fc.record({ interval, remove: fc.boolean() });

describe('the interval tree', () => {
  it('finds the ranges that contain a key, after any inserts and removals', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.array(point),
        fc.nat(),
        (steps, keys, seed) => {
          const random = new SimRandom(seed);
          const tree = new IntervalTree<string>(() => random.u32());
          const model = new Map<string, readonly [string, string]>();
          for (const {
            interval: [start, end],
            remove,
          } of steps) {
            const name = `${start}|${end}`;
            if (model.has(name) === remove) {
              if (remove) {
                tree.remove(start, end);
                model.delete(name);
              } else {
                tree.insert(start, end, name);
                model.set(name, [start, end]);
              }
            }
            tree.check();
            expect(tree.find(start, end)?.value).toBe(model.has(name) ? name : undefined);
          }
          expect(tree.size).toBe(model.size);
          for (const key of keys) {
            const found: string[] = [];
            tree.stab(key, found);
            const expected = [...model]
              .filter(([, [start, end]]) => start <= key && (end === '' || key < end))
              .map(([name]) => name);
            expect(found.sort()).toEqual(expected.sort());
          }
        },
      ),
    );
  });

  it('stays shallow when ranges come in order', () => {
    const random = new SimRandom(3);
    const tree = new IntervalTree<number>(() => random.u32());
    for (let i = 0; i < 20_000; i += 1) {
      const start = String(i).padStart(6, '0');
      tree.insert(start, `${start}~`, i);
    }
    tree.check();
    const found: number[] = [];
    tree.stab('012345x', found);
    expect(found).toEqual([12_345]);
  });

  it('refuses an empty range and the same range twice', () => {
    const tree = new IntervalTree<number>(() => 1);
    expect(() => tree.insert('b', 'a', 0)).toThrow('empty');
    tree.insert('a', 'b', 0);
    expect(() => tree.insert('a', 'b', 0)).toThrow('once');
  });
});
