/**
 * The trace of Raft: the format of each event, byte by byte, and that a cluster's trace fits
 * together. The expected lines have the fields, types and order of etcd-io/raft's state_trace.go.
 */

import { describe, expect, test } from 'vitest';
import {
  encodeTraceEvent,
  joiningRestore,
  type Message,
  type TraceEvent,
  TraceLines,
} from '../../src/raft/index.js';
import { addLearner, addVoter, change, remove, TestCluster } from './support/cluster.js';
import { incoherences, parseTrace } from './support/trace-check.js';

/** A cluster whose members write one trace. */
function traced(voters: number, options: { readonly preVote?: boolean } = {}) {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const tracer = new TraceLines(() => 1_893_456_000_000, write);
  const cluster = new TestCluster(voters, { tracer, ...options });
  return { cluster, lines };
}

const event: TraceEvent = {
  name: 'Ready',
  member: 0xffff_ffff_ffff_fffen,
  term: 7,
  vote: 2n,
  commit: 5,
  role: 'leader',
  lastIndex: 9,
  configuration: {
    voters: [1n, 2n],
    votersOutgoing: [3n],
    learners: [4n],
    learnersNext: [],
    autoLeave: false,
  },
};

const front =
  '"nid":"18446744073709551614","state":{"term":7,"vote":"2","commit":5},' +
  '"role":"StateLeader","log":9,"conf":[["1","2"],["3"]]';

const envelope = { from: 1n, to: 2n, term: 7 } as const;
const noop = { index: 5, term: 7, type: 'noop', data: new Uint8Array(0) } as const;

function msg(type: string, fields: Readonly<Record<string, unknown>>): string {
  const all = { entries: 0, logTerm: 0, index: 0, commit: 0, vote: '0', reject: false };
  const order = { type, term: 7, from: '1', to: '2', ...all, rejectHint: 0, ...fields };
  return JSON.stringify(order);
}

describe('an event', () => {
  test('has the state that it left', () => {
    expect(encodeTraceEvent(event)).toBe(`{"name":"Ready",${front}}`);
    const follower = { ...event, role: 'follower', vote: 0n } as const;
    expect(encodeTraceEvent(follower)).toContain('"vote":"0","commit":5},"role":"StateFollower"');
    const candidate = { ...event, role: 'candidate' } as const;
    expect(encodeTraceEvent(candidate)).toContain('"role":"StateCandidate"');
  });

  const messages: ReadonlyArray<readonly [Message, string]> = [
    [
      {
        ...envelope,
        type: 'AppendEntries',
        prevLogIndex: 4,
        prevLogTerm: 6,
        entries: [noop],
        leaderCommit: 4,
      },
      msg('MsgApp', { entries: 1, logTerm: 6, index: 4, commit: 4 }),
    ],
    [
      {
        ...envelope,
        type: 'AppendEntries',
        prevLogIndex: 4,
        prevLogTerm: 6,
        entries: [noop],
        leaderCommit: 9,
      },
      // No more than it brings.
      msg('MsgApp', { entries: 1, logTerm: 6, index: 4, commit: 5 }),
    ],
    [
      {
        ...envelope,
        type: 'AppendEntriesResponse',
        success: true,
        index: 5,
        hintIndex: 0,
        hintTerm: 0,
      },
      msg('MsgAppResp', { index: 5 }),
    ],
    [
      {
        ...envelope,
        type: 'AppendEntriesResponse',
        success: false,
        index: 8,
        hintIndex: 3,
        hintTerm: 2,
      },
      msg('MsgAppResp', { logTerm: 2, index: 8, reject: true, rejectHint: 3 }),
    ],
    [
      { ...envelope, type: 'Heartbeat', commit: 3, readSequence: 9, clockMs: 5 },
      msg('MsgHeartbeat', { commit: 3 }),
    ],
    [{ ...envelope, type: 'HeartbeatResponse', readSequence: 9 }, msg('MsgHeartbeatResp', {})],
    [
      {
        ...envelope,
        type: 'InstallSnapshot',
        snapshot: { index: 6, term: 3, configuration: event.configuration },
      },
      msg('MsgSnap', { entries: 6 }),
    ],
    [
      {
        ...envelope,
        type: 'RequestVote',
        lastLogIndex: 9,
        lastLogTerm: 6,
        preVote: false,
        transfer: false,
        commit: 5,
        commitTerm: 6,
      },
      msg('MsgVote', { logTerm: 6, index: 9, commit: 5 }),
    ],
    [
      {
        ...envelope,
        type: 'RequestVoteResponse',
        preVote: false,
        granted: false,
        commit: 5,
        commitTerm: 6,
      },
      msg('MsgVoteResp', { commit: 5, reject: true }),
    ],
  ];

  test.each(messages)('has the fields of etcd’s message: $type', (message, expected) => {
    const name = 'ReceiveAppendEntriesRequest';
    expect(encodeTraceEvent({ ...event, name, message })).toBe(
      `{"name":"${name}",${front},"msg":${expected}}`,
    );
  });

  test('of an append that is sent tells the progress of the leader’s own log', () => {
    const [message] = messages[0] ?? [];
    const json = encodeTraceEvent({
      ...event,
      name: 'SendAppendEntriesRequest',
      message: message as Message,
      matchIndex: 8,
    });
    expect(json.endsWith(',"rejectHint":0},"prop":{"match":8,"next":9}}')).toBe(true);
  });

  test('of a change of the configuration tells its steps, or the voters after it', () => {
    const steps = [
      { type: 'addVoter', member: 5n },
      { type: 'addLearner', member: 6n },
      { type: 'remove', member: 1n },
    ] as const;
    const proposed = { steps, transition: 'auto', context: new Uint8Array(0) } as const;
    expect(encodeTraceEvent({ ...event, name: 'ChangeConf', change: proposed })).toBe(
      `{"name":"ChangeConf",${front},"prop":{"cc":{"changes":[` +
        '{"nid":"5","action":"AddNewServer"},{"nid":"6","action":"AddLearner"},' +
        '{"nid":"1","action":"RemoveServer"}]}}}',
    );
    const next = event.configuration;
    expect(encodeTraceEvent({ ...event, name: 'ApplyConfChange', next })).toBe(
      `{"name":"ApplyConfChange",${front},"prop":{"cc":{"newconf":["1","2"]}}}`,
    );
    const nobody = { ...next, voters: [] };
    expect(encodeTraceEvent({ ...event, name: 'ApplyConfChange', next: nobody })).toBe(
      `{"name":"ApplyConfChange",${front},"prop":{"cc":{}}}`,
    );
  });
});

test('lines have times that sort as text, one after the other', () => {
  const lines: string[] = [];
  const times = [1_893_456_000_000.25, 1_893_456_000_000, 1_893_456_000_999.5, 1_893_456_001_000];
  const tracer = new TraceLines(
    () => times.shift() ?? 0,
    (line) => void lines.push(line),
  );
  for (let i = 0; i < 5; i += 1) tracer.trace(event);
  expect(lines.map((line) => /"ts":([^,]*),/.exec(line)?.[1])).toEqual([
    '1893456000.000250',
    '1893456000.000251',
    '1893456000.999500',
    '1893456001.000000',
    '1893456001.000001',
  ]);
  for (const line of lines) expect(line.endsWith('}}\n')).toBe(true);
});

describe('the trace of a cluster', () => {
  test('tells an election and an entry in the order in which they happen', () => {
    const { cluster, lines } = traced(3);
    cluster.isolate(3n);
    cluster.elect(1n);
    const told = parseTrace(lines).map(({ name, nid, msg: message }) => {
      const { from, to, type } = message ?? {};
      return message === undefined ? `${nid} ${name}` : `${nid} ${name} ${type} ${from}>${to}`;
    });
    expect(told).toEqual([
      '1 InitState',
      '2 InitState',
      '3 InitState',
      '1 BecomeCandidate',
      '1 SendRequestVoteResponse MsgVoteResp 1>1',
      '1 SendRequestVoteRequest MsgVote 1>2',
      '1 SendRequestVoteRequest MsgVote 1>3',
      '1 Ready',
      '1 ReceiveRequestVoteResponse MsgVoteResp 1>1',
      '2 ReceiveRequestVoteRequest MsgVote 1>2',
      '2 BecomeFollower',
      '2 SendRequestVoteResponse MsgVoteResp 2>1',
      '2 Ready',
      '1 ReceiveRequestVoteResponse MsgVoteResp 2>1',
      '1 BecomeLeader',
      '1 Replicate',
      '1 SendAppendEntriesRequest MsgApp 1>2',
      '1 SendAppendEntriesRequest MsgApp 1>3',
      '1 SendAppendEntriesResponse MsgAppResp 1>1',
      '1 Ready',
      '1 ReceiveAppendEntriesResponse MsgAppResp 1>1',
      '1 Commit',
      '2 ReceiveAppendEntriesRequest MsgApp 1>2',
      '2 SendAppendEntriesResponse MsgAppResp 2>1',
      '2 Ready',
      '1 ReceiveAppendEntriesResponse MsgAppResp 2>1',
      '1 Commit',
      '1 SendAppendEntriesRequest MsgApp 1>2',
      '1 Ready',
      '1 Commit',
      '2 ReceiveAppendEntriesRequest MsgApp 1>2',
      '2 Ready',
    ]);
  });

  test('fits together, and has every event of the format', () => {
    const { cluster, lines } = traced(3);
    live(cluster);
    const events = parseTrace(lines);
    expect(incoherences(events)).toEqual([]);
    const names = [...new Set(events.map(({ name }) => name))].sort();
    expect(names).toEqual([
      'ApplyConfChange',
      'BecomeCandidate',
      'BecomeFollower',
      'BecomeLeader',
      'ChangeConf',
      'Commit',
      'InitState',
      'Ready',
      'ReceiveAppendEntriesRequest',
      'ReceiveAppendEntriesResponse',
      'ReceiveRequestVoteRequest',
      'ReceiveRequestVoteResponse',
      'Replicate',
      'SendAppendEntriesRequest',
      'SendAppendEntriesResponse',
      'SendRequestVoteRequest',
      'SendRequestVoteResponse',
    ]);
    const types = new Set(events.flatMap(({ msg: message }) => message?.type ?? []));
    expect([...types].sort()).toEqual([
      'MsgApp',
      'MsgAppResp',
      'MsgHeartbeat',
      'MsgHeartbeatResp',
      'MsgSnap',
      'MsgVote',
      'MsgVoteResp',
    ]);
  });

  test('knows no pre-vote, and fits together with it', () => {
    const { cluster, lines } = traced(3, { preVote: true });
    live(cluster);
    // Nobody hears it: a pre-candidate again and again, and then a follower.
    cluster.isolate(2n);
    cluster.tick(50);
    cluster.heal();
    cluster.tick(50);
    expect(incoherences(parseTrace(lines))).toEqual([]);
  });

  test('of a member that waits for its disk counts what is durable', () => {
    const { cluster, lines } = traced(3);
    cluster.elect(1n);
    cluster.node(1n).stalledDisk = true;
    cluster.raft(1n).propose([new Uint8Array(1)]);
    cluster.deliver();
    const own = (name: string): number =>
      parseTrace(lines).filter((one) => one.name === name && one.msg?.from === one.msg?.to).length;
    const before = own('ReceiveAppendEntriesResponse');
    expect(own('SendAppendEntriesResponse')).toBe(before + 1);
    cluster.inbox.push(...cluster.node(1n).flush());
    cluster.deliver();
    expect(own('ReceiveAppendEntriesResponse')).toBe(before + 1);
    expect(incoherences(parseTrace(lines))).toEqual([]);
  });

  test('costs nothing of what happens', () => {
    const plain = new TestCluster(3);
    live(plain);
    const { cluster } = traced(3);
    live(cluster);
    for (const id of [1n, 2n, 3n]) {
      expect(cluster.raft(id).status()).toEqual(plain.raft(id).status());
    }
  });
});

/** Elections, entries, a conflict, a restart, a snapshot, and changes of the members. */
function live(cluster: TestCluster): void {
  cluster.elect(1n);
  cluster.propose(1n, 'a', 'b');
  cluster.tick();
  cluster.isolate(1n);
  cluster.propose(1n, 'lost');
  cluster.elect(2n);
  cluster.propose(2n, 'c');
  cluster.heal();
  cluster.tick(2);
  cluster.change(2n, change([remove(3n)]));
  cluster.change(2n, change([addLearner(3n)]));
  cluster.change(2n, change([addVoter(3n)]));
  cluster.add(4n, joiningRestore());
  cluster.change(2n, change([addVoter(4n)]));
  cluster.tick(2);
  cluster.node(3n).restart();
  cluster.tick(2);
  cluster.raft(2n).transferLeadership(3n);
  cluster.deliver();
  cluster.propose(3n, 'd');
}

describe('the check of a trace', () => {
  const { cluster, lines } = traced(3);
  live(cluster);

  test.each([
    ['a field is missing', /"vote":"0",("reject")/, '$1', 'no '],
    ['an id is a number', /"nid":"(\d)"/, '"nid":$1', 'no InitState'],
    ['the order of fields is another', /("role":"[^"]*"),("log":\d+)/, '$2,$1', 'no InitState'],
    ['a time is short', /\.000\d{3},/, '.0,', 'no line'],
  ])('sees that %s', (_what, find, replace, why) => {
    const wrong = lines.map((line) => line.replace(find, replace));
    expect(() => parseTrace(wrong)).toThrow(why);
  });

  test.each([
    ['a message was never sent', 'SendAppendEntriesRequest', 'nobody has sent'],
    ['a vote was never asked for', 'SendRequestVoteRequest', 'nobody has sent'],
    ['an entry came from nowhere', 'Replicate', 'were told'],
    [
      'a member leads without an election',
      'BecomeCandidate',
      'is StateCandidate after StateFollower',
    ],
    ['a member began to follow', 'BecomeFollower', 'a new term'],
    ['a member never started', 'InitState', 'before its start'],
  ])('sees that %s', (_what, name, why) => {
    const events = parseTrace(lines);
    const at = events.findIndex((one) => one.name === name);
    expect(incoherences(events.toSpliced(at, 1)).join('\n')).toContain(why);
  });
});
