/** The leader's view of a follower, and its window. */

import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import { Inflight, Progress } from '../../src/raft/progress.js';
import { Writes } from '../../src/raft/writes.js';
import { TestCluster } from './support/cluster.js';

describe('Inflight', () => {
  test('frees what is answered, oldest first, around the end of the ring', () => {
    const window = new Inflight(3);
    for (let round = 0; round < 5; round += 1) {
      const base = round * 10;
      for (const index of [1, 2, 3]) window.add(base + index);
      expect(window.full).toBe(true);
      expect(() => window.add(99)).toThrow(InvariantError);
      window.freeThrough(base + 2);
      expect(window.count).toBe(1);
      window.freeThrough(base + 1);
      expect(window.count).toBe(1);
      window.freeThrough(base + 9);
      expect(window.count).toBe(0);
    }
  });
});

describe('Progress', () => {
  test('an old rejection does not move it', () => {
    const progress = new Progress(2n, 10, 0, 4);
    expect(progress.rejected(5, 3)).toBe(false);
    expect(progress.nextIndex).toBe(10);
    expect(progress.rejected(9, 3)).toBe(true);
    expect(progress.nextIndex).toBe(4);
    progress.matched(7);
    progress.becomeReplicate();
    expect(progress.rejected(7, 2)).toBe(false);
    expect(progress.rejected(8, 2)).toBe(true);
    expect(progress).toMatchObject({ mode: 'probe', nextIndex: 8 });
  });

  test('a probe never goes below what is known to match', () => {
    const progress = new Progress(2n, 10, 0, 4);
    progress.matched(6);
    expect(progress.rejected(9, 1)).toBe(true);
    expect(progress.nextIndex).toBe(7);
  });
});

describe('Writes', () => {
  const hardState = { term: 1, vote: 0n, commit: 0 };

  test('an entry that is overwritten and comes back the same waits for its last write', () => {
    const writes = new Writes(4, hardState);
    writes.handOut(1, 6, undefined);
    writes.truncated(5);
    writes.handOut(2, 5, undefined);
    writes.truncated(5);
    writes.handOut(3, 6, undefined);
    writes.persisted(1);
    expect(writes.persistedIndex).toBe(4);
    writes.persisted(2);
    expect(writes.persistedIndex).toBe(4);
    writes.persisted(3);
    expect(writes.persistedIndex).toBe(6);
  });

  test('the report of one covers all before it, and none that was never handed out', () => {
    const writes = new Writes(0, hardState);
    writes.handOut(1, 2, { term: 3, vote: 1n, commit: 0 });
    writes.handOut(2, 5, undefined);
    writes.persisted(2);
    expect(writes).toMatchObject({ persistedIndex: 5, persistedTerm: 3, persistedVote: 1n });
    expect(() => writes.persisted(3)).toThrow(InvariantError);
  });
});

describe('reports of the driver', () => {
  test('an unreachable follower is probed from what it is known to have', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(3n);
    cluster.propose(1n, 'a', 'b');
    const view = () =>
      cluster
        .raft(1n)
        .progress()
        .find((p) => p.member === 3n);
    expect(view()).toMatchObject({ mode: 'replicate', matchIndex: 2, nextIndex: 5 });
    cluster.raft(1n).reportUnreachable(3n);
    expect(view()).toMatchObject({ mode: 'probe', matchIndex: 2, nextIndex: 3 });
    cluster.heal();
    cluster.deliver();
    expect(cluster.commands(3n)).toEqual(['a', 'b']);
  });

  test('a message that was lost is noticed by the next heartbeat', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(3n);
    cluster.propose(1n, 'a');
    cluster.heal();
    cluster.tick(2);
    expect(cluster.commands(3n)).toEqual(['a']);
  });

  test('followers have no progress to show', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    expect(cluster.raft(2n).progress()).toEqual([]);
    expect(
      cluster
        .raft(1n)
        .progress()
        .map((p) => p.active),
    ).toEqual([true, true]);
  });

  test('nothing of what followers still need is lost by compacting below them', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.propose(1n, 'a', 'b', 'c');
    cluster.raft(1n).compact(4);
    cluster.propose(1n, 'd');
    expect(cluster.commands(3n)).toEqual(['a', 'b', 'c', 'd']);
    expect(cluster.raft(1n).status()).toMatchObject({ firstIndex: 5, lastIndex: 6 });
    expect(() => cluster.raft(1n).compact(7)).toThrow(InvariantError);
  });
});
