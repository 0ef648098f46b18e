import { describe, expect, it } from 'vitest';
import { EtcdError, silentLogger } from '../../src/common/index.js';
import { AutoCompactor } from '../../src/server/kv/auto-compaction.js';
import type { AutoCompaction } from '../../src/server/options/config.js';
import { SimClock } from '../../src/sim/index.js';

const minuteMs = 60_000;

/** A store whose revision grows by 10 a minute. */
function setup(policy: AutoCompaction) {
  const clock = new SimClock();
  const state = {
    leads: true,
    fails: undefined as Error | undefined,
    asked: [] as Array<[atMinute: number, rev: number]>,
  };
  const compactor = new AutoCompactor({
    policy,
    clock,
    logger: silentLogger,
    revision: () => 1 + Math.floor((clock.nowMs() / minuteMs) * 10),
    isLeader: () => state.leads,
    compact: (revision, done) => {
      state.asked.push([Math.round(clock.nowMs() / minuteMs), revision]);
      done(state.fails);
    },
  });
  compactor.start();
  return { clock, compactor, state };
}

describe('compaction by itself', () => {
  it('periodic: after a full period, to what was seen one period ago, once a period', async () => {
    const { clock, state } = setup({ mode: 'periodic', retentionMs: 10 * minuteMs });
    await clock.run(9.9 * minuteMs);
    expect(state.asked).toEqual([]);
    await clock.run(35 * minuteMs);
    // As etcd: never less than a period is kept.
    expect(state.asked).toEqual([
      [10, 1],
      [20, 91],
      [30, 191],
    ]);
  });

  it('periodic: at least once an hour for longer periods', async () => {
    const { clock, state } = setup({ mode: 'periodic', retentionMs: 180 * minuteMs });
    await clock.run(179 * minuteMs);
    expect(state.asked).toEqual([]);
    await clock.run(361 * minuteMs);
    expect(state.asked.map(([minute]) => minute)).toEqual([180, 240, 300, 360]);
  });

  it('revision: keeps the last N, looked at every five minutes', async () => {
    const { clock, state } = setup({ mode: 'revision', retentionRevisions: 75 });
    await clock.run(16 * minuteMs);
    expect(state.asked).toEqual([
      [10, 26],
      [15, 76],
    ]);
  });

  it('only the leader proposes, but the others keep sampling', async () => {
    const { clock, state } = setup({ mode: 'periodic', retentionMs: 10 * minuteMs });
    state.leads = false;
    await clock.run(25 * minuteMs);
    expect(state.asked).toEqual([]);
    state.leads = true;
    await clock.run(30.5 * minuteMs);
    // At once, as the one that led before may have failed to.
    expect(state.asked).toEqual([[26, 151]]);
  });

  it('periodic: tries again a tenth of the period after a failure', async () => {
    const { clock, state } = setup({ mode: 'periodic', retentionMs: 10 * minuteMs });
    state.fails = new Error('no');
    await clock.run(12.5 * minuteMs);
    state.fails = undefined;
    await clock.run(14.5 * minuteMs);
    expect(state.asked.map(([minute]) => minute)).toEqual([10, 11, 12, 13]);
  });

  it('takes what somebody else has compacted for done', async () => {
    for (const mode of ['periodic', 'revision'] as const) {
      const policy = { mode, retentionMs: 10 * minuteMs, retentionRevisions: 10 };
      const { clock, state } = setup(policy);
      state.fails = new EtcdError('COMPACTED');
      await clock.run(16 * minuteMs);
      const minutes = state.asked.map(([minute]) => minute);
      expect(minutes).toEqual(mode === 'periodic' ? [10] : [5, 10, 15]);
    }
  });

  it('tries again after a failure, and stops when told', async () => {
    const { clock, compactor, state } = setup({ mode: 'revision', retentionRevisions: 10 });
    state.fails = new Error('no');
    await clock.run(11 * minuteMs);
    expect(state.asked.length).toBe(2);
    compactor.stop();
    await clock.run(60 * minuteMs);
    expect(state.asked.length).toBe(2);
  });

  it('off: never', async () => {
    const { clock, state } = setup({ mode: 'off' });
    await clock.run(600 * minuteMs);
    expect(state.asked).toEqual([]);
  });
});
