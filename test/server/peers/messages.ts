/** Arbitrary Raft messages for property tests. */

import fc from 'fast-check';
import { safeIntegerMax } from '../../../src/common/index.js';
import type { AppendEntries, Entry, EntryType, Message } from '../../../src/raft/index.js';

export const member = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
const number = fc.oneof(
  fc.integer({ min: 0, max: 10 }),
  fc.integer({ min: 0, max: safeIntegerMax }),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, safeIntegerMax),
);
const entryType = fc.constantFrom<EntryType>('normal', 'configChange', 'noop');
const data = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.integer({ min: 0, max: 1000 }).map((length) => Buffer.alloc(length, 0xa5)),
);
const envelope = { from: member, to: member, term: number };

/** `AppendEntries` as a leader would send: indexes in a row, terms that do not fall. */
const append: fc.Arbitrary<AppendEntries> = fc
  .record({
    ...envelope,
    prevLogIndex: fc.integer({ min: 0, max: safeIntegerMax - 100 }),
    terms: fc.tuple(number, number, number).map((terms) => terms.toSorted((a, b) => a - b)),
    leaderCommit: number,
    entries: fc.array(fc.record({ type: entryType, data, late: fc.boolean() }), { maxLength: 30 }),
    quiet: fc.boolean(),
  })
  .map(({ from, to, prevLogIndex, terms, leaderCommit, entries, quiet }) => {
    const [first = 0, second = 0, term = 0] = terms;
    let last = first;
    const log: Entry[] = entries.map(({ type, data: bytes, late }, i) => {
      if (late) last = second;
      return { index: prevLogIndex + 1 + i, term: last, type, data: Buffer.from(bytes) };
    });
    const type = 'AppendEntries';
    const head = { type, from, to, term, prevLogIndex, prevLogTerm: first } as const;
    const notice = quiet && log.length === 0 ? { isNotice: true as const } : {};
    return { ...head, entries: log, leaderCommit, ...notice };
  });

const members = fc.array(member, { maxLength: 7 });
const simple = <T extends Message['type']>(type: T) => ({ type: fc.constant(type), ...envelope });

export const anyMessage: fc.Arbitrary<Message> = fc.oneof(
  append,
  fc.record({
    ...simple('AppendEntriesResponse'),
    success: fc.boolean(),
    index: number,
    hintIndex: number,
    hintTerm: number,
  }),
  fc.record({ ...simple('Heartbeat'), commit: number, readSequence: number }),
  fc.record({ ...simple('Heartbeat'), commit: number, readSequence: number, clockMs: number }),
  fc.record({ ...simple('HeartbeatResponse'), readSequence: number }),
  fc.record({
    ...simple('RequestVote'),
    lastLogIndex: number,
    lastLogTerm: number,
    commit: number,
    commitTerm: number,
    preVote: fc.boolean(),
    transfer: fc.boolean(),
  }),
  fc.record({
    ...simple('RequestVoteResponse'),
    commit: number,
    commitTerm: number,
    preVote: fc.boolean(),
    granted: fc.boolean(),
  }),
  fc
    .record({
      ...simple('InstallSnapshot'),
      index: number,
      snapshotTerm: number,
      voters: members,
      votersOutgoing: members,
      learners: members,
      learnersNext: members,
      autoLeave: fc.boolean(),
    })
    .map(({ type, from, to, term, index, snapshotTerm, ...configuration }) => ({
      type,
      from,
      to,
      term: Math.max(term, snapshotTerm),
      snapshot: { index, term: Math.min(term, snapshotTerm), configuration },
    })),
  fc.record({ ...simple('ReadIndexRequest'), context: number }),
  fc.record({ ...simple('ReadIndexResponse'), context: number, index: number }),
  fc.record({ ...simple('TimeoutNow') }),
  fc.record({
    ...simple('ForwardProposal'),
    clockMs: number,
    entries: fc.array(fc.record({ type: entryType, data: data.map((b) => Buffer.from(b)) })),
  }),
  fc.record({
    ...simple('ForwardProposal'),
    entries: fc.array(fc.record({ type: entryType, data: data.map((b) => Buffer.from(b)) })),
  }),
);

/** A heartbeat: the shortest that says which one it is. */
export function heartbeat(from: bigint, to: bigint, readSequence: number): Message {
  return { type: 'Heartbeat', from, to, term: 3, commit: 5, readSequence };
}

/** `count` entries of `bytes` each after `prevLogIndex`. */
export function appendOf(
  from: bigint,
  to: bigint,
  prevLogIndex: number,
  count: number,
  bytes: number,
): AppendEntries {
  const entries = Array.from({ length: count }, (_, i) => ({
    index: prevLogIndex + 1 + i,
    term: 3,
    type: 'normal' as const,
    data: Buffer.alloc(bytes, i),
  }));
  const type = 'AppendEntries';
  return { type, from, to, term: 3, prevLogIndex, prevLogTerm: 3, entries, leaderCommit: 1 };
}
