import { describe, expect, it } from 'vitest';
import { checkAppendLists, checkHashes, checkRing } from './oracles.js';

describe('cycle', () => {
  const ring = (...next: number[]): Map<number, number> => new Map(next.entries());

  it('accepts any one cycle', () => {
    expect(checkRing(ring(1, 2, 3, 0), 4).violations).toEqual([]);
    expect(checkRing(ring(2, 3, 1, 0), 4).violations).toEqual([]);
  });

  it('finds two cycles, a tail and a missing node', () => {
    expect(checkRing(ring(1, 0, 3, 2), 4).rules()).toEqual(['oracle: cycle']);
    expect(checkRing(ring(1, 2, 3, 1), 4).rules()).toEqual(['oracle: cycle']);
    expect(checkRing(ring(1, 2, 3), 4).rules()).toEqual(['oracle: cycle']);
  });
});

describe('append lists', () => {
  const read = (...items: string[]) => ({ key: 'k', items, who: 'somebody' });

  it('accepts prefixes', () => {
    const reads = [read(), read('1'), read('1', '2')];
    expect(checkAppendLists(reads, new Map([['k', ['2']]])).violations).toEqual([]);
  });

  it('finds reads that disagree', () => {
    const reads = [read('1', '2'), read('2')];
    expect(checkAppendLists(reads, new Map()).rules()).toEqual(['oracle: append list']);
  });

  it('finds a lost item and one that is there twice', () => {
    const acknowledged = new Map([['k', ['3']]]);
    const reads = [read('1', '2', '1')];
    expect(checkAppendLists(reads, acknowledged).rules()).toEqual([
      'oracle: nothing acknowledged is lost',
      'oracle: nothing is there twice',
    ]);
  });
});

describe('hashes', () => {
  const hash = (member: string, revision: number, value: number) => {
    return { member, revision, compactRevision: 3, hash: value };
  };

  it('compares what is at the same revision', () => {
    expect(checkHashes([hash('a', 9, 1), hash('b', 9, 1)], true).violations).toEqual([]);
    expect(checkHashes([hash('a', 9, 1), hash('b', 8, 2)], false).violations).toEqual([]);
  });

  it('finds a member that differs, and one that can not be compared', () => {
    expect(checkHashes([hash('a', 9, 1), hash('b', 9, 2)], true).rules()).toEqual([
      'hash: equal on all members',
    ]);
    expect(checkHashes([hash('a', 9, 1), hash('b', 8, 1)], true).rules()).toEqual([
      'hash: all members are at the same revision',
    ]);
  });
});
