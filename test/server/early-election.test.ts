/** Whose turn it is to campaign when the process of the leader has ended. */

import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { configurationOf } from '../../src/raft/index.js';
import { EarlyElection } from '../../src/server/node/early-election.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';

function setUp(self: bigint, voters: readonly bigint[] = [1n, 2n, 3n]) {
  const clock = new SimClock();
  const state = { leader: 3n, campaignsAtMs: [] as number[], answer: true };
  const loop = { isStopped: false, schedule() {} };
  const counts = { leadersGone: 0, earlyCampaigns: 0 };
  const early = new EarlyElection({
    self,
    raft: {
      get leader() {
        return state.leader;
      },
      reportGone(member: bigint) {
        if (state.leader !== member) return false;
        state.leader = 0n;
        return true;
      },
      campaignEarly() {
        state.campaignsAtMs.push(clock.nowMs());
        return state.answer;
      },
      status: () => ({ configuration: configurationOf(voters) }) as never,
    },
    loop,
    clock,
    random: new SimRandom(1),
    logger: silentLogger,
    heartbeatMs: 100,
    electionMs: 1000,
    counts,
  });
  return { clock, state, loop, counts, early };
}

describe('early elections', () => {
  it('have turns by id, ever more seldom, until an election timeout has passed', async () => {
    const [first, second] = [setUp(1n), setUp(2n)];
    for (const { clock, early } of [first, second]) {
      early.gone(3n);
      early.gone(3n);
      await clock.run(10_000);
    }
    // Half a slot of 50 ms for all to notice, then slots; up to a fifth of one by chance.
    const expected = [25, 175, 475];
    for (const [i, { state, counts }] of [first, second].entries()) {
      expect(state.campaignsAtMs).toHaveLength(expected.length);
      for (const [turn, atMs] of state.campaignsAtMs.entries()) {
        const dueMs = (expected[turn] ?? 0) + 50 * i;
        expect(atMs).toBeGreaterThanOrEqual(dueMs);
        expect(atMs).toBeLessThanOrEqual(dueMs + 10 * (turn + 1));
      }
      expect(counts).toEqual({ leadersGone: 1, earlyCampaigns: 3 });
    }
  });

  it('are over when somebody leads', async () => {
    const { clock, state, early } = setUp(1n);
    early.gone(3n);
    await clock.run(100);
    expect(state.campaignsAtMs).toHaveLength(1);
    state.leader = 2n;
    await clock.run(10_000);
    expect(state.campaignsAtMs).toHaveLength(1);
  });

  it('begin anew when the next leader is gone, too', async () => {
    const { clock, state, counts, early } = setUp(1n);
    early.gone(3n);
    await clock.run(100);
    state.leader = 2n;
    early.gone(2n);
    await clock.run(150);
    expect(state.campaignsAtMs).toHaveLength(2);
    expect(counts.leadersGone).toBe(2);
  });

  it('count only campaigns, not turns that pass', async () => {
    const { clock, state, counts, early } = setUp(1n);
    state.answer = false;
    early.gone(3n);
    await clock.run(10_000);
    expect(state.campaignsAtMs).toHaveLength(3);
    expect(counts.earlyCampaigns).toBe(0);
  });

  it('do not concern who is no voter, who stops, and those who follow another', async () => {
    const learner = setUp(9n);
    learner.early.gone(3n);
    const stopping = setUp(1n);
    stopping.early.gone(3n);
    stopping.early.stop();
    const stopped = setUp(1n);
    stopped.loop.isStopped = true;
    stopped.early.gone(3n);
    const other = setUp(1n);
    other.early.gone(2n);
    for (const { clock, state } of [learner, stopping, stopped, other]) {
      await clock.run(10_000);
      expect(state.campaignsAtMs).toEqual([]);
    }
    // A learner sends nothing to a leader that is gone, either.
    expect([learner.state.leader, other.state.leader]).toEqual([0n, 3n]);
  });
});
