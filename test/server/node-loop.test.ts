/** The loop between Raft and a log that only takes notes. */

import { expect, test } from 'vitest';
import { silentLogger } from '../../src/common/index.js';
import { SimClock } from '../../src/common/sim/index.js';
import { initialRestore, Raft } from '../../src/raft/index.js';
import { EntryKind, newEntry } from '../../src/server/entry.js';
import { Metrics } from '../../src/server/metrics.js';
import { NodeLoop } from '../../src/server/node-loop.js';
import { Proposals } from '../../src/server/proposals.js';
import { ReadGate } from '../../src/server/read-gate.js';

const tickMs = 100;

function loopWithoutLeader(clock: SimClock, notes: string[] = []): NodeLoop {
  const options = {
    id: 1n,
    electionTimeoutTicks: 1000,
    heartbeatTicks: 1,
    preVote: true,
    checkQuorum: true,
    appendBytesMax: 1000,
    inflightAppendsMax: 10,
    uncommittedBytesMax: 1000,
    applyBytesMax: 1000,
    randomU32: () => 0,
  };
  const raft = new Raft(options, initialRestore([1n, 2n, 3n]));
  const nothing = (): void => {};
  return new NodeLoop({
    id: 1n,
    raft,
    wal: {
      sizeBytes: 0,
      append: async (hardState) => {
        notes.push(`append commit ${hardState?.commit}`);
      },
      markSnapshot: async ({ index }) => {
        notes.push(`mark ${index}`);
      },
      release: async () => {},
      close: async () => {},
    },
    applier: { apply: () => undefined, afterRun: nothing },
    proposals: new Proposals({ clock, origin: 1, timeoutMs: 1e9 }),
    reads: new ReadGate({
      raft,
      clock,
      timeoutMs: 1e9,
      applied: 1,
      contextOrigin: 1,
      counts: new Metrics(),
    }),
    clock,
    logger: silentLogger,
    tickMs,
    timeoutReason: () => 'TIMEOUT',
    send: nothing,
    install: async () => {},
    onFatal: (error) => {
      throw error;
    },
    onTick: nothing,
    onReady: nothing,
    onApplied: nothing,
    overloaded: () => false,
  });
}

test('waiting for a leader costs the same however many turns there were meanwhile', async () => {
  const clock = new SimClock();
  const loop = loopWithoutLeader(clock);
  loop.start();
  loop.propose(newEntry(EntryKind.put, Buffer.alloc(0)), {}, () => {}, undefined);
  const eventsIn = async (ms: number): Promise<number> => {
    const before = clock.eventsFired;
    await clock.run(clock.nowMs() + ms);
    return clock.eventsFired - before;
  };
  await eventsIn(10 * tickMs);
  const early = await eventsIn(10 * tickMs);
  for (let i = 0; i < 50; i += 1) {
    loop.schedule();
    await eventsIn(tickMs / 20);
  }
  expect(await eventsIn(10 * tickMs)).toBeLessThanOrEqual(early * 1.1);
});

test('a snapshot is marked in the log before the commit index that comes with it', async () => {
  // Else a crash in between would have the entries committed that it takes the place of.
  const clock = new SimClock();
  const notes: string[] = [];
  const loop = loopWithoutLeader(clock, notes);
  loop.start();
  const configuration = initialRestore([1n, 2n, 3n]).snapshot.configuration;
  const snapshot = { index: 10, term: 2, configuration };
  const taken = loop.stepSnapshot({ type: 'InstallSnapshot', from: 2n, to: 1n, term: 2, snapshot });
  expect(taken).toBe(true);
  await clock.run(clock.nowMs() + 1);
  expect(notes).toEqual(['mark 10', 'append commit 10']);
});
