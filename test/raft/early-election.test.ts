/** Elections before the timeout, since the leader's process has ended: what is asked of whom. */

import { describe, expect, test } from 'vitest';
import { TestCluster } from './support/cluster.js';

const usual = { preVote: true, checkQuorum: true };

/** Member 1 leads, and will not be heard any more. */
function deadLeader(size: number, options = usual): TestCluster {
  const cluster = new TestCluster(size, options);
  cluster.elect(1n);
  cluster.isolate(1n);
  return cluster;
}

/** All of them learn that member 1 is gone. */
function allKnow(cluster: TestCluster): void {
  for (const id of cluster.nodes.keys()) if (id !== 1n) cluster.raft(id).reportGone(1n);
}

describe('a leader whose process has ended', () => {
  test('is replaced without a tick, once a majority knows it', () => {
    const cluster = deadLeader(3);
    allKnow(cluster);
    expect(cluster.raft(2n).status()).toMatchObject({ role: 'follower', term: 2, leader: 0n });
    expect(cluster.raft(2n).campaignEarly()).toBe(true);
    cluster.deliver();
    expect(cluster.raft(2n).status()).toMatchObject({ role: 'leader', term: 3 });
    expect(cluster.raft(3n).status()).toMatchObject({ role: 'follower', term: 3, leader: 2n });
  });

  test('is not replaced by those who know it, while too many hear from it (R-17)', () => {
    const cluster = deadLeader(5);
    cluster.raft(2n).reportGone(1n);
    cluster.raft(3n).reportGone(1n);
    for (let i = 0; i < 5; i += 1) {
      cluster.raft(2n).campaignEarly();
      cluster.raft(3n).campaignEarly();
      cluster.deliver();
    }
    // Nobody's term or vote has changed, and who hears from the leader does so still.
    for (const id of [2n, 3n, 4n, 5n]) expect(cluster.raft(id).status().term).toBe(2);
    for (const id of [4n, 5n]) expect(cluster.raft(id).status().leader).toBe(1n);
    cluster.raft(4n).reportGone(1n);
    cluster.raft(2n).campaignEarly();
    cluster.raft(2n).campaignEarly();
    cluster.deliver();
    expect(cluster.raft(2n).status()).toMatchObject({ role: 'leader', term: 3 });
  });

  test('is asked about with a pre-vote, whatever the options say', () => {
    const cluster = deadLeader(3, { preVote: false, checkQuorum: true });
    cluster.raft(2n).reportGone(1n);
    cluster.raft(2n).campaignEarly();
    cluster.deliver();
    expect(cluster.raft(2n).status()).toMatchObject({ role: 'preCandidate', term: 2 });
    cluster.raft(3n).reportGone(1n);
    cluster.raft(2n).campaignEarly();
    cluster.deliver();
    expect(cluster.raft(2n).status()).toMatchObject({ role: 'leader', term: 3 });
  });

  test('is followed again as soon as it is heard', () => {
    const cluster = new TestCluster(3, usual);
    cluster.elect(1n);
    for (const asks of [false, true]) {
      expect(cluster.raft(2n).reportGone(1n)).toBe(true);
      expect(cluster.raft(2n).refusesProposals).toBe(true);
      if (asks) cluster.raft(2n).campaignEarly();
      cluster.raft(1n).tick();
      cluster.deliver();
      expect(cluster.raft(2n).status()).toMatchObject({ role: 'follower', term: 2, leader: 1n });
    }
    expect(cluster.raft(1n).status()).toMatchObject({ role: 'leader', term: 2 });
    expect(cluster.raft(2n).campaignEarly()).toBe(false);
  });

  test('does not change what the election timeout is', () => {
    const cluster = deadLeader(3);
    cluster.raft(2n).reportGone(1n);
    cluster.raft(2n).campaignEarly();
    cluster.deliver();
    cluster.tick(25);
    const roles = [2n, 3n].map((id) => cluster.raft(id).status().role).toSorted();
    expect(roles).toEqual(['follower', 'leader']);
  });
});

describe('who is told that a member is gone', () => {
  test('goes on if it was not the leader, or leads itself', () => {
    const cluster = new TestCluster(3, usual);
    cluster.elect(1n);
    expect(cluster.raft(2n).reportGone(3n)).toBe(false);
    expect(cluster.raft(1n).reportGone(1n)).toBe(false);
    expect(cluster.raft(1n).reportGone(2n)).toBe(false);
    expect(cluster.raft(2n).reportGone(0n)).toBe(false);
    expect(cluster.raft(2n).status().leader).toBe(1n);
    expect(cluster.raft(1n).campaignEarly()).toBe(false);
  });

  test('lets one turn pass after it gave somebody its vote', () => {
    const cluster = deadLeader(3);
    allKnow(cluster);
    cluster.raft(2n).campaignEarly();
    cluster.collect();
    const asked = cluster.inbox.filter(({ to }) => to === 3n);
    cluster.inbox = [];
    for (const message of asked) cluster.raft(3n).step(message);
    expect(cluster.raft(3n).campaignEarly()).toBe(false);
    expect(cluster.raft(3n).campaignEarly()).toBe(true);
  });

  test('gives no vote to a shorter log (R-10)', () => {
    const cluster = new TestCluster(3, usual);
    cluster.elect(1n);
    cluster.isolate(2n);
    cluster.propose(1n, 'a');
    cluster.heal();
    cluster.isolate(1n);
    allKnow(cluster);
    cluster.raft(2n).campaignEarly();
    cluster.deliver();
    expect(cluster.raft(2n).status().role).not.toBe('leader');
    cluster.raft(3n).campaignEarly();
    cluster.deliver();
    expect(cluster.raft(3n).status().role).toBe('leader');
    expect(cluster.commands(2n)).toEqual(['a']);
  });

  test('does not campaign without a vote', () => {
    const cluster = new TestCluster(1, usual);
    cluster.elect(1n);
    expect(cluster.raft(1n).reportGone(1n)).toBe(false);
  });
});
