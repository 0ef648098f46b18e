/** Paper 5.4 (safety) and 5.5 (crashes). Figure 8 in full: traces/figure-8*.txt. */

import { describe, expect, test } from 'vitest';
import { restoreWithTerms, TestCluster } from './support/cluster.js';

const five = [1n, 2n, 3n, 4n, 5n];

function cluster(logs: readonly (readonly number[])[], commit = 0): TestCluster {
  const made = new TestCluster([]);
  const ids = logs.map((_, i) => BigInt(i + 1));
  const term = Math.max(...logs.flat());
  logs.forEach((terms, i) => {
    made.add(BigInt(i + 1), restoreWithTerms(ids, terms, { commit, term }));
  });
  return made;
}

describe('election restriction (paper 5.4.1)', () => {
  test.each([
    { candidate: [1, 1], other: [1, 1], wins: true },
    { candidate: [1, 1, 1], other: [1, 1], wins: true },
    { candidate: [1, 1], other: [1, 1, 1], wins: false },
    { candidate: [1, 2], other: [1, 1, 1, 1], wins: true },
    { candidate: [1, 1, 1, 1], other: [1, 2], wins: false },
  ] as const)('$candidate against $other: $wins', ({ candidate, other, wins }) => {
    const made = cluster([candidate, other, other]);
    made.raft(1n).campaign();
    made.deliver();
    expect(made.raft(1n).status().role === 'leader').toBe(wins);
  });

  test('a leader has every committed entry', () => {
    const made = cluster([[1, 2, 2], [1, 2, 2], [1, 2, 2], [1], [1, 2]], 0);
    made.isolate(4n, 5n);
    made.elect(1n);
    made.isolate(1n);
    // 4 and 5 lack what 1 committed with 2 and 3: neither can win.
    for (let i = 0; i < 3; i += 1) {
      for (const id of [4n, 5n]) {
        made.raft(id).campaign();
        made.deliver();
        expect(made.raft(id).status().role).not.toBe('leader');
      }
    }
    made.elect(3n);
  });
});

describe('committing entries from previous terms (paper 5.4.2)', () => {
  test('only an entry of the current term is committed by counting', () => {
    const made = cluster([[1, 2], [1, 2], [1], [1], [1, 3]], 1);
    // Entry 3, of the new term, is accepted by nobody but the leader and 2.
    made.filter = (m) =>
      m.type !== 'AppendEntries' || m.to === 2n || made.node(m.to).disk.entries[1]?.term !== 2;
    for (const node of made.nodes.values()) {
      // One entry a message.
      Object.assign(node.options, { appendBytesMax: 1 });
    }
    made.elect(1n);
    made.tick(5);
    expect(made.raft(1n).status()).toMatchObject({ role: 'leader', commit: 1 });
    const holders = five.filter((id) => made.node(id).disk.entries[1]?.term === 2);
    expect(holders.length).toBeGreaterThanOrEqual(3);
    made.heal();
    made.tick(5);
    expect(made.raft(1n).status().commit).toBe(3);
    for (const id of five) expect(made.raft(id).status().commit).toBe(3);
  });
});

describe('follower and candidate crashes (paper 5.5)', () => {
  test('a follower that crashes gets what it missed, twice the same is harmless', () => {
    const made = new TestCluster(3);
    made.elect(1n);
    made.propose(1n, 'a');
    made.isolate(3n);
    made.propose(1n, 'b', 'c');
    made.heal();
    made.node(3n).restart();
    made.tick(3);
    made.inbox.push(...made.node(1n).drain(), ...made.node(1n).drain());
    made.deliver();
    expect(made.commands(3n)).toEqual(['a', 'b', 'c']);
  });

  test('a candidate that crashes in its election can be replaced', () => {
    const made = new TestCluster(3);
    made.raft(1n).campaign();
    made.collect();
    made.node(1n).restart();
    made.inbox = [];
    made.elect(2n);
    made.propose(2n, 'a');
    expect(made.commands(1n)).toEqual(['a']);
  });

  test('a leader that crashes with an unwritten entry forgets it; others may keep it', () => {
    const made = new TestCluster(3);
    made.elect(1n);
    made.node(1n).stalledDisk = true;
    made.isolate(3n);
    made.propose(1n, 'a');
    made.node(1n).stalledDisk = false;
    made.node(1n).restart();
    expect(made.raft(1n).status().lastIndex).toBe(2);
    made.heal();
    made.elect(2n);
    expect(made.commands(1n)).toEqual(['a']);
    expect(made.commands(3n)).toEqual(['a']);
  });
});
