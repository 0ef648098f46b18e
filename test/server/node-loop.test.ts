/** The loop between Raft and a log that only takes notes. */

import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import {
  type EtcdError,
  proposalsWaitingBytesMax,
  proposalsWaitingMax,
  silentLogger,
} from '../../src/common/index.js';
import { initialRestore, type Message, Raft } from '../../src/raft/index.js';
import { EntryKind, entryBody, newEntry } from '../../src/server/entry/index.js';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { NodeLoop } from '../../src/server/node/loop.js';
import { Proposals } from '../../src/server/node/proposals.js';
import { ReadGate } from '../../src/server/node/read-gate.js';
import { SimClock } from '../../src/sim/index.js';

const tickMs = 100;

interface Setup {
  readonly notes?: string[];
  readonly timeoutMs?: number;
  readonly overloaded?: () => boolean;
  /** Told what happens, in its order. */
  readonly steps?: string[];
}

function loopWithoutLeader(clock: SimClock, setup: Setup = {}): NodeLoop {
  return setUp(clock, setup).loop;
}

/** Member 1 of three, which hears what is stepped into it; `sent` is what it says. */
function setUp(clock: SimClock, { notes = [], timeoutMs = 1e9, overloaded, steps }: Setup) {
  const sent: Message[] = [];
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
  const proposals = new Proposals({ clock, origin: 1, timeoutMs });
  const loop = new NodeLoop({
    id: 1n,
    raft,
    wal: {
      sizeBytes: 0,
      append: async (hardState) => {
        notes.push(`append commit ${hardState?.commit}`);
        steps?.push('write');
      },
      markSnapshot: async ({ index }) => {
        notes.push(`mark ${index}`);
      },
      release: async () => {},
      close: async () => {},
    },
    hurried: (work) => work(),
    flush: () => void steps?.push('flush'),
    applier: {
      apply: () => void steps?.push('apply'),
      afterRun: nothing,
    },
    proposals,
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
    counts: new Metrics(),
    timeoutReason: () => 'TIMEOUT',
    send: (messages) => {
      sent.push(...messages);
      for (const { type, to } of messages) steps?.push(`${type} to ${to}`);
    },
    install: async () => {},
    onFatal: (error) => {
      throw error;
    },
    onTick: nothing,
    onReady: nothing,
    onApplied: nothing,
    overloaded: overloaded ?? (() => false),
  });
  /** Member 2 leads in term 1 from now on. */
  const lead = (): void => {
    loop.step({ type: 'Heartbeat', from: 2n, to: 1n, term: 1, commit: 1, readSequence: 0 });
  };
  /** Bodies of what was passed on to the leader. */
  const passedOn = (): string[] =>
    sent.flatMap((message) =>
      message.type === 'ForwardProposal'
        ? message.entries.map(({ data }) => entryBody(data).toString())
        : [],
    );
  /** Says yes to whatever the newest entries are. */
  const accept = async (member: bigint, index: number): Promise<void> => {
    const head = { from: member, to: 1n, term: raft.term } as const;
    const type = 'AppendEntriesResponse';
    loop.step({ type, ...head, success: true, index, hintIndex: 0, hintTerm: 0 });
    await clock.run(clock.nowMs() + 1);
  };
  /** Member 1 is elected, and both others have its first entry, with index 2. */
  const becomeLeader = async (): Promise<void> => {
    raft.campaign();
    for (const preVote of [true, false]) {
      loop.schedule();
      await clock.run(clock.nowMs() + 1);
      const term = preVote ? raft.term + 1 : raft.term;
      const head = { from: 2n, to: 1n, term, commit: 1, commitTerm: 1 } as const;
      loop.step({ type: 'RequestVoteResponse', ...head, preVote, granted: true });
    }
    await clock.run(clock.nowMs() + 1);
    for (const member of [2n, 3n]) await accept(member, 2);
  };
  return { loop, proposals, lead, passedOn, accept, becomeLeader };
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
  const loop = loopWithoutLeader(clock, { notes });
  loop.start();
  const configuration = initialRestore([1n, 2n, 3n]).snapshot.configuration;
  const snapshot = { index: 10, term: 2, configuration };
  const taken = loop.stepSnapshot({ type: 'InstallSnapshot', from: 2n, to: 1n, term: 2, snapshot });
  expect(taken).toBe(true);
  await clock.run(clock.nowMs() + 1);
  expect(notes).toEqual(['mark 10', 'append commit 10']);
});

test('entries leave before they are written here, news of their commit after they are applied', async () => {
  const clock = new SimClock();
  const steps: string[] = [];
  const { loop, accept, becomeLeader } = setUp(clock, { steps });
  loop.start();
  await becomeLeader();
  steps.length = 0;
  put(loop, 'x');
  await clock.run(clock.nowMs() + 1);
  expect(steps).toEqual(['AppendEntries to 2', 'AppendEntries to 3', 'flush', 'write']);
  steps.length = 0;
  await accept(3n, 3);
  expect(steps).toEqual(['write', 'apply', 'AppendEntries to 2', 'AppendEntries to 3']);
});

/** A call, as far as the loop looks at it, and how it was answered. */
class Call {
  readonly answers: string[] = [];
  readonly call = { cancelled: false };
}

function put(loop: NodeLoop, body: string | Buffer): Call {
  const call = new Call();
  const answer = (to: Call, _request: unknown, error: Error | undefined): void => {
    to.answers.push((error as EtcdError | undefined)?.reason ?? 'done');
  };
  loop.propose(newEntry(EntryKind.put, Buffer.from(body)), {}, answer, call);
  return call;
}

test('a proposal whose call timed out without a leader is not made when one comes', async () => {
  const clock = new SimClock();
  const { loop, lead, passedOn } = setUp(clock, { timeoutMs: 7000 });
  loop.start();
  const old = put(loop, 'old');
  await clock.run(6500);
  const young = put(loop, 'young');
  await clock.run(7500);
  expect([old.answers, young.answers]).toEqual([['TIMEOUT'], []]);
  lead();
  await clock.run(clock.nowMs() + 1);
  expect(passedOn()).toEqual(['young']);
});

test('nor if the leader comes before the tick that would have answered the call', async () => {
  const clock = new SimClock();
  const { loop, lead, passedOn } = setUp(clock, { timeoutMs: 7010 });
  loop.start();
  const old = put(loop, 'old');
  await clock.run(7050);
  expect(old.answers).toEqual([]);
  lead();
  await clock.run(7051);
  expect(passedOn()).toEqual([]);
  expect(old.answers).toEqual(['TIMEOUT']);
});

test('a proposal whose caller has gone meanwhile is not made', async () => {
  const clock = new SimClock();
  const { loop, proposals, lead, passedOn } = setUp(clock, { timeoutMs: 7000 });
  loop.start();
  const [gone, here] = [put(loop, 'gone'), put(loop, 'here')];
  await clock.run(1000);
  gone.call.cancelled = true;
  await clock.run(1200);
  expect(proposals.size).toBe(1);
  lead();
  await clock.run(1201);
  expect(passedOn()).toEqual(['here']);
  const both = put(loop, 'at once');
  both.call.cancelled = true;
  await clock.run(1202);
  expect(passedOn()).toEqual(['here']);
  expect(here.answers).toEqual([]);
});

/** Member 3 leads in term 2: its first entry is here, and committed. */
function succeed(loop: NodeLoop): void {
  const entry = { index: 2, term: 2, type: 'noop', data: new Uint8Array(0) } as const;
  loop.step({
    type: 'AppendEntries',
    from: 3n,
    to: 1n,
    term: 2,
    prevLogIndex: 1,
    prevLogTerm: 1,
    entries: [entry],
    leaderCommit: 2,
  });
}

test('what was lost with a leader goes to the next one, once (R-30)', async () => {
  const clock = new SimClock();
  const { loop, lead, passedOn } = setUp(clock, { timeoutMs: 7000 });
  loop.start();
  lead();
  await clock.run(1);
  const [lost, gone] = [put(loop, 'lost'), put(loop, 'gone')];
  await clock.run(2);
  expect(passedOn()).toEqual(['lost', 'gone']);
  gone.call.cancelled = true;
  // The next leader is known, and what it is sent may be in its log already.
  const heartbeat = { type: 'Heartbeat', from: 3n, to: 1n, term: 2, commit: 1 } as const;
  loop.step({ ...heartbeat, readSequence: 0 });
  put(loop, 'in time');
  await clock.run(3);
  expect(passedOn()).toEqual(['lost', 'gone', 'in time']);
  succeed(loop);
  await clock.run(5);
  expect(passedOn()).toEqual(['lost', 'gone', 'in time', 'lost']);
  await clock.run(50);
  expect(passedOn()).toHaveLength(4);
  expect(lost.answers).toEqual([]);
});

test('but not what may be among entries that a snapshot took the place of', async () => {
  const clock = new SimClock();
  const { loop, lead, passedOn } = setUp(clock, { timeoutMs: 7000 });
  loop.start();
  lead();
  await clock.run(1);
  put(loop, 'perhaps');
  await clock.run(2);
  const { configuration } = initialRestore([1n, 2n, 3n]).snapshot;
  const snapshot = { index: 10, term: 2, configuration };
  loop.stepSnapshot({ type: 'InstallSnapshot', from: 3n, to: 1n, term: 2, snapshot });
  await clock.run(5);
  const entry = { index: 11, term: 3, type: 'noop', data: new Uint8Array(0) } as const;
  const append = { type: 'AppendEntries', from: 3n, to: 1n, term: 3, leaderCommit: 11 } as const;
  loop.step({ ...append, prevLogIndex: 10, prevLogTerm: 2, entries: [entry] });
  await clock.run(10);
  expect(loop.appliedIndex).toBe(11);
  expect(passedOn()).toEqual(['perhaps']);
});

test('the same behind a disk that is slower than the clients', async () => {
  const clock = new SimClock();
  let overloaded = true;
  const setup = { timeoutMs: 7000, overloaded: () => overloaded };
  const { loop, lead, passedOn } = setUp(clock, setup);
  loop.start();
  lead();
  const old = put(loop, 'old');
  await clock.run(6000);
  lead();
  put(loop, 'young');
  await clock.run(8000);
  expect(old.answers).toEqual(['TIMEOUT']);
  overloaded = false;
  await clock.run(8100);
  expect(passedOn()).toEqual(['young']);
});

test('what waits is bounded, in number and in bytes, and there is room again in time', async () => {
  const clock = new SimClock();
  const { loop, proposals } = setUp(clock, { timeoutMs: 7000 });
  loop.start();
  const small = Array.from({ length: proposalsWaitingMax + 10 }, () => put(loop, 'x'));
  const refused = small.filter(({ answers }) => answers[0] === 'TOO_MANY_REQUESTS');
  expect(refused).toHaveLength(10);
  await clock.run(7200);
  expect([proposals.size, proposals.bytes]).toEqual([0, 0]);
  const big = Buffer.alloc(1024 * 1024);
  const large = Array.from({ length: 200 }, () => put(loop, big));
  const taken = large.filter(({ answers }) => answers.length === 0);
  expect(taken.length).toBeLessThanOrEqual(proposalsWaitingBytesMax / big.length);
  expect(taken.length).toBeGreaterThan(100);
  const answers = new Set(large.flatMap((call) => call.answers));
  expect([...answers]).toEqual(['TOO_MANY_REQUESTS']);
  await clock.run(14_400);
  expect([proposals.size, proposals.bytes]).toEqual([0, 0]);
  expect(put(loop, 'x').answers).toEqual([]);
});

test('the bodies of calls that were answered are let go of', async () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const clock = new SimClock();
  const { loop } = setUp(clock, { timeoutMs: 7000 });
  loop.start();
  const bodies: WeakRef<Buffer>[] = [];
  for (let i = 0; i < 100; i += 1) {
    const data = newEntry(EntryKind.put, Buffer.alloc(100_000));
    bodies.push(new WeakRef(data));
    loop.propose(data, data.subarray(12), () => {}, undefined);
  }
  await clock.run(7200);
  // A weak reference holds until the end of the job that made it.
  await turn();
  collect();
  expect(bodies.filter((body) => body.deref() !== undefined).length).toBeLessThan(3);
});
