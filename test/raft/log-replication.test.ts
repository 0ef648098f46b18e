/** Paper 5.3 (log replication), statement by statement. */

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Entry, Raft } from '../../src/raft/index.js';
import { RaftLog } from '../../src/raft/log.js';
import {
  bytes,
  defaultOptions,
  restoreWithTerms,
  seededU32,
  TestCluster,
  text,
} from './support/cluster.js';

const voters = [1n, 2n, 3n];

function entry(index: number, term: number): Entry {
  return { index, term, type: 'normal', data: bytes(`${term}.${index}`) };
}

/** Terms that never go down, from differences. */
function runningSum(steps: readonly number[]): number[] {
  let term = 1;
  return steps.map((step) => {
    term += step;
    return term;
  });
}

function followerWith(terms: readonly number[]): Raft {
  const options = { ...defaultOptions, id: 2n, randomU32: () => 0 };
  return new Raft(options, restoreWithTerms(voters, terms));
}

describe('log replication (paper 5.3)', () => {
  test('the leader appends, sends to all in parallel, and applies when a majority has it', () => {
    const cluster = new TestCluster(5);
    cluster.elect(1n);
    cluster.isolate(4n, 5n);
    cluster.propose(1n, 'a');
    for (const id of [1n, 2n, 3n]) expect(cluster.commands(id)).toEqual(['a']);
    cluster.isolate(3n, 4n, 5n);
    cluster.propose(1n, 'b');
    for (const id of [1n, 2n, 3n]) expect(cluster.commands(id)).toEqual(['a']);
  });

  test('it keeps trying until every follower has everything', () => {
    const cluster = new TestCluster(3, { electionTimeoutTicks: 1000 });
    cluster.elect(1n);
    // Every other message is lost, on average.
    const randomU32 = seededU32(53);
    cluster.filter = () => randomU32() % 2 === 0;
    const all = Array.from({ length: 50 }, (_, i) => `${i}`);
    for (const one of all) cluster.propose(1n, one);
    cluster.tick(60);
    cluster.heal();
    cluster.tick(5);
    for (const id of voters) expect(cluster.commands(id)).toEqual(all);
  });

  test('followers learn the commit index and apply in log order', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.propose(1n, 'a', 'b');
    cluster.propose(1n, 'c');
    expect(cluster.node(3n).applied.map((one) => one.index)).toEqual([2, 3, 4, 5]);
    expect(cluster.commands(3n)).toEqual(['a', 'b', 'c']);
  });

  test.each([
    { own: [1], prev: [1, 1], accepts: true },
    { own: [1], prev: [0, 0], accepts: true },
    { own: [1], prev: [2, 1], accepts: false },
    { own: [1, 1], prev: [2, 2], accepts: false },
    { own: [1, 2], prev: [2, 1], accepts: false },
  ] as const)('with log $own the check of $prev gives $accepts', ({ own, prev, accepts }) => {
    const raft = followerWith(own);
    raft.step({
      type: 'AppendEntries',
      from: 1n,
      to: 2n,
      term: 5,
      prevLogIndex: prev[0],
      prevLogTerm: prev[1],
      entries: [],
      leaderCommit: 0,
    });
    expect(raft.ready().messagesAfterPersist).toMatchObject([{ success: accepts }]);
  });

  test('merging makes the log equal to the leader’s up to the end of the message', () => {
    const terms = fc.array(fc.nat(3), { maxLength: 12 }).map(runningSum);
    fc.assert(
      fc.property(terms, terms, fc.nat(12), fc.nat(12), fc.nat(12), (a, b, shared, from, count) => {
        // Two logs with a common beginning; after it they never agree again (log matching).
        const common = a.slice(0, shared);
        const top = Math.max(common.at(-1) ?? 0, ...b, 1);
        const own = [...common, ...a.slice(shared)];
        const leader = [...common, ...b.map((_, i) => top + 5 + i)];
        const { entries, ...rest } = restoreWithTerms(voters, own, { commit: common.length });
        const log = new RaftLog({ ...rest, entries });
        const prev = Math.min(from, common.length);
        const sent = leader.slice(prev, prev + count).map((term, i) => entry(prev + 1 + i, term));
        const last = log.merge(prev, sent);
        expect(last).toBe(prev + sent.length);
        for (let index = 1; index <= last; index += 1) {
          expect(log.term(index)).toBe(leader[index - 1]);
        }
        const conflict = sent.some((one) => own[one.index - 1] !== one.term);
        if (!conflict) expect(log.lastIndex).toBe(own.length);
      }),
      { numRuns: 1000 },
    );
  });

  test('the back-off search finds the same as a scan', () => {
    const terms = fc.array(fc.nat(2), { minLength: 1, maxLength: 20 }).map(runningSum);
    fc.assert(
      fc.property(terms, fc.nat(25), fc.nat(25), (own, index, term) => {
        const log = new RaftLog(restoreWithTerms(voters, own));
        let expected = Math.min(index, own.length);
        while (expected > 0 && log.term(expected) > term) expected -= 1;
        expect(log.lastWithTermUpTo(index, term)).toBe(expected);
      }),
      { numRuns: 1000 },
    );
  });

  test('a leader never overwrites its own log', () => {
    const cluster = new TestCluster([]);
    for (const id of voters) cluster.add(id, restoreWithTerms(voters, [1, 2, 2]));
    cluster.elect(1n);
    expect(cluster.node(1n).disk.entries.map((one) => one.term)).toEqual([1, 2, 2, 3]);
  });
});

describe('Readys that overlap (types.ts)', () => {
  test('entries that are overwritten while being written do not count as durable', () => {
    const raft = followerWith([1]);
    const append = (term: number, prevLogIndex: number, entries: readonly Entry[], commit = 0) =>
      raft.step({
        type: 'AppendEntries',
        from: term === 5 ? 1n : 3n,
        to: 2n,
        term,
        prevLogIndex,
        prevLogTerm: prevLogIndex === 1 ? 1 : 5,
        entries,
        leaderCommit: commit,
      });
    append(5, 1, [entry(2, 5), entry(3, 5)]);
    const first = raft.ready();
    append(6, 1, [entry(2, 6)]);
    const second = raft.ready();
    expect(second.entries).toMatchObject([{ index: 2, term: 6 }]);
    append(6, 1, [entry(2, 6)], 2);
    raft.persisted(first.sequence);
    // Committed, but what is durable at index 2 is still the old entry.
    expect(raft.ready().committedEntries.map((one) => text(one.data))).toEqual(['1.1']);
    raft.persisted(second.sequence);
    expect(raft.ready().committedEntries.map((one) => text(one.data))).toEqual(['6.2']);
  });

  test('an acknowledgement that arrives after the term has changed makes nobody leader', () => {
    const options = { ...defaultOptions, id: 2n, randomU32: () => 0 };
    const raft = new Raft(options, restoreWithTerms([1n, 2n], [1]));
    raft.campaign();
    const vote = raft.ready();
    raft.step({ type: 'Heartbeat', from: 1n, to: 2n, term: 9, commit: 0, readSequence: 0 });
    raft.campaign();
    raft.persisted(vote.sequence);
    const granted = { type: 'RequestVoteResponse', preVote: false, granted: true } as const;
    raft.step({ ...granted, from: 1n, to: 2n, term: 10, commit: 0, commitTerm: 0 });
    // The vote of 1 is there, its own in term 10 is not durable yet.
    expect(raft.status()).toMatchObject({ role: 'candidate', term: 10 });
    raft.persisted(raft.ready().sequence);
    expect(raft.status().role).toBe('leader');
  });

  test('each thing is handed out once', () => {
    const raft = followerWith([1]);
    raft.campaign();
    expect(raft.hasReady()).toBe(true);
    const ready = raft.ready();
    expect(raft.hasReady()).toBe(false);
    const next = raft.ready();
    expect(next.sequence).toBe(ready.sequence + 1);
    expect(next).toMatchObject({ hardState: undefined, entries: [], messages: [] });
    expect(next.messagesAfterPersist).toEqual([]);
    expect(next.mustSync).toBe(false);
    raft.persisted(next.sequence);
  });
});
