/**
 * What must be durable before what is said, what commits, and which read is of the present
 * (docs/raft-rules.md, R-1 to R-10).
 * The random world (random-network.test.ts) checks many of them too, at every step.
 */

import { describe, expect, test } from 'vitest';
import { initialRestore, type Message, Raft } from '../../src/raft/index.js';
import { bytes, defaultOptions, restoreWithTerms, TestCluster } from './support/cluster.js';

function single(id: bigint, voters: readonly bigint[], terms: readonly number[], hard = {}) {
  return new Raft(
    { ...defaultOptions, id, randomU32: () => 0 },
    restoreWithTerms(voters, terms, hard),
  );
}

const vote = (from: bigint, to: bigint, term: number, last: [number, number]): Message => ({
  type: 'RequestVote',
  from,
  to,
  term,
  lastLogIndex: last[0],
  lastLogTerm: last[1],
  preVote: false,
  transfer: false,
  commit: 0,
  commitTerm: 0,
});

describe('nothing is answered before what it depends on is durable (R-1)', () => {
  test('a vote and its refusal wait for the disk', () => {
    const raft = single(2n, [1n, 2n, 3n], [1]);
    raft.step(vote(1n, 2n, 5, [1, 1]));
    raft.step(vote(3n, 2n, 5, [1, 1]));
    const ready = raft.ready();
    expect(ready.messages).toEqual([]);
    expect(ready.mustSync).toBe(true);
    expect(ready.hardState).toMatchObject({ term: 5, vote: 1n });
    expect(ready.messagesAfterPersist).toMatchObject([
      { to: 1n, granted: true },
      { to: 3n, granted: false },
    ]);
  });

  test('an acknowledgement travels with the entries it acknowledges', () => {
    const raft = single(2n, [1n, 2n, 3n], [1]);
    raft.step({
      type: 'AppendEntries',
      from: 1n,
      to: 2n,
      term: 2,
      prevLogIndex: 1,
      prevLogTerm: 1,
      entries: [{ index: 2, term: 2, type: 'normal', data: bytes('a') }],
      leaderCommit: 0,
    });
    const ready = raft.ready();
    expect(ready.messages).toEqual([]);
    expect(ready.entries.map((entry) => entry.index)).toEqual([2]);
    expect(ready.messagesAfterPersist).toMatchObject([{ success: true, index: 2 }]);
  });

  test('a candidate asks for votes only when term and vote are durable', () => {
    const raft = single(1n, [1n, 2n, 3n], [1]);
    raft.campaign();
    const ready = raft.ready();
    expect(ready.messages).toEqual([]);
    expect(ready.messagesAfterPersist.length).toBe(2);
  });
});

test('a vote is remembered across a restart in the same term (R-2)', () => {
  const cluster = new TestCluster([1n, 2n, 3n]);
  const node = cluster.node(2n);
  node.raft.step(vote(1n, 2n, 5, [1, 1]));
  expect(node.drain()).toMatchObject([{ to: 1n, granted: true }]);
  node.restart();
  node.raft.step(vote(3n, 2n, 5, [1, 1]));
  node.raft.step(vote(1n, 2n, 5, [1, 1]));
  expect(node.drain()).toMatchObject([
    { to: 3n, granted: false },
    { to: 1n, granted: true },
  ]);
});

describe('a leader counts itself only when its own write is done (R-3)', () => {
  function stalledLeader() {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.node(1n).stalledDisk = true;
    return cluster;
  }

  test('one follower and a stalled leader are no majority', () => {
    const cluster = stalledLeader();
    cluster.isolate(3n);
    cluster.propose(1n, 'a');
    expect(cluster.raft(2n).status().lastIndex).toBe(3);
    expect(cluster.raft(1n).status().commit).toBe(2);
    cluster.node(1n).stalledDisk = false;
    cluster.inbox.push(...cluster.node(1n).flush());
    cluster.deliver();
    expect(cluster.raft(1n).status().commit).toBe(3);
  });

  test('two followers are, and the leader applies only when it is durable', () => {
    const cluster = stalledLeader();
    cluster.propose(1n, 'a');
    expect(cluster.raft(1n).status().commit).toBe(3);
    expect(cluster.commands(2n)).toEqual(['a']);
    expect(cluster.commands(1n)).toEqual([]);
    cluster.node(1n).flush();
    cluster.deliver();
    expect(cluster.commands(1n)).toEqual(['a']);
  });
});

test('a majority does not commit an entry of an earlier term (golden: figure-8.txt) (R-4)', () => {
  const cluster = new TestCluster([]);
  for (const id of [1n, 2n, 3n]) cluster.add(id, restoreWithTerms([1n, 2n, 3n], [1, 2]));
  // Lets everything through but entries of the new term.
  cluster.filter = (m) =>
    m.type !== 'AppendEntries' || m.entries.every((entry) => entry.term < 3) || m.to === 9n;
  cluster.elect(1n);
  cluster.tick(5);
  const { commit } = cluster.raft(1n).status();
  expect(commit).toBe(0);
  cluster.heal();
  cluster.tick(5);
  expect(cluster.raft(1n).status().commit).toBe(3);
});

test('a new leader commits what it found without any client (R-5)', () => {
  const cluster = new TestCluster([]);
  for (const id of [1n, 2n, 3n]) cluster.add(id, restoreWithTerms([1n, 2n, 3n], [1, 1, 2]));
  cluster.elect(2n);
  for (const id of [1n, 2n, 3n]) {
    expect(cluster.raft(id).status()).toMatchObject({ commit: 4, applied: 4 });
    expect(cluster.node(id).applied.at(-1)?.type).toBe('noop');
  }
});

test('a read at a new leader waits for its first commit (R-6)', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1n);
  cluster.propose(1n, 'a');
  cluster.filter = (m) => m.type !== 'AppendEntries';
  cluster.raft(2n).campaign();
  cluster.deliver();
  expect(cluster.raft(2n).status().role).toBe('leader');
  cluster.raft(2n).readIndex(1);
  cluster.tick(3);
  expect(cluster.node(2n).readStates).toEqual([]);
  cluster.heal();
  cluster.tick(3);
  expect(cluster.node(2n).readStates).toEqual([{ context: 1, index: 4 }]);
});

test('an answer to an earlier heartbeat does not confirm a later read (R-7)', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1n);
  const leader = cluster.node(1n);
  leader.raft.readIndex(1);
  const first = leader.drain().filter((m) => m.type === 'Heartbeat' && m.to === 2n);
  leader.raft.readIndex(2);
  const second = leader.drain().filter((m) => m.type === 'Heartbeat' && m.to === 2n);
  const follower = cluster.node(2n);
  for (const message of first) follower.raft.step(message);
  for (const message of follower.drain()) leader.raft.step(message);
  leader.drain();
  expect(leader.readStates.map((read) => read.context)).toEqual([1]);
  for (const message of second) follower.raft.step(message);
  for (const message of follower.drain()) leader.raft.step(message);
  leader.drain();
  expect(leader.readStates.map((read) => read.context)).toEqual([1, 2]);
});

describe('every round of reads has a new sequence, and other terms do not count (R-8)', () => {
  test('no sequence is used for two sets of reads', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(1n);
    const leader = cluster.node(1n);
    const sequences: number[] = [];
    for (let context = 1; context <= 5; context += 1) {
      leader.raft.readIndex(context);
      for (const message of leader.drain()) {
        if (message.type === 'Heartbeat' && message.to === 2n) sequences.push(message.readSequence);
      }
    }
    expect(sequences).toEqual([1, 2, 3, 4, 5]);
  });

  test('reads that came together share one round', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    for (let context = 1; context <= 100; context += 1) cluster.raft(1n).readIndex(context);
    const heartbeats = cluster.node(1n).drain();
    expect(heartbeats.length).toBe(2);
  });

  test('answers to an earlier leadership confirm nothing', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    const node = cluster.node(1n);
    node.raft.readIndex(1);
    const old = node.drain();
    cluster.elect(2n);
    cluster.elect(1n);
    cluster.isolate(1n);
    node.raft.readIndex(2);
    node.drain();
    for (const message of old) {
      if (message.type !== 'Heartbeat') continue;
      const { term, readSequence, to: from } = message;
      node.raft.step({ type: 'HeartbeatResponse', from, to: 1n, term, readSequence });
    }
    node.drain();
    expect(node.readStates).toEqual([]);
  });

  test('an answer of an earlier leader is dropped by the follower that asked', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    const { term } = cluster.raft(1n).status();
    cluster.elect(2n);
    const answer = { type: 'ReadIndexResponse', from: 1n, to: 3n, context: 9, index: 1 } as const;
    cluster.raft(3n).step({ ...answer, term });
    cluster.deliver();
    expect(cluster.node(3n).readStates).toEqual([]);
  });
});

test('no read is ever answered from a lease: a cut-off leader answers none (R-9)', () => {
  const cluster = new TestCluster(3, { checkQuorum: true, preVote: true });
  cluster.elect(1n);
  cluster.isolate(1n);
  cluster.raft(1n).readIndex(1);
  for (let i = 0; i < 40; i += 1) {
    cluster.raft(1n).readIndex(2 + i);
    cluster.tick();
  }
  expect(cluster.node(1n).readStates).toEqual([]);
});

test('the later last term wins a vote, not the longer log (R-10)', () => {
  const voter = () => single(2n, [1n, 2n, 3n], [1, 1, 1, 1, 1], { term: 3 });
  const outcome = (last: [number, number]) => {
    const raft = voter();
    raft.step(vote(1n, 2n, 4, last));
    return raft.ready().messagesAfterPersist[0];
  };
  expect(outcome([2, 2])).toMatchObject({ granted: true });
  expect(outcome([5, 1])).toMatchObject({ granted: true });
  expect(outcome([4, 1])).toMatchObject({ granted: false });
  const newer = single(2n, [1n, 2n, 3n], [1, 2], { term: 3 });
  newer.step(vote(1n, 2n, 4, [9, 1]));
  expect(newer.ready().messagesAfterPersist[0]).toMatchObject({ granted: false });
});

test('a fresh cluster begins with the same snapshot everywhere', () => {
  const raft = new Raft(
    { ...defaultOptions, id: 1n, randomU32: () => 0 },
    initialRestore([2n, 1n]),
  );
  expect(raft.status()).toMatchObject({ commit: 1, applied: 1, firstIndex: 2, lastIndex: 1 });
  expect(raft.status().configuration.voters).toEqual([1n, 2n]);
});
