import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KeyLeases } from '../../../src/storage/mvcc/key-leases.js';

const key = fc.constantFrom('a', 'b', 'c', 'd', 'e');
const lease = fc.constantFrom(1n, 2n, -1n, 2n ** 63n - 1n);
const change = fc.oneof(
  { weight: 6, arbitrary: fc.record({ key, lease }) },
  { weight: 3, arbitrary: fc.record({ key, lease: fc.constant(0n) }) },
  { weight: 1, arbitrary: fc.constant('clear' as const) },
);

describe('the leases of the keys', () => {
  it('are those given last, and each lease has the keys that have it', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
        const leases = new KeyLeases();
        const model = new Map<string, bigint>();
        for (const one of changes) {
          if (one === 'clear') {
            leases.clear();
            model.clear();
          } else if (one.lease === 0n) {
            expect(leases.delete(one.key)).toBe(model.delete(one.key));
          } else {
            leases.set(one.key, one.lease);
            model.set(one.key, one.lease);
          }
          expect(new Map(leases)).toEqual(model);
          expect(leases.size).toBe(model.size);
          for (const name of ['a', 'b', 'c', 'd', 'e']) {
            expect(leases.get(name)).toBe(model.get(name));
          }
          for (const id of [1n, 2n, -1n, 2n ** 63n - 1n, 99n]) {
            const wanted = [...model].filter(([, of]) => of === id).map(([name]) => name);
            expect([...leases.keysOf(id)].sort()).toEqual(wanted.sort());
          }
        }
      }),
    );
  });

  it('may change while somebody goes through the keys of a lease', () => {
    const leases = new KeyLeases();
    for (const name of ['a', 'b', 'c']) leases.set(name, 7n);
    const seen: string[] = [];
    for (const name of leases.keysOf(7n)) {
      seen.push(name);
      leases.delete('b');
      leases.set('d', 7n);
    }
    expect(seen).toEqual(['a', 'c', 'd']);
  });

  it('do not list a key without a lease', () => {
    expect(() => new KeyLeases().set('a', 0n)).toThrow('a key without a lease is not listed');
  });
});
