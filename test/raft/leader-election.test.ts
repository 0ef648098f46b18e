/** Paper 5.1 (terms) and 5.2 (leader election), statement by statement. */

import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import { type Message, Raft, type Role } from '../../src/raft/index.js';
import { defaultOptions, restoreWithTerms, seededU32, TestCluster } from './support/cluster.js';

const voters = [1n, 2n, 3n];

/** A member in the given role and in term 2. */
function inRole(role: Role): Raft {
  const options = {
    ...defaultOptions,
    id: 1n,
    randomU32: () => 0,
    preVote: role === 'preCandidate',
  };
  const hard = { term: role === 'candidate' || role === 'leader' ? 1 : 2 };
  const raft = new Raft(options, restoreWithTerms(voters, [1], hard));
  if (role === 'follower') return raft;
  raft.campaign();
  if (role === 'preCandidate') return raft;
  raft.persisted(raft.ready().sequence);
  if (role === 'leader') {
    const granted = { type: 'RequestVoteResponse', preVote: false, granted: true } as const;
    raft.step({ ...granted, from: 2n, to: 1n, term: 2, commit: 0, commitTerm: 0 });
  }
  expect(raft.status()).toMatchObject({ role, term: 2 });
  return raft;
}

const roles: readonly Role[] = ['follower', 'preCandidate', 'candidate', 'leader'];

const heartbeat = (term: number, from = 2n): Message => ({
  type: 'Heartbeat',
  from,
  to: 1n,
  term,
  commit: 0,
  readSequence: 0,
});

describe('terms (paper 5.1)', () => {
  test.each(roles)('a %s that sees a larger term becomes follower in it', (role) => {
    const raft = inRole(role);
    raft.step(heartbeat(7));
    expect(raft.status()).toMatchObject({ role: 'follower', term: 7, leader: 2n });
  });

  test.each(roles)('a %s rejects a request with an older term', (role) => {
    const raft = inRole(role);
    raft.step(heartbeat(1));
    raft.step({
      type: 'AppendEntries',
      from: 2n,
      to: 1n,
      term: 1,
      prevLogIndex: 1,
      prevLogTerm: 1,
      entries: [{ index: 2, term: 1, type: 'noop', data: new Uint8Array(0) }],
      leaderCommit: 2,
    });
    expect(raft.status()).toMatchObject({ role, term: 2, commit: 0 });
    expect(raft.status().leader).toBe(role === 'leader' ? 1n : 0n);
  });

  test.each(roles)('a %s ignores what is meant for somebody else', (role) => {
    const raft = inRole(role);
    raft.step({ ...heartbeat(9), to: 3n });
    expect(raft.status().term).toBe(2);
  });
});

describe('leader election (paper 5.2)', () => {
  test('members begin as followers', () => {
    expect(inRole('follower').status()).toMatchObject({ role: 'follower', leader: 0n });
  });

  test('a leader sends a heartbeat to everybody each heartbeat interval', () => {
    const cluster = new TestCluster(3, { heartbeatTicks: 2 });
    cluster.elect(1n);
    const node = cluster.node(1n);
    const counts: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      node.raft.tick();
      counts.push(node.drain().filter((m) => m.type === 'Heartbeat').length);
    }
    expect(counts).toEqual([0, 2, 0, 2, 0, 2]);
  });

  test('a follower that hears nothing for its timeout begins an election', () => {
    const raft = inRole('follower');
    for (let i = 0; i < 9; i += 1) raft.tick();
    raft.step(heartbeat(2));
    for (let i = 0; i < 9; i += 1) raft.tick();
    expect(raft.status().role).toBe('follower');
    raft.tick();
    expect(raft.status()).toMatchObject({ role: 'candidate', term: 3 });
    const ready = raft.ready();
    expect(ready.hardState).toMatchObject({ term: 3, vote: 1n });
    expect(ready.messagesAfterPersist).toMatchObject([
      { type: 'RequestVote', to: 2n, lastLogIndex: 1, lastLogTerm: 1 },
      { type: 'RequestVote', to: 3n, lastLogIndex: 1, lastLogTerm: 1 },
    ]);
  });

  test.each([
    [1, [], 'leader'],
    [3, [true], 'leader'],
    [3, [false], 'candidate'],
    [3, [false, false], 'follower'],
    [5, [true], 'candidate'],
    [5, [true, true], 'leader'],
    [5, [true, false, false], 'candidate'],
    [5, [false, false, false], 'follower'],
    [4, [true, false], 'candidate'],
    [4, [true, true], 'leader'],
  ] as const)('of %i voters with answers %j it becomes %s', (size, answers, role) => {
    const ids = Array.from({ length: size }, (_, i) => BigInt(i + 1));
    const options = { ...defaultOptions, id: 1n, randomU32: () => 0 };
    const raft = new Raft(options, restoreWithTerms(ids, [1]));
    raft.campaign();
    raft.persisted(raft.ready().sequence);
    answers.forEach((granted, i) => {
      const from = BigInt(i + 2);
      const vote = { type: 'RequestVoteResponse', preVote: false, granted } as const;
      raft.step({ ...vote, from, to: 1n, term: 2, commit: 0, commitTerm: 0 });
    });
    expect(raft.status().role).toBe(role);
  });

  test('a vote counts once, and a stranger’s does not', () => {
    const raft = inRole('candidate');
    const vote = { type: 'RequestVoteResponse', preVote: false, granted: true } as const;
    raft.step({ ...vote, from: 9n, to: 1n, term: 2, commit: 0, commitTerm: 0 });
    raft.step({ ...vote, from: 9n, to: 1n, term: 2, commit: 0, commitTerm: 0 });
    expect(raft.status().role).toBe('candidate');
  });

  test('each member votes for one candidate a term, first come first served', () => {
    const raft = inRole('follower');
    const request = (from: bigint, term: number): Message => ({
      type: 'RequestVote',
      from,
      to: 1n,
      term,
      lastLogIndex: 1,
      lastLogTerm: 1,
      preVote: false,
      transfer: false,
      commit: 0,
      commitTerm: 0,
    });
    raft.step(request(2n, 3));
    raft.step(request(3n, 3));
    raft.step(request(2n, 3));
    raft.step(request(3n, 4));
    const answers = raft.ready().messagesAfterPersist;
    // Answers of term 3 that had not left were dropped with the term.
    expect(answers).toMatchObject([{ to: 3n, term: 4, granted: true }]);
  });

  test.each(['candidate', 'preCandidate'] as const)(
    'a %s that hears a leader follows it',
    (role) => {
      const raft = inRole(role);
      raft.step(heartbeat(2, 3n));
      expect(raft.status()).toMatchObject({ role: 'follower', term: 2, leader: 3n });
    },
  );

  test('two leaders in a term stop the member that sees them', () => {
    expect(() => inRole('leader').step(heartbeat(2))).toThrow(InvariantError);
    const raft = inRole('follower');
    raft.step(heartbeat(2, 2n));
    expect(() => raft.step(heartbeat(2, 3n))).toThrow(InvariantError);
  });

  test('split votes are settled by random timeouts', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const cluster = new TestCluster(4, { seed });
      // Two and two, at the same moment.
      cluster.raft(1n).campaign();
      cluster.raft(2n).campaign();
      cluster.filter = (m) =>
        m.type !== 'RequestVote' || (m.from === 1n ? m.to === 3n : m.to === 4n);
      cluster.deliver();
      cluster.heal();
      cluster.tick(200);
      const leaders = [...cluster.nodes.values()].filter((n) => n.raft.status().role === 'leader');
      expect(leaders.length).toBe(1);
    }
  });

  test('timeouts of different members differ', () => {
    const timeouts = new Set<number>();
    for (let id = 1; id <= 50; id += 1) {
      const options = { ...defaultOptions, id: 1n, randomU32: seededU32(id) };
      const raft = new Raft(options, restoreWithTerms(voters, [1]));
      let ticks = 0;
      while (raft.status().role === 'follower') {
        raft.tick();
        ticks += 1;
      }
      timeouts.add(ticks);
    }
    expect([...timeouts].sort((a, b) => a - b)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });
});

test('a candidate that gets no vote does not put off the election of who has the longer log', () => {
  const cluster = new TestCluster(0);
  // The clock of the first runs twice as fast; the third member is gone.
  const options = { randomU32: () => 5 };
  cluster.add(1n, restoreWithTerms(voters, [1]), options);
  cluster.add(2n, restoreWithTerms(voters, [1, 1]), options);
  for (let i = 0; i < 100 && cluster.raft(2n).status().role !== 'leader'; i += 1) {
    for (const id of [1n, 1n, 2n]) {
      cluster.raft(id).tick();
      cluster.deliver();
    }
  }
  expect(cluster.raft(2n).status().role).toBe('leader');
});
