/**
 * R-23: the three published histories in which single-step membership changes lose committed
 * entries (Ongaro, "bug in single-server membership changes", raft-dev, 10 July 2015): a leader
 * that has not committed in its term begins a change while an older, unfinished change of another
 * leader can still come back. Each is replayed up to the step that must not be possible.
 *
 * All share one shape. S1 leads in term 2, appends a change only to itself and is cut off. S2 leads
 * in term 3 and wants another change at once, before it has committed anything. If that were
 * committed in the new configuration, S1 could come back in term 4, win in *its* new configuration
 * with a quorum that shares no member with S2's, and overwrite it.
 */

import { describe, expect, test } from 'vitest';
import { type ConfigChangeStep, joiningRestore } from '../../src/raft/index.js';
import { addVoter, change, remove, TestCluster } from './support/cluster.js';

interface History {
  readonly name: string;
  readonly voters: readonly bigint[];
  readonly joining: readonly bigint[];
  readonly first: ConfigChangeStep;
  readonly second: ConfigChangeStep;
}

const histories: readonly History[] = [
  {
    name: 'one added, one removed',
    voters: [1n, 2n, 3n, 4n],
    joining: [5n],
    first: addVoter(5n),
    second: remove(1n),
  },
  {
    name: 'two added',
    voters: [1n, 2n, 3n, 4n],
    joining: [5n, 6n],
    first: addVoter(5n),
    second: addVoter(6n),
  },
  {
    name: 'two removed',
    voters: [1n, 2n, 3n, 4n, 5n],
    joining: [],
    first: remove(4n),
    second: remove(5n),
  },
];

describe.each(histories)('$name (R-23)', ({ voters, joining, first, second }) => {
  function begin() {
    const cluster = new TestCluster(voters);
    for (const id of joining) cluster.add(id, joiningRestore());
    cluster.elect(1n);
    // S1's change reaches nobody else.
    cluster.isolate(1n);
    cluster.change(1n, change([first]));
    expect(cluster.raft(1n).status().lastIndex).toBe(3);
    return cluster;
  }

  test('the second leader must first commit in its own term', () => {
    const cluster = begin();
    // S2 wins, but its no-op does not get through.
    cluster.filter = (m) =>
      m.from !== 1n && m.to !== 1n && m.type !== 'AppendEntries' && m.type !== 'Heartbeat';
    cluster.raft(2n).campaign();
    cluster.deliver();
    expect(cluster.raft(2n).status().role).toBe('leader');
    expect(cluster.raft(2n).proposeConfigChange(change([second]))).toBe('changePending');
    cluster.deliver();
    expect(cluster.raft(2n).status().configuration.voters).toEqual(voters);
  });

  test('and once it has, the first leader can not win with its stale change', () => {
    const cluster = begin();
    cluster.elect(2n);
    expect(cluster.change(2n, change([second]))).toBeUndefined();
    cluster.propose(2n, 'kept');
    // S1 comes back, cut off from S2, and tries as often as it likes.
    cluster.node(1n).restart();
    cluster.isolate(2n);
    for (let i = 0; i < 10; i += 1) {
      cluster.raft(1n).campaign();
      cluster.deliver();
      expect(cluster.raft(1n).status().role).not.toBe('leader');
    }
    cluster.heal();
    for (let i = 0; i < 100; i += 1) {
      cluster.tick();
      for (const id of cluster.nodes.keys()) {
        const { role } = cluster.raft(id).status();
        if (role === 'leader') cluster.raft(id).reportSnapshot(6n, true);
      }
    }
    for (const id of [3n, 4n]) expect(cluster.commands(id)).toEqual(['kept']);
    for (const node of cluster.nodes.values()) {
      const { configuration } = node.raft.status();
      if (configuration.voters.length === 0) continue;
      // The first change never happened, anywhere.
      const { member, type } = first;
      expect(configuration.voters.includes(member)).toBe(type === 'remove');
    }
  });
});
