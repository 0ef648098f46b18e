import { describe, expect, it } from 'vitest';
import { logKeepBytesMax } from '../../src/common/index.js';
import type { Raft } from '../../src/raft/index.js';
import { RaftLogTrim } from '../../src/server/node/raft-log-trim.js';
import { SimClock } from '../../src/sim/index.js';

type Follower = Pick<ReturnType<Raft['progress']>[number], 'active' | 'matchIndex' | 'mode'>;

function setup(followers: readonly Partial<Follower>[], voters = [1n, 2n, 3n]) {
  const clock = new SimClock();
  let firstIndex = 2;
  const raft = {
    compact(index: number) {
      expect(index, 'the log is only ever shortened').toBeGreaterThanOrEqual(firstIndex - 1);
      firstIndex = index + 1;
    },
    progress: () =>
      followers.map((one) => ({ active: true, matchIndex: 0, mode: 'replicate', ...one })),
    status: () => ({
      firstIndex,
      configuration: {
        voters,
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      },
    }),
  } as unknown as Raft;
  const keeper = new RaftLogTrim({ raft, clock, catchUpEntries: 5000 }, 1);
  return { keeper, clock, keptAfter: () => firstIndex - 1 };
}

describe('the log in memory', () => {
  it('is let go at once by a member that is alone', () => {
    const { keeper, keptAfter } = setup([], [1n]);
    keeper.applied(1500, 1500 * 300);
    expect(keptAfter()).toBe(1500);
  });

  it('keeps the last entries for followers that are a little behind', () => {
    const { keeper, keptAfter } = setup([]);
    for (let index = 1000; index <= 20_000; index += 1000) keeper.applied(index, index * 300);
    expect(keptAfter()).toBe(15_000);
  });

  it('keeps what an active follower still lacks', () => {
    const { keeper, keptAfter } = setup([{ matchIndex: 700 }, { matchIndex: 20_000 }]);
    for (let index = 1000; index <= 20_000; index += 1000) keeper.applied(index, index * 300);
    expect(keptAfter()).toBe(700);
  });

  it('does not wait for a follower that is silent, or gets a snapshot', () => {
    const { keeper, keptAfter } = setup([
      { matchIndex: 700, active: false },
      { matchIndex: 10, mode: 'snapshot' },
    ]);
    for (let index = 1000; index <= 20_000; index += 1000) keeper.applied(index, index * 300);
    expect(keptAfter()).toBe(15_000);
  });

  it('keeps what comes after a snapshot that is being sent, for a while', async () => {
    const { keeper, clock, keptAfter } = setup([{ mode: 'snapshot' }]);
    keeper.applied(1000, 0);
    keeper.snapshotSent(1000);
    for (let index = 2000; index <= 20_000; index += 1000) keeper.applied(index, index * 300);
    expect(keptAfter()).toBe(1000);
    await clock.run(clock.nowMs() + 31_000);
    keeper.applied(21_000, 21_000 * 300);
    expect(keptAfter()).toBe(16_000);
  });

  it('is bounded in bytes, however far behind a paused follower is', () => {
    const { keeper, keptAfter } = setup([{ matchIndex: 10 }]);
    const entryBytes = 100_000;
    for (let index = 100; index <= 20_000; index += 100) keeper.applied(index, index * entryBytes);
    const keptBytes = (20_000 - keptAfter()) * entryBytes;
    expect(keptBytes).toBeLessThanOrEqual(logKeepBytesMax);
    expect(keptBytes).toBeGreaterThan(logKeepBytesMax / 2);
  });
});
