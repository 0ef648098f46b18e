/**
 * Learners, changes of members, snapshots, restarts, forwarded proposals, flow control
 * (docs/raft-rules.md, R-21 to R-31).
 */

import { describe, expect, test } from 'vitest';
import {
  configurationOf,
  type Entry,
  emptyConfiguration,
  encodeConfigChange,
  initialRestore,
  joiningRestore,
  Raft,
  type SnapshotMeta,
} from '../../src/raft/index.js';
import {
  addLearner,
  addVoter,
  bytes,
  change,
  defaultOptions,
  type MemoryDisk,
  remove,
  TestCluster,
} from './support/cluster.js';

function joined(cluster: TestCluster, id: bigint): void {
  cluster.raft(1n).reportSnapshot(id, true);
  cluster.tick(3);
}

describe('learners (R-21)', () => {
  function withLearner() {
    const cluster = new TestCluster(2);
    cluster.elect(1n);
    cluster.add(3n, joiningRestore());
    cluster.change(1n, change([addLearner(3n)]));
    joined(cluster, 3n);
    return cluster;
  }

  test('a learner gets the log but is not counted', () => {
    const cluster = withLearner();
    cluster.isolate(2n);
    cluster.propose(1n, 'a');
    expect(cluster.raft(3n).status().lastIndex).toBe(cluster.raft(1n).status().lastIndex);
    expect(cluster.commands(1n)).toEqual([]);
    cluster.heal();
    cluster.tick(3);
    expect(cluster.commands(3n)).toEqual(['a']);
  });

  test('a learner never campaigns, nor can it be made leader', () => {
    const cluster = withLearner();
    const learner = cluster.raft(3n);
    cluster.isolate(3n);
    for (let i = 0; i < 100; i += 1) learner.tick();
    learner.campaign();
    expect(learner.status().role).toBe('follower');
    expect(cluster.node(3n).drain()).toEqual([]);
    cluster.heal();
    cluster.raft(1n).transferLeadership(3n);
    expect(cluster.propose(1n, 'a')).toBeUndefined();
    const { term } = learner.status();
    learner.step({ type: 'TimeoutNow', from: 1n, to: 3n, term });
    expect(learner.status().role).toBe('follower');
  });

  test('one that lags behind its own promotion answers votes', () => {
    const cluster = withLearner();
    cluster.isolate(3n);
    cluster.change(1n, change([addVoter(3n)]));
    expect(cluster.raft(3n).status().configuration.learners).toEqual([3n]);
    cluster.isolate(1n);
    // Long without a leader, so that the learner does not think that one is alive.
    cluster.raft(2n).campaign();
    cluster.deliver();
    expect(cluster.raft(2n).status().role).toBe('leader');
    expect(cluster.raft(3n).status().configuration.voters).toEqual([1n, 2n, 3n]);
  });
});

describe('one change at a time (R-22)', () => {
  test('a second one is refused until the first is applied', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    const raft = cluster.raft(1n);
    expect(raft.proposeConfigChange(change([addLearner(4n)]))).toBeUndefined();
    expect(raft.proposeConfigChange(change([addLearner(5n)]))).toBe('changePending');
    cluster.deliver();
    expect(raft.proposeConfigChange(change([addLearner(5n)]))).toBeUndefined();
  });

  test('a second one in the same forwarded batch becomes a no-op', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    const { term } = cluster.raft(1n).status();
    const asEntry = (member: bigint) => ({
      type: 'configChange' as const,
      data: encodeConfigChange(change([addLearner(member)])),
    });
    cluster.raft(1n).step({
      type: 'ForwardProposal',
      from: 2n,
      to: 1n,
      term,
      entries: [asEntry(4n), asEntry(5n), { type: 'normal', data: bytes('a') }],
    });
    cluster.deliver();
    expect(
      cluster
        .node(3n)
        .applied.slice(-3)
        .map((entry) => entry.type),
    ).toEqual(['configChange', 'noop', 'normal']);
    expect(cluster.raft(3n).status().configuration.learners).toEqual([4n]);
  });

  test('what is impossible is refused before it gets into the log', () => {
    const cluster = new TestCluster(1);
    cluster.elect(1n);
    expect(cluster.change(1n, change([remove(1n)]))).toBe('invalidChange');
    expect(cluster.change(1n, change([]))).toBe('invalidChange');
    expect(cluster.raft(1n).status().lastIndex).toBe(2);
  });

  test('a forwarded change that can not be read becomes a no-op', () => {
    const cluster = new TestCluster(2);
    cluster.elect(1n);
    const { term } = cluster.raft(1n).status();
    const entries = [{ type: 'configChange' as const, data: bytes('?') }];
    cluster.raft(1n).step({ type: 'ForwardProposal', from: 2n, to: 1n, term, entries });
    cluster.deliver();
    expect(cluster.node(2n).applied.at(-1)?.type).toBe('noop');
  });
});

test('no change before the leader has committed in its term (R-23)', () => {
  const cluster = new TestCluster(3);
  cluster.filter = (m) => m.type !== 'AppendEntriesResponse';
  cluster.raft(1n).campaign();
  cluster.deliver();
  expect(cluster.raft(1n).status().role).toBe('leader');
  expect(cluster.raft(1n).proposeConfigChange(change([remove(3n)]))).toBe('changePending');
  cluster.heal();
  cluster.tick(3);
  expect(cluster.raft(1n).proposeConfigChange(change([remove(3n)]))).toBeUndefined();
});

describe('joint consensus needs both majorities (R-24)', () => {
  /** Voters 1, 2, 3 going to 1, 4, 5; 4 and 5 can be cut off. */
  function entering() {
    const cluster = new TestCluster(3, { electionTimeoutTicks: 100 });
    cluster.elect(1n);
    for (const id of [4n, 5n]) {
      cluster.add(id, joiningRestore());
      cluster.change(1n, change([addLearner(id)]));
      joined(cluster, id);
    }
    const steps = [addVoter(4n), addVoter(5n), remove(2n), remove(3n)];
    cluster.change(1n, change(steps, 'jointExplicit'));
    expect(cluster.raft(1n).status().configuration).toMatchObject({
      voters: [1n, 4n, 5n],
      votersOutgoing: [1n, 2n, 3n],
    });
    return cluster;
  }

  test.each([
    [[2n, 3n], false],
    [[4n, 5n], false],
    [[2n, 4n], true],
    [[], true],
  ])('without %s: commit, read and election work: %s', (cut, works) => {
    const commits = entering();
    commits.isolate(...cut);
    commits.propose(1n, 'a');
    commits.raft(1n).readIndex(1);
    commits.tick(2);
    expect(commits.commands(1n)).toEqual(works ? ['a'] : []);
    expect(commits.node(1n).readStates.length).toBe(works ? 1 : 0);
    const elects = entering();
    elects.isolate(...cut);
    elects.raft(1n).transferLeadership(elects.raft(5n).status().id);
    elects.node(1n).restart();
    elects.deliver();
    elects.raft(1n).campaign();
    elects.deliver();
    expect(elects.raft(1n).status().role).toBe(works ? 'leader' : 'candidate');
  });

  test('leaving automatically survives a change of leader', () => {
    const cluster = new TestCluster(4);
    cluster.elect(1n);
    cluster.raft(1n).proposeConfigChange(change([remove(4n)], 'jointImplicit'));
    // Everything arrives but the entry that leaves.
    cluster.filter = (m) =>
      m.type !== 'AppendEntries' || m.entries.every((entry) => entry.index < 4);
    cluster.deliver();
    expect(cluster.raft(2n).status().configuration.votersOutgoing).toEqual([1n, 2n, 3n, 4n]);
    cluster.isolate(1n);
    cluster.elect(2n);
    cluster.tick(2);
    expect(cluster.raft(2n).status().configuration).toEqual(configurationOf([1n, 2n, 3n]));
  });
});

describe('a change is in force once applied (R-25)', () => {
  test('one that is overwritten before it is committed leaves nothing behind', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(1n);
    cluster.raft(1n).proposeConfigChange(change([remove(3n)]));
    cluster.deliver();
    expect(cluster.raft(1n).status().lastIndex).toBe(3);
    cluster.elect(2n);
    cluster.propose(2n, 'a');
    cluster.heal();
    cluster.tick(3);
    for (const id of [1n, 2n, 3n]) {
      expect(cluster.raft(id).status().configuration.voters).toEqual([1n, 2n, 3n]);
      expect(cluster.commands(id)).toEqual(['a']);
    }
  });

  test('nobody campaigns with a committed change that it has not applied', () => {
    const entries: Entry[] = [
      { index: 2, term: 1, type: 'configChange', data: encodeConfigChange(change([addVoter(2n)])) },
    ];
    const restore = { ...initialRestore([1n]), entries };
    const hardState = { term: 1, vote: 0n, commit: 2 };
    const raft = new Raft(
      { ...defaultOptions, id: 1n, randomU32: () => 0 },
      { ...restore, hardState },
    );
    raft.campaign();
    expect(raft.status().role).toBe('follower');
    expect(raft.ready().committedEntries.length).toBe(1);
    raft.applyConfigChange(change([addVoter(2n)]));
    raft.applied(2);
    raft.campaign();
    expect(raft.status().role).toBe('candidate');
  });

  test('a later change in the log proves an earlier one, even with the hint lost', () => {
    const entries: Entry[] = [2n, 3n].map((member, i) => ({
      index: 2 + i,
      term: 1,
      type: 'configChange',
      data: encodeConfigChange(change([addVoter(member)])),
    }));
    const restore = { ...initialRestore([1n]), entries };
    const raft = new Raft({ ...defaultOptions, id: 1n, randomU32: () => 0 }, restore);
    expect(raft.status().commit).toBe(2);
    raft.campaign();
    expect(raft.status().role).toBe('follower');
  });

  test('a restart in the middle finds the configuration of what was applied', () => {
    const entries: Entry[] = [2n, 3n].map((member, i) => ({
      index: 2 + i,
      term: 1,
      type: 'configChange',
      data: encodeConfigChange(change([addLearner(member)])),
    }));
    const options = { ...defaultOptions, id: 1n, randomU32: () => 0 };
    const restore = { ...initialRestore([1n]), entries, applied: 2 };
    const raft = new Raft(options, restore);
    expect(raft.status().configuration.learners).toEqual([2n]);
    const appliedConfiguration = { ...configurationOf([1n]), learners: [7n] };
    const told = new Raft(options, { ...restore, appliedConfiguration });
    expect(told.status().configuration.learners).toEqual([7n]);
  });
});

describe('a leader that removes itself (R-26)', () => {
  test('leads until it is applied, tells the others, then steps down', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.raft(1n).proposeConfigChange(change([remove(1n)]));
    cluster.propose(1n, 'after');
    expect(cluster.raft(1n).status()).toMatchObject({ role: 'follower', leader: 0n });
    expect(cluster.propose(1n, 'x')).toBe('noLeader');
    for (const id of [2n, 3n]) {
      expect(cluster.commands(id)).toEqual(['after']);
      expect(cluster.raft(id).status().configuration.voters).toEqual([2n, 3n]);
    }
    cluster.elect(3n);
  });

  test('the last one left learns of it even if the news was lost', () => {
    const cluster = new TestCluster(2, { preVote: true });
    cluster.elect(1n);
    cluster.raft(1n).proposeConfigChange(change([remove(1n)]));
    // 1 has more in its log than 2, so 2 will never get its vote.
    cluster.filter = (m) =>
      m.type !== 'AppendEntries' || (m.leaderCommit < 3 && m.entries.every((e) => e.index < 4));
    cluster.deliver();
    expect(cluster.raft(1n).status().role).toBe('follower');
    expect(cluster.raft(2n).status()).toMatchObject({ lastIndex: 3, commit: 2 });
    cluster.heal();
    cluster.tick(50);
    expect(cluster.raft(2n).status()).toMatchObject({ role: 'leader' });
    expect(cluster.raft(2n).status().configuration.voters).toEqual([2n]);
  });
});

test('a removed member that knows it stays silent (R-27)', () => {
  const cluster = new TestCluster(3);
  cluster.elect(1n);
  cluster.change(1n, change([remove(3n)]));
  expect(cluster.raft(3n).status().configuration.voters).toEqual([1n, 2n]);
  for (let i = 0; i < 6000; i += 1) cluster.raft(3n).tick();
  expect(cluster.node(3n).drain()).toEqual([]);
  expect(cluster.raft(3n).status().term).toBe(2);
});

describe('snapshots (R-28)', () => {
  const snapshot = (index: number, term: number, voters = [1n, 2n, 3n]): SnapshotMeta => ({
    index,
    term,
    configuration: configurationOf(voters),
  });
  function follower(entries: readonly Entry[] = [], commit = 1) {
    const restore = initialRestore([1n, 2n, 3n]);
    return new Raft(
      { ...defaultOptions, id: 2n, randomU32: () => 0 },
      { ...restore, entries, hardState: { ...restore.hardState, commit } },
    );
  }
  const entry = (index: number, term: number): Entry => ({
    index,
    term,
    type: 'normal',
    data: bytes(`${index}`),
  });
  const install = (meta: SnapshotMeta) =>
    ({ type: 'InstallSnapshot', from: 1n, to: 2n, term: 2, snapshot: meta }) as const;

  test('an older one than what is committed is answered, not installed', () => {
    const raft = follower([entry(2, 1), entry(3, 1)], 3);
    raft.step(install(snapshot(2, 1)));
    const ready = raft.ready();
    expect(ready.snapshot).toBeUndefined();
    expect(ready.messagesAfterPersist).toMatchObject([{ success: true, index: 3 }]);
  });

  test('so is one from before the log begins', () => {
    const raft = follower([entry(2, 1), entry(3, 1), entry(4, 1)], 4);
    raft.ready();
    raft.applied(4);
    raft.compact(3);
    raft.step(install(snapshot(2, 1)));
    raft.step(install(snapshot(2, 1)));
    expect(raft.status()).toMatchObject({ commit: 4, firstIndex: 4, lastIndex: 4 });
    expect(raft.ready().messagesAfterPersist).toMatchObject([{ index: 4 }, { index: 4 }]);
  });

  test('if the log holds its last entry, that is committed and the log kept', () => {
    const raft = follower([entry(2, 1), entry(3, 1), entry(4, 1)], 1);
    raft.step(install(snapshot(3, 1)));
    expect(raft.status()).toMatchObject({ commit: 3, lastIndex: 4, firstIndex: 2 });
    expect(raft.ready().snapshot).toBeUndefined();
  });

  test('otherwise everything is replaced, and answered only when durable', () => {
    const raft = follower([entry(2, 1), entry(3, 1)], 1);
    raft.step(install(snapshot(7, 2, [1n, 2n])));
    expect(raft.status()).toMatchObject({ commit: 7, firstIndex: 8, lastIndex: 7 });
    expect(raft.status().configuration.voters).toEqual([1n, 2n]);
    const ready = raft.ready();
    expect(ready.snapshot?.index).toBe(7);
    expect(ready.mustSync).toBe(true);
    expect(ready.messages).toEqual([]);
    expect(ready.messagesAfterPersist).toMatchObject([{ success: true, index: 7 }]);
    expect(ready.committedEntries).toEqual([]);
    // Not installed yet: it can't lead.
    raft.campaign();
    expect(raft.status().role).toBe('follower');
  });

  test('messages from before it are old news', () => {
    const raft = follower();
    raft.step(install(snapshot(7, 2)));
    raft.step({
      type: 'AppendEntries',
      from: 1n,
      to: 2n,
      term: 2,
      prevLogIndex: 1,
      prevLogTerm: 1,
      entries: [entry(2, 1)],
      leaderCommit: 2,
    });
    expect(raft.status()).toMatchObject({ commit: 7, firstIndex: 8, lastIndex: 7 });
    expect(raft.ready().messagesAfterPersist.at(-1)).toMatchObject({ success: true, index: 7 });
  });

  test('two in a row, the second before the first is durable', () => {
    const raft = follower();
    raft.step(install(snapshot(7, 2)));
    const first = raft.ready();
    raft.step(install(snapshot(9, 2)));
    const second = raft.ready();
    expect(second.snapshot?.index).toBe(9);
    raft.persisted(first.sequence);
    raft.applied(7);
    expect(raft.ready().committedEntries).toEqual([]);
    raft.persisted(second.sequence);
    raft.applied(9);
    expect(raft.status()).toMatchObject({ applied: 9, commit: 9 });
  });

  test('a change that was handed out before a snapshot arrived does not count twice', () => {
    const data = encodeConfigChange(change([addVoter(4n)]));
    const restore = initialRestore([1n, 2n, 3n]);
    const raft = new Raft(
      { ...defaultOptions, id: 2n, randomU32: () => 0 },
      {
        ...restore,
        entries: [{ index: 2, term: 1, type: 'configChange', data }],
        hardState: { term: 2, vote: 0n, commit: 2 },
      },
    );
    expect(raft.ready().committedEntries.length).toBe(1);
    raft.step(install(snapshot(7, 2, [1n, 2n])));
    // The state machine is behind, and gets what was true for it.
    expect(raft.applyConfigChange(change([addVoter(4n)])).voters).toEqual([1n, 2n, 3n, 4n]);
    raft.applied(2);
    expect(raft.status().configuration.voters).toEqual([1n, 2n]);
  });

  test('one that is not meant for this member is ignored', () => {
    const raft = follower();
    raft.step(install(snapshot(7, 2, [1n, 3n])));
    expect(raft.status().lastIndex).toBe(1);
  });

  test('the leader sends configuration, index and term of what it has applied', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.isolate(3n);
    cluster.change(1n, change([addLearner(9n)]));
    cluster.raft(1n).compact(3);
    cluster.heal();
    const sent: SnapshotMeta[] = [];
    cluster.filter = (m) => {
      if (m.type === 'InstallSnapshot' && m.to === 3n) sent.push(m.snapshot);
      return true;
    };
    cluster.tick(3);
    expect(sent).toEqual([
      { index: 3, term: 2, configuration: { ...configurationOf([1n, 2n, 3n]), learners: [9n] } },
    ]);
    expect(cluster.raft(3n).status().commit).toBe(3);
  });
});

test('after a restart nothing at or below the applied index is handed out again (R-29)', () => {
  const cluster = new TestCluster(1);
  cluster.elect(1n);
  cluster.propose(1n, 'a', 'b', 'c');
  const disk: MemoryDisk = cluster.node(1n).disk;
  const options = { ...defaultOptions, id: 1n, randomU32: () => 0 };
  const raft = new Raft(options, { ...disk.restore(), applied: 4 });
  const indexes: number[] = [];
  while (raft.hasReady()) {
    const ready = raft.ready();
    raft.persisted(ready.sequence);
    indexes.push(...ready.committedEntries.map((e) => e.index));
  }
  expect(indexes).toEqual([5]);
});

describe('a forwarded proposal (R-30)', () => {
  test('is sent once, as one message, and never again by itself', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    expect(cluster.raft(2n).propose([bytes('a'), bytes('b')])).toBeUndefined();
    const sent = cluster.node(2n).drain();
    expect(sent).toMatchObject([{ type: 'ForwardProposal', to: 1n }]);
    // It is lost; whoever waits for it must call the outcome unknown.
    cluster.tick(100);
    expect(cluster.commands(1n)).toEqual([]);
  });

  test('is dropped by one that leads no more', () => {
    const cluster = new TestCluster(3);
    cluster.elect(1n);
    cluster.raft(2n).propose([bytes('a')]);
    const sent = cluster.node(2n).drain();
    cluster.elect(3n);
    for (const message of sent) cluster.raft(1n).step(message);
    cluster.deliver();
    expect(cluster.commands(3n)).toEqual([]);
  });
});

describe('flow control (R-31)', () => {
  test('a stopped follower costs a bounded number of messages and stalls nobody', () => {
    const cluster = new TestCluster(5, { inflightAppendsMax: 4 });
    cluster.elect(1n);
    let sent = 0;
    cluster.filter = (m) => {
      if (m.to === 5n && m.type === 'AppendEntries') sent += 1;
      return m.to !== 5n;
    };
    for (let i = 0; i < 500; i += 1) cluster.propose(1n, `${i}`);
    // A full window, and the commit index after each of them.
    expect(sent).toBeLessThanOrEqual(8);
    expect(cluster.commands(4n).length).toBe(500);
    cluster.heal();
    cluster.tick(5);
    expect(cluster.commands(5n).length).toBe(500);
  });

  test('a leader that can not commit refuses beyond its limit', () => {
    const cluster = new TestCluster(3, { uncommittedBytesMax: 1000 });
    cluster.elect(1n);
    cluster.isolate(1n);
    const refusals = Array.from({ length: 40 }, () => cluster.propose(1n, 'x'.repeat(68)));
    expect(refusals.filter((r) => r === undefined).length).toBe(10);
    expect(refusals.at(-1)).toBe('tooMuchUncommitted');
    cluster.heal();
    cluster.tick(5);
    expect(cluster.propose(1n, 'x')).toBeUndefined();
    expect(cluster.commands(2n).length).toBe(11);
  });

  test('one entry above the limit is taken when nothing is waiting', () => {
    const cluster = new TestCluster(1, { uncommittedBytesMax: 10 });
    cluster.elect(1n);
    expect(cluster.propose(1n, 'x'.repeat(100))).toBeUndefined();
  });

  test('messages and batches to apply stay below their limits', () => {
    const cluster = new TestCluster(2, { appendBytesMax: 100, applyBytesMax: 100 });
    cluster.elect(1n);
    let largest = 0;
    cluster.filter = (m) => {
      if (m.type === 'AppendEntries') largest = Math.max(largest, m.entries.length);
      return true;
    };
    cluster.propose(1n, ...Array.from({ length: 20 }, () => 'x'.repeat(18)));
    expect(largest).toBe(2);
    expect(cluster.commands(2n).length).toBe(20);
  });
});

test('a member that joins knows nobody and does nothing by itself', () => {
  const raft = new Raft({ ...defaultOptions, id: 4n, randomU32: () => 0 }, joiningRestore());
  for (let i = 0; i < 100; i += 1) raft.tick();
  raft.campaign();
  expect(raft.hasReady()).toBe(false);
  expect(raft.status().configuration).toEqual(emptyConfiguration);
});
