/**
 * What becomes of the log, and who leads: truncation, back-off, votes, timeouts, transfer
 * (docs/raft-rules.md, R-11 to R-20).
 */

import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import {
  type AppendEntries,
  type Entry,
  emptyConfiguration,
  LostLogError,
  Raft,
} from '../../src/raft/index.js';
import { RaftLog } from '../../src/raft/log.js';
import {
  bytes,
  change,
  defaultOptions,
  remove,
  restoreWithTerms,
  seededU32,
  TestCluster,
  type TestOptions,
} from './support/cluster.js';

const voters = [1n, 2n, 3n];

function follower(terms: readonly number[], hard = {}, options: TestOptions = {}): Raft {
  const all = { ...defaultOptions, randomU32: () => 0, ...options, id: 2n };
  return new Raft(all, restoreWithTerms(voters, terms, hard));
}

function entry(index: number, term: number): Entry {
  return { index, term, type: 'normal', data: bytes(`${term}.${index}`) };
}

function appendTo(
  prev: [number, number],
  entries: readonly Entry[],
  leaderCommit = 0,
  term = 5,
): AppendEntries {
  return {
    type: 'AppendEntries',
    from: 1n,
    to: 2n,
    term,
    prevLogIndex: prev[0],
    prevLogTerm: prev[1],
    entries,
    leaderCommit,
  };
}

describe('only a conflict truncates (R-11)', () => {
  test('a delayed shorter append leaves what a later one brought', () => {
    const raft = follower([1]);
    raft.step(appendTo([1, 1], [entry(2, 5), entry(3, 5), entry(4, 5)]));
    raft.step(appendTo([1, 1], [entry(2, 5)]));
    raft.step(appendTo([1, 1], []));
    expect(raft.status().lastIndex).toBe(4);
    expect(raft.ready().messagesAfterPersist).toMatchObject([
      { index: 4 },
      { index: 2 },
      { index: 1 },
    ]);
  });

  test('from the first conflict on everything is replaced', () => {
    const raft = follower([1, 2, 2, 2]);
    raft.step(appendTo([1, 1], [entry(2, 2), entry(3, 5)]));
    const ready = raft.ready();
    expect(raft.status().lastIndex).toBe(3);
    expect(ready.entries).toMatchObject([{ index: 3, term: 5 }]);
  });
});

test('a follower commits no more than this message has verified (R-12)', () => {
  const raft = follower([1, 2, 2, 2]);
  raft.step(appendTo([1, 1], [], 4));
  expect(raft.status().commit).toBe(1);
  raft.step(appendTo([1, 1], [entry(2, 5)], 4));
  expect(raft.status().commit).toBe(2);
  expect(raft.status().lastIndex).toBe(2);
});

describe('what is committed is never truncated (R-13)', () => {
  test('a conflict at a committed entry stops the member', () => {
    const raft = follower([1, 2, 2], { commit: 3 });
    // Begins before the commit index, so it is not even compared.
    raft.step(appendTo([1, 1], [entry(2, 5)]));
    expect(raft.ready().messagesAfterPersist).toMatchObject([{ success: true, index: 3 }]);
    raft.step(appendTo([3, 2], [entry(4, 5)]));
    expect(raft.status().lastIndex).toBe(4);
    expect(() =>
      raft.step({ type: 'Heartbeat', from: 1n, to: 2n, term: 5, commit: 9, readSequence: 0 }),
    ).toThrow(LostLogError);
  });

  test('the log itself refuses to give up a committed entry', () => {
    const log = new RaftLog(restoreWithTerms(voters, [1, 2, 2, 2], { commit: 3 }));
    expect(() => log.merge(2, [entry(3, 5)])).toThrow(InvariantError);
    expect(() => log.commitTo(5)).toThrow(InvariantError);
    expect(() => log.restore({ index: 3, term: 2, configuration: emptyConfiguration })).toThrow(
      InvariantError,
    );
    log.merge(3, [entry(4, 5)]);
    expect(log.lastTerm).toBe(5);
  });

  test('a member that lost its log is stopped by the first heartbeat (L-32, R-32)', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.propose(1n, 'a', 'b');
    const wiped = cluster.add(3n, restoreWithTerms(voters, []));
    cluster.raft(1n).tick();
    const heartbeat = cluster
      .node(1n)
      .drain()
      .find((m) => m.to === 3n);
    expect(heartbeat).toBeDefined();
    expect(() => heartbeat && wiped.raft.step(heartbeat)).toThrow(/lost or replaced/);
  });
});

describe('back-off by whole terms, in both directions (R-14)', () => {
  function roundsToAgree(leaderTerms: readonly number[], followerTerms: readonly number[]) {
    const cluster = new TestCluster([], { electionTimeoutTicks: 1000 });
    const top = { term: 20 };
    cluster.add(1n, restoreWithTerms(voters, leaderTerms, top));
    cluster.add(2n, restoreWithTerms(voters, followerTerms, top));
    cluster.add(3n, restoreWithTerms(voters, [], top));
    let rejections = 0;
    cluster.filter = (m) => {
      if (m.type === 'AppendEntriesResponse' && m.from === 2n && !m.success) rejections += 1;
      return true;
    };
    cluster.elect(1n);
    expect(cluster.raft(2n).status().commit).toBe(leaderTerms.length + 1);
    return rejections;
  }
  const repeat = (term: number, count: number): number[] => Array<number>(count).fill(term);

  test('a follower with 10,000 entries of its own', () => {
    expect(roundsToAgree([1, 5], [1, ...repeat(2, 5000), ...repeat(3, 5000)])).toBeLessThan(4);
  });

  test('a leader with 10,000 entries that the follower lacks', () => {
    const leader = [1, ...repeat(4, 5000), ...repeat(5, 5000)];
    expect(roundsToAgree(leader, [1, 2, 2, 2])).toBeLessThan(4);
  });

  test('terms that alternate take a round a term at the most', () => {
    const leader = [1, ...repeat(4, 1000), ...repeat(6, 1000), ...repeat(8, 1000)];
    const other = [1, ...repeat(3, 1000), ...repeat(5, 1000), ...repeat(7, 1000)];
    expect(roundsToAgree(leader, other)).toBeLessThan(6);
  });
});

describe('a pre-vote changes nothing (R-15)', () => {
  test('term and vote stay, and several may be granted', () => {
    const raft = follower([1], { term: 4 }, { preVote: true });
    for (const from of [1n, 3n]) {
      raft.step({
        type: 'RequestVote',
        from,
        to: 2n,
        term: 5,
        lastLogIndex: 1,
        lastLogTerm: 1,
        preVote: true,
        transfer: false,
        commit: 0,
        commitTerm: 0,
      });
    }
    const ready = raft.ready();
    expect(ready.messagesAfterPersist).toMatchObject([
      { to: 1n, granted: true, term: 5 },
      { to: 3n, granted: true, term: 5 },
    ]);
    expect(ready.hardState).toBeUndefined();
    expect(raft.status().term).toBe(4);
  });

  test('the term is the same after 1,000 election timeouts alone', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true });
    cluster.elect(1n);
    cluster.isolate(3n);
    for (let i = 0; i < 20_000; i += 1) cluster.raft(3n).tick();
    expect(cluster.raft(3n).status().term).toBe(2);
    cluster.heal();
    cluster.tick(40);
    expect(cluster.raft(1n).status()).toMatchObject({ role: 'leader', term: 2 });
    expect(cluster.raft(3n).status()).toMatchObject({ role: 'follower', leader: 1n });
  });
});

test('a member stuck at a higher term is freed by answering the leader (R-16)', () => {
  const cluster = new TestCluster(3, { checkQuorum: true });
  cluster.elect(1n);
  cluster.isolate(3n);
  for (let i = 0; i < 100; i += 1) cluster.raft(3n).tick();
  const stuck = cluster.raft(3n).status().term;
  expect(stuck).toBeGreaterThan(2);
  cluster.inbox = [];
  cluster.node(3n).drain();
  cluster.heal();
  cluster.tick(60);
  const leader = [...cluster.nodes.keys()].find(
    (id) => cluster.raft(id).status().role === 'leader',
  );
  expect(leader).toBeDefined();
  cluster.propose(leader ?? 0n, 'a');
  expect(cluster.commands(3n)).toEqual(['a']);
  expect(cluster.raft(3n).status().term).toBeGreaterThanOrEqual(stuck);
});

describe('nobody votes while the leader is heard (R-17)', () => {
  test('a removed member that campaigns deposes nobody', () => {
    const cluster = new TestCluster(4, { checkQuorum: true });
    cluster.elect(1n);
    cluster.isolate(4n);
    cluster.change(1n, change([remove(4n)]));
    cluster.heal();
    // It never learnt of its removal, and keeps asking.
    for (let i = 0; i < 200; i += 1) {
      cluster.raft(4n).tick();
      if (i % 3 === 0) cluster.tick();
      else cluster.deliver();
    }
    expect(cluster.raft(1n).status()).toMatchObject({ role: 'leader', term: 2 });
    expect(cluster.raft(4n).status().term).toBeGreaterThan(2);
  });

  test('but they do for a transfer', () => {
    const cluster = new TestCluster(3, { checkQuorum: true, preVote: true });
    cluster.elect(1n);
    cluster.tick(3);
    cluster.raft(1n).transferLeadership(2n);
    cluster.deliver();
    expect(cluster.raft(2n).status().role).toBe('leader');
  });
});

test('an isolated leader steps down within one election timeout (R-18)', () => {
  for (let phase = 0; phase < 12; phase += 1) {
    const cluster = new TestCluster(3, { checkQuorum: true });
    cluster.elect(1n);
    cluster.tick(phase);
    cluster.isolate(1n);
    cluster.raft(1n).readIndex(1);
    expect(cluster.propose(1n, 'lost')).toBeUndefined();
    for (let i = 0; i < 10; i += 1) cluster.raft(1n).tick();
    expect(cluster.raft(1n).status()).toMatchObject({ role: 'follower', leader: 0n });
    expect(cluster.raft(1n).propose([bytes('x')])).toBe('noLeader');
    expect(cluster.raft(1n).readIndex(2)).toBe('noLeader');
    // What was proposed is neither done nor undone: nobody may call it failed.
    expect(cluster.raft(1n).status().lastIndex).toBe(3);
    expect(cluster.raft(1n).status().commit).toBe(2);
  }
});

describe('timeouts are drawn anew, in ticks (R-19)', () => {
  test('each campaign has its own timeout, between one and two election timeouts', () => {
    const raft = follower([1], {}, { randomU32: seededU32(19) });
    const lengths: number[] = [];
    let ticks = 0;
    let { term } = raft.status();
    while (lengths.length < 20) {
      raft.tick();
      ticks += 1;
      if (raft.status().term === term) continue;
      ({ term } = raft.status());
      lengths.push(ticks);
      ticks = 0;
    }
    expect(Math.min(...lengths)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...lengths)).toBeLessThan(20);
    expect(new Set(lengths).size).toBeGreaterThan(5);
  });

  test('one tick never begins more than one campaign', () => {
    const raft = follower([1]);
    for (let i = 0; i < 100; i += 1) {
      const before = raft.status().term;
      raft.tick();
      expect(raft.status().term - before).toBeLessThanOrEqual(1);
    }
  });
});

describe('leadership transfer (R-20)', () => {
  test('proposals are refused until it is done', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(2n);
    cluster.raft(1n).transferLeadership(2n);
    expect(cluster.propose(1n, 'a')).toBe('transferring');
    expect(cluster.change(1n, change([remove(3n)]))).toBe('transferring');
  });

  test('a slow target is brought up to date first', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(2n);
    cluster.propose(1n, 'a', 'b');
    cluster.raft(1n).transferLeadership(2n);
    cluster.heal();
    cluster.tick(2);
    expect(cluster.raft(2n).status().role).toBe('leader');
    expect(cluster.commands(2n)).toEqual(['a', 'b']);
  });

  test('to a dead target it ends after one election timeout', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(2n);
    cluster.raft(1n).transferLeadership(2n);
    cluster.tick(9);
    expect(cluster.propose(1n, 'a')).toBe('transferring');
    cluster.tick(1);
    expect(cluster.propose(1n, 'a')).toBeUndefined();
    expect(cluster.commands(3n)).toEqual(['a']);
  });

  test('removing the target ends it', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(2n);
    cluster.raft(1n).proposeConfigChange(change([remove(2n)]));
    cluster.raft(1n).transferLeadership(2n);
    cluster.deliver();
    expect(cluster.propose(1n, 'a')).toBeUndefined();
    expect(cluster.commands(3n)).toEqual(['a']);
  });

  test('to itself, to a stranger or at a follower nothing happens', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.raft(1n).transferLeadership(1n);
    cluster.raft(1n).transferLeadership(9n);
    cluster.raft(2n).transferLeadership(3n);
    cluster.deliver();
    expect(cluster.propose(1n, 'a')).toBeUndefined();
    expect(cluster.raft(1n).status().role).toBe('leader');
  });
});
