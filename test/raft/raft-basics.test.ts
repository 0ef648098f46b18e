/** The shortest way through the core: elect, replicate, read, restart. */

import { describe, expect, test } from 'vitest';
import { initialRestore, joiningRestore, Raft } from '../../src/raft/index.js';
import {
  addLearner,
  addVoter,
  bytes,
  change,
  defaultOptions,
  TestCluster,
} from './support/cluster.js';

describe('one voter', () => {
  function single() {
    const raft = new Raft({ ...defaultOptions, id: 1n, randomU32: () => 0 }, initialRestore([1n]));
    return raft;
  }

  test('leads once its own vote is durable, and commits once its entries are', () => {
    const raft = single();
    raft.campaign();
    expect(raft.status().role).toBe('candidate');
    const vote = raft.ready();
    expect(vote.hardState).toEqual({ term: 2, vote: 1n, commit: 1 });
    raft.persisted(vote.sequence);
    expect(raft.status().role).toBe('leader');
    expect(raft.propose([bytes('a'), bytes('b')])).toBeUndefined();
    const write = raft.ready();
    expect(write.entries.map((entry) => entry.index)).toEqual([2, 3, 4]);
    expect(write.committedEntries).toEqual([]);
    expect(raft.hasReady()).toBe(false);
    raft.persisted(write.sequence);
    const apply = raft.ready();
    expect(apply.mustSync).toBe(false);
    expect(apply.hardState).toEqual({ term: 2, vote: 1n, commit: 4 });
    expect(apply.committedEntries.map((entry) => entry.index)).toEqual([2, 3, 4]);
    raft.applied(4);
    expect(raft.status()).toMatchObject({ commit: 4, applied: 4, lastIndex: 4 });
    expect(raft.hasReady()).toBe(false);
  });

  test('answers a read in the next Ready', () => {
    const cluster = new TestCluster(1);
    cluster.elect(1n);
    cluster.raft(1n).readIndex(7);
    cluster.deliver();
    expect(cluster.node(1n).readStates).toEqual([{ context: 7, index: 2 }]);
  });
});

describe('three voters', () => {
  test('elect, replicate, forward, and survive a restart of all', () => {
    const cluster = new TestCluster(3, { preVote: true, checkQuorum: true });
    cluster.elect(1n);
    cluster.propose(1n, 'a', 'b');
    expect(cluster.raft(2n).propose([bytes('c')])).toBeUndefined();
    cluster.deliver();
    for (const id of [1n, 2n, 3n]) expect(cluster.commands(id)).toEqual(['a', 'b', 'c']);
    for (const node of cluster.nodes.values()) node.restart();
    cluster.tick(60);
    const leaders = [...cluster.nodes.values()].filter((n) => n.raft.status().role === 'leader');
    expect(leaders.length).toBe(1);
    for (const id of [1n, 2n, 3n]) expect(cluster.commands(id)).toEqual(['a', 'b', 'c']);
  });

  test('reads at leader and follower get the commit index', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.propose(1n, 'a');
    cluster.raft(1n).readIndex(1);
    cluster.raft(3n).readIndex(2);
    cluster.deliver();
    expect(cluster.node(1n).readStates).toEqual([{ context: 1, index: 3 }]);
    expect(cluster.node(3n).readStates).toEqual([{ context: 2, index: 3 }]);
  });

  test('a learner joins by snapshot, is promoted, and the first leader can fail', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.propose(1n, 'a');
    cluster.add(4n, joiningRestore());
    expect(cluster.change(1n, change([addLearner(4n)]))).toBeUndefined();
    cluster.raft(1n).reportSnapshot(4n, true);
    cluster.tick(3);
    expect(cluster.raft(4n).status().commit).toBe(cluster.raft(1n).status().commit);
    expect(cluster.change(1n, change([addVoter(4n)]))).toBeUndefined();
    expect(cluster.raft(4n).status().configuration.voters).toEqual([1n, 2n, 3n, 4n]);
    cluster.isolate(1n);
    cluster.elect(4n);
    cluster.propose(4n, 'b');
    expect(cluster.commands(2n)).toEqual(['a', 'b']);
  });
});
