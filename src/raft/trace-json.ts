/**
 * The bytes of a trace, in the words of etcd: one JSON object a line, with the fields, types and
 * order that etcd-io/raft's `state_trace.go` has behind a zap logger, so that `tla/validate.sh`
 * there can judge it (docs/simulation.md). 64-bit ids are decimal strings.
 *
 *   level, ts, msg, tag = "trace", event:
 *     name, nid, state { term, vote, commit }, role, log, conf [[incoming], [outgoing]],
 *     msg? { type, term, from, to, entries, logTerm, index, commit, vote, reject, rejectHint },
 *     prop? { cc? { changes? [{ nid, action }], newconf? [id] }, match?, next? }
 */

import type { LogIndex, MemberId, Term } from '../common/index.js';
import type { StateTracer, TraceEvent } from './trace-event.js';
import type { ConfigChangeStep, Message } from './types.js';

const roles: Readonly<Record<TraceEvent['role'], string>> = {
  follower: 'StateFollower',
  candidate: 'StateCandidate',
  leader: 'StateLeader',
};

const actions: Readonly<Record<ConfigChangeStep['type'], string>> = {
  addVoter: 'AddNewServer',
  addLearner: 'AddLearner',
  remove: 'RemoveServer',
};

/** The `event` of a line, as JSON. */
export function encodeTraceEvent(event: TraceEvent): string {
  const { name, member, term, vote, commit, role, lastIndex, configuration, message } = event;
  const { voters, votersOutgoing } = configuration;
  const state = `{"term":${term},"vote":"${vote}","commit":${commit}}`;
  const conf = `[${ids(voters)},${ids(votersOutgoing)}]`;
  const head =
    `{"name":"${name}","nid":"${member}","state":${state},` +
    `"role":"${roles[role]}","log":${lastIndex},"conf":${conf}`;
  const msg = message === undefined ? '' : `,"msg":${encodeMessage(message)}`;
  const properties = encodeProperties(event);
  return `${head}${msg}${properties === '' ? '' : `,"prop":{${properties}}`}}`;
}

function ids(members: readonly MemberId[]): string {
  return `[${members.map((member) => `"${member}"`).join()}]`;
}

function encodeProperties({ change, next, matchIndex }: TraceEvent): string {
  if (change !== undefined) {
    const steps = change.steps.map(
      ({ type, member }) => `{"nid":"${member}","action":"${actions[type]}"}`,
    );
    return `"cc":{"changes":[${steps.join()}]}`;
  }
  if (next !== undefined) {
    return next.voters.length === 0 ? '"cc":{}' : `"cc":{"newconf":${ids(next.voters)}}`;
  }
  return matchIndex === undefined ? '' : `"match":${matchIndex},"next":${matchIndex + 1}`;
}

/** What etcd's messages have in their one set of fields; all but type and term may be 0. */
interface Fields {
  readonly type: string;
  readonly entries?: number;
  readonly logTerm?: Term;
  readonly index?: LogIndex;
  readonly commit?: LogIndex;
  readonly reject?: boolean;
  readonly rejectHint?: LogIndex;
}

function encodeMessage(message: Message): string {
  const fields = fieldsOf(message);
  const { type, entries = 0, logTerm = 0, index = 0, commit = 0 } = fields;
  const { reject = false, rejectHint = 0 } = fields;
  const { term, from, to } = message;
  return (
    `{"type":"${type}","term":${term},"from":"${from}","to":"${to}","entries":${entries},` +
    `"logTerm":${logTerm},"index":${index},"commit":${commit},"vote":"0",` +
    `"reject":${reject},"rejectHint":${rejectHint}}`
  );
}

function fieldsOf(message: Message): Fields {
  switch (message.type) {
    case 'AppendEntries': {
      const { entries, prevLogTerm: logTerm, prevLogIndex: index, leaderCommit } = message;
      // What it can commit at a follower, as the specification has it; etcd tells `leaderCommit`.
      const commit = Math.min(leaderCommit, index + entries.length);
      return { type: 'MsgApp', entries: entries.length, logTerm, index, commit };
    }
    case 'AppendEntriesResponse': {
      const { success, index, hintIndex: rejectHint, hintTerm: logTerm } = message;
      return { type: 'MsgAppResp', logTerm, index, reject: !success, rejectHint };
    }
    case 'Heartbeat':
      return { type: 'MsgHeartbeat', commit: message.commit };
    case 'InstallSnapshot':
      // The log up to there, as if it were sent as entries.
      return { type: 'MsgSnap', entries: message.snapshot.index };
    case 'RequestVote': {
      const { lastLogTerm: logTerm, lastLogIndex: index, commit } = message;
      return { type: 'MsgVote', logTerm, index, commit };
    }
    case 'RequestVoteResponse':
      return { type: 'MsgVoteResp', commit: message.commit, reject: !message.granted };
    case 'HeartbeatResponse':
      return { type: 'MsgHeartbeatResp' };
    default:
      return { type: message.type };
  }
}

/**
 * Writes events as lines, of one member or of several in the order in which they happened. Those
 * who read traces sort the lines by `ts`, as text: so no two have the same, and all are equally
 * wide.
 */
export class TraceLines implements StateTracer {
  readonly #nowMs: () => number;
  readonly #write: (line: string) => void;
  #lastMicros = 0;

  /** `nowMs`: milliseconds since 1970, with fractions. `write` gets one line, with its end. */
  constructor(nowMs: () => number, write: (line: string) => void) {
    this.#nowMs = nowMs;
    this.#write = write;
  }

  trace(event: TraceEvent): void {
    const micros = Math.max(Math.floor(this.#nowMs() * 1000), this.#lastMicros + 1);
    this.#lastMicros = micros;
    const seconds = Math.floor(micros / 1e6);
    const ts = `${seconds}.${String(micros % 1e6).padStart(6, '0')}`;
    const head = `{"level":"debug","ts":${ts},"msg":"trace","tag":"trace"`;
    this.#write(`${head},"event":${encodeTraceEvent(event)}}\n`);
  }
}
