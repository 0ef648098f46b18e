/** --initial-election-tick-advance: who starts again need not wait for a whole election timeout. */

import { describe, expect, it } from 'vitest';
import type { MemberId } from '../../src/common/index.js';
import { advanceFirstElection } from '../../src/server/node/lifecycle.js';
import { SimClock } from '../../src/sim/index.js';

function world() {
  const clock = new SimClock();
  const connected = new Set<MemberId>();
  const state = { leader: 0n as MemberId, ticks: 0, scheduled: 0, isStopped: false };
  advanceFirstElection(
    {
      config: { electionMs: 1000, heartbeatMs: 100 },
      loop: {
        get isStopped() {
          return state.isStopped;
        },
        schedule: () => {
          state.scheduled += 1;
        },
      },
      raft: {
        get leader() {
          return state.leader;
        },
        tick: () => {
          state.ticks += 1;
        },
      },
      ports: {
        clock,
        peers: { connectedSinceMs: (id) => (connected.has(id) ? 0 : undefined) },
      },
    },
    [1n, 2n, 3n],
  );
  return { connected, pass: (ms: number) => clock.run(clock.nowMs() + ms), state };
}

describe('a member that starts again', () => {
  it('is nearly at its first election once a majority is connected', async () => {
    const { connected, pass, state } = world();
    await pass(1000);
    expect(state.ticks).toBe(0);
    connected.add(2n);
    await pass(20);
    // Of ten ticks; the last two are left for a leader to be heard of.
    expect(state).toMatchObject({ ticks: 8, scheduled: 1 });
    await pass(10_000);
    expect(state.ticks).toBe(8);
  });

  it('waits as any other if there is a leader, nobody, or it stops', async () => {
    for (const change of ['leader', 'late', 'stop'] as const) {
      const { connected, pass, state } = world();
      if (change === 'leader') state.leader = 3n;
      if (change === 'stop') state.isStopped = true;
      await pass(change === 'late' ? 5100 : 100);
      connected.add(2n).add(3n);
      await pass(10_000);
      expect(state.ticks).toBe(0);
    }
  });
});
