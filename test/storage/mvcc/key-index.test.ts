import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  compactItem,
  FoundRevision,
  findAt,
  itemDelete,
  itemPut,
  KeyItem,
  noLocation,
} from '../../../src/storage/index/item.js';
import { KeyIndex } from '../../../src/storage/index/key-index.js';

const infinity = Number.POSITIVE_INFINITY;

function put(index: KeyIndex, key: string, main: number): void {
  const item = index.locate(key);
  if (item === undefined) {
    index.insertHere(key, new KeyItem(main, 0, 1, noLocation));
    return;
  }
  const wasDead = item.dead;
  itemPut(item, main, 0, 1, noLocation);
  index.touchHere(main);
  if (wasDead) index.adjustHere(1);
}

function del(index: KeyIndex, key: string, main: number): boolean {
  const item = index.locate(key);
  if (item === undefined || item.dead) return false;
  itemDelete(item, main, 0, 1);
  index.touchHere(main);
  index.adjustHere(-1);
  return true;
}

describe('the key index', () => {
  it('agrees with a sorted map on thousands of keys', () => {
    const name = fc.integer({ min: 0, max: 3000 }).map((n) => `k${(n * 7919) % 3001}`);
    const op = fc.record({ key: name, del: fc.boolean() });
    fc.assert(
      fc.property(fc.array(op, { minLength: 500, maxLength: 3000, size: 'max' }), (ops) => {
        const index = new KeyIndex();
        const living = new Map<string, number>();
        let main = 1;
        for (const o of ops) {
          main += 1;
          if (!o.del) {
            put(index, o.key, main);
            living.set(o.key, main);
          } else {
            expect(del(index, o.key, main)).toBe(living.delete(o.key));
          }
        }
        index.verify();
        const sorted = [...living.keys()].sort();
        expect(index.live).toBe(sorted.length);
        for (const [i, key] of sorted.entries()) {
          if (i % 50 === 0) {
            expect(index.rank(key)).toBe(i);
            expect(index.select(i)).toBe(key);
          }
        }
        const [low, high] = ['k2', 'k8'];
        const inside = sorted.filter((k) => k >= low && k < high);
        expect(index.count(low, high)).toBe(inside.length);
        const walked: string[] = [];
        for (let next: string | undefined = low; next !== undefined; ) {
          next = index.walk(next, high, 7, (k, item) => {
            if (!item.dead) walked.push(k);
            return true;
          });
        }
        expect(walked).toEqual(inside);
        // A compaction at the end leaves exactly the living keys, and a sound tree.
        const gone: string[] = [];
        index.walk('', undefined, infinity, (k, item) => {
          if (compactItem(item, main + 1, () => {})) gone.push(k);
          return true;
        });
        for (const k of gone) index.remove(k);
        index.verify();
        expect(index.size).toBe(sorted.length);
      }),
      { numRuns: 30 },
    );
  });

  it('stays sound when keys come in order, in reverse, and all go again', () => {
    for (const reverse of [false, true]) {
      const index = new KeyIndex();
      for (let i = 0; i < 5000; i += 1) {
        put(index, String((reverse ? 5000 - i : i) + 10_000), i + 2);
      }
      index.verify();
      for (let i = 0; i < 5000; i += 1) {
        const key = String(((i * 37) % 5000) + (reverse ? 10_001 : 10_000));
        expect(del(index, key, 10_000 + i)).toBe(true);
        index.remove(key);
        if (i % 500 === 0) index.verify();
      }
      expect(index.size).toBe(0);
      index.verify();
    }
  });

  it('finds keys of every shape: short ones, zeros, high bytes, long common beginnings', () => {
    const start = fc.constantFrom('', 'k', '/registry/pods/', '/registry/pods/a', '\u00ff\u00ff');
    const byte = fc.constantFrom('\0', '\u0001', 'a', 'b', '\u007f', '\u0080', '\u00ff');
    const rest = fc.array(byte, { minLength: 1, maxLength: 9 }).map((b) => b.join(''));
    const key = fc.tuple(start, rest).map(([a, b]) => a + b);
    const keys = fc.array(key, { minLength: 200, maxLength: 1500, size: 'max' });
    fc.assert(
      fc.property(keys, fc.array(key, { minLength: 50 }), (inside, others) => {
        const index = new KeyIndex();
        const known = new Set<string>();
        for (const [i, k] of inside.entries()) {
          put(index, k, i + 2);
          known.add(k);
          if (i % 3 !== 0) continue;
          // Asking for another key in between must not change where the next one goes.
          const other = inside[i >> 1] as string;
          expect(index.get(other)?.key).toBe(known.has(other) ? other : undefined);
        }
        index.verify();
        for (const k of [...inside, ...others]) {
          const expected = known.has(k) ? k : undefined;
          expect(index.get(k)?.key).toBe(expected);
          expect(index.locate(k)?.key).toBe(expected);
        }
        const walked: string[] = [];
        index.walk('', undefined, infinity, (k) => walked.push(k) > 0);
        expect(walked).toEqual([...known].sort());
      }),
      { numRuns: 50 },
    );
  });

  it('ends all living keys of a range in pieces of any size, and keeps its counts', () => {
    const name = fc.integer({ min: 0, max: 999 }).map((n) => String(n).padStart(3, '0'));
    const bound = fc.constantFrom('', '0', '05', '5', '500', '999', '999\0', 'z');
    const ends = fc.option(bound, { nil: undefined });
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 300, maxLength: 1500 }),
        bound,
        ends,
        fc.constantFrom(1, 7, 64, 10_000),
        (keys, low, high, pieceKeys) => {
          const index = new KeyIndex();
          for (const [i, k] of keys.entries()) put(index, k, i + 2);
          const main = keys.length + 10;
          const first = keys[0] as string;
          del(index, first, main);
          const living = [...new Set(keys)].filter((k) => k !== first).sort();
          const isIn = (k: string): boolean => k >= low && (high === undefined || k < high);
          const killed: string[] = [];
          for (let next: string | undefined = low; next !== undefined; ) {
            let left = pieceKeys;
            next = index.killRange(next, high, main + 1, (k, item) => {
              killed.push(k);
              itemDelete(item, main + 1, killed.length, 1);
              left -= 1;
              return left > 0;
            });
            index.verify();
            expect(index.live).toBe(living.length - killed.length);
          }
          expect(killed).toEqual(living.filter(isIn));
        },
      ),
      { numRuns: 100 },
    );
  });

  it('counts an empty range as nothing when its end is before its start', () => {
    const index = new KeyIndex();
    put(index, 'b', 2);
    expect(index.count('c', 'a')).toBe(0);
    expect(index.count('b', 'b')).toBe(0);
  });
});

describe('the generations of one key', () => {
  interface Event {
    readonly main: number;
    readonly put: boolean;
  }

  /** The naive reading: replay up to the point. */
  function naive(events: readonly Event[], atMain: number) {
    let state: { main: number; created: number; version: number } | undefined;
    for (const e of events) {
      if (e.main > atMain) break;
      if (!e.put) state = undefined;
      else if (state === undefined) state = { main: e.main, created: e.main, version: 1 };
      else state = { main: e.main, created: state.created, version: state.version + 1 };
    }
    return state;
  }

  it('answers every read point as a replay would, also after compactions', () => {
    fc.assert(
      fc.property(
        fc.array(fc.boolean(), { minLength: 1, maxLength: 40 }),
        fc.array(fc.integer({ min: 1, max: 90 }), { maxLength: 3 }),
        (kinds, compactions) => {
          let item: KeyItem | undefined;
          const events: Event[] = [];
          let main = 1;
          for (const isPut of kinds) {
            main += 2;
            if (!isPut && (item === undefined || item.dead)) continue;
            events.push({ main, put: isPut });
            if (item === undefined) item = new KeyItem(main, 0, 1, noLocation);
            else if (isPut) itemPut(item, main, 0, 1, noLocation);
            else itemDelete(item, main, 0, 1);
          }
          if (item === undefined) return;
          let kept = events;
          let compacted = 0;
          let gone = false;
          for (const c of compactions.sort((a, b) => a - b)) {
            const dropped: Event[] = [];
            gone ||= compactItem(item, c, (m, _sub, bytes, tombstone) => {
              expect(bytes).toBe(1);
              dropped.push({ main: m, put: !tombstone });
            });
            const below = kept.filter((e) => e.main <= c);
            const newest = below[below.length - 1];
            const stays = newest !== undefined && (newest.put || newest.main === c);
            const goes = stays ? below.slice(0, -1) : below;
            expect(dropped).toEqual(goes);
            kept = kept.slice(goes.length);
            expect(gone).toBe(kept.length === 0);
            compacted = c;
            if (gone) return;
          }
          const found = new FoundRevision();
          for (let m = Math.max(1, compacted); m <= main + 1; m += 1) {
            const expected = naive(events, m);
            const exists = findAt(item, m, infinity, found);
            const { main: foundMain, created, version } = found;
            expect(exists ? { main: foundMain, created, version } : undefined).toEqual(expected);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('sees changes of one revision up to the sub of the read point', () => {
    const item = new KeyItem(5, 1, 1, noLocation);
    const found = new FoundRevision();
    expect(findAt(item, 5, 1, found)).toBe(false);
    expect(findAt(item, 5, 2, found)).toBe(true);
    itemPut(item, 6, 3, 1, noLocation);
    expect(findAt(item, 6, 3, found)).toBe(true);
    expect([found.main, found.version]).toEqual([5, 1]);
    expect(findAt(item, 6, 4, found)).toBe(true);
    expect([found.main, found.version]).toEqual([6, 2]);
  });
});
