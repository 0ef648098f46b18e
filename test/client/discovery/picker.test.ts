import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  atRandom,
  type Instance,
  leastLoaded,
  picker,
  roundRobin,
  zoneAware,
} from '../../../src/client/index.js';

interface Meta {
  readonly zone?: string;
  readonly weight?: number;
}

function listOf(entries: Readonly<Record<string, Meta>>) {
  const instances = Object.entries(entries).map(
    ([id, metadata]): Instance<Meta> => ({
      service: 'pay',
      id,
      address: `${id}:1`,
      metadata,
      lease: 1n,
      createRevision: 1,
      modRevision: 1,
    }),
  );
  return { current: { service: 'pay', revision: 1, instances, invalid: [] } };
}

function picks(pick: () => { readonly instance: Instance<Meta> } | undefined, times: number) {
  return Array.from({ length: times }, () => pick()?.instance.id);
}

describe('picker', () => {
  it('has nothing to pick from an empty list, nor if all are excluded', () => {
    expect(picker(listOf({})).pick()).toBeUndefined();
    const one = picker(listOf({ a: {} }));
    expect(one.pick(new Set(['a']))).toBeUndefined();
    expect(one.pick(new Set(['b']))?.instance.id).toBe('a');
  });

  it('round robin takes one after the other, also when the list changes', () => {
    let live = listOf({ a: {}, b: {}, c: {} });
    const turns = picker<Meta>({
      get current() {
        return live.current;
      },
    });
    expect(picks(() => turns.pick(), 5)).toEqual(['a', 'b', 'c', 'a', 'b']);
    live = listOf({ a: {}, d: {} });
    expect(picks(() => turns.pick(), 3)).toEqual(['d', 'a', 'd']);
    expect(turns.pick(new Set(['a']))?.instance.id).toBe('d');
  });

  it('least loaded knows what is outstanding', () => {
    const least = picker(listOf({ a: {}, b: {} }), leastLoaded());
    const first = least.pick();
    const second = least.pick();
    expect([first?.instance.id, second?.instance.id]).toEqual(['a', 'b']);
    second?.done();
    second?.done();
    expect(least.pick()?.instance.id).toBe('b');
    expect(picks(() => least.pick(), 2).sort()).toEqual(['a', 'b']);
  });

  it('least loaded shares by weight, and never strays by more than a call (property)', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 200 }),
        (weights, calls) => {
          const list = listOf(Object.fromEntries(weights.map((weight, i) => [`${i}`, { weight }])));
          const least = picker(
            list,
            leastLoaded({ weight: ({ metadata }) => metadata.weight ?? 1 }),
          );
          const counts = weights.map(() => 0);
          for (let i = 0; i < calls; i += 1) {
            const at = Number(least.pick()?.instance.id);
            counts[at] = (counts[at] ?? 0) + 1;
          }
          const loads = counts.map((count, i) => count / (weights[i] ?? 1));
          const most = Math.max(...loads.map((load, i) => load - 1 / (weights[i] ?? 1)));
          expect(most).toBeLessThanOrEqual(Math.min(...loads) + 1e-9);
        },
      ),
    );
  });

  it('zone aware stays in its zone while there are enough', () => {
    const zoneOf = ({ metadata }: Instance<Meta>) => metadata.zone;
    const list = listOf({ a: { zone: 'x' }, b: { zone: 'y' }, c: { zone: 'x' }, d: {} });
    const near = picker(list, zoneAware({ zone: 'x', zoneOf }));
    expect(picks(() => near.pick(), 3)).toEqual(['a', 'c', 'a']);
    expect(near.pick(new Set(['a', 'c']))?.instance.id).toBe('b');
    const nobody = picker(list, zoneAware({ zone: 'z', zoneOf }));
    expect(picks(() => nobody.pick(), 4)).toEqual(['a', 'b', 'c', 'd']);
    const few = picker(list, zoneAware({ zone: 'x', zoneOf, localMin: 3, among: leastLoaded() }));
    expect(picks(() => few.pick(), 4)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('at random picks each', () => {
    let at = 0;
    const any = picker(
      listOf({ a: {}, b: {} }),
      atRandom({ float: () => [0.1, 0.9, 0.4][at++] ?? 0 }),
    );
    expect(picks(() => any.pick(), 3)).toEqual(['a', 'b', 'a']);
    expect(picks(() => picker(listOf({ a: {} }), roundRobin()).pick(), 1)).toEqual(['a']);
  });
});
