/**
 * When a member tells what it does: see trace-event.ts. Made only if somebody wants to know; the
 * places that are passed often ask for that themselves.
 *
 * Etcd's raft treats a member's own vote and its own appends as messages to itself, which arrive
 * when they are durable. Here they are counted directly (thesis 10.2.1), at the same two moments,
 * so they are told in the same way: a Send when the vote is given or the entries are handed out to
 * be written, a Receive when that is durable.
 *
 * Pre-votes are not told, as in etcd, for they change nothing that Raft's safety rests on. Here
 * that is so to the end, lest a specification that knows none sees a role that it has not: a
 * pre-candidate is told as the follower that it still is. A message that is ignored as if it had
 * been lost (thesis 4.2.3) is not told as received.
 */

import type { LogIndex, MemberId, Term } from '../common/index.js';
import { decodeConfigChange } from './config-change-codec.js';
import type { RaftLog } from './log.js';
import type { StateTracer, TraceEvent, TraceEventName } from './trace-event.js';
import type {
  AppendEntriesResponse,
  Configuration,
  EntryType,
  Message,
  RequestVoteResponse,
  Role,
} from './types.js';

/** What a trace looks at. */
export interface TracedState {
  readonly id: MemberId;
  readonly role: Role;
  readonly term: Term;
  readonly vote: MemberId;
  readonly log: RaftLog;
  readonly configuration: Configuration;
}

type More = Pick<TraceEvent, 'message' | 'change' | 'next' | 'matchIndex'>;

const nothingMore: More = {};

export class StateTrace {
  readonly #tracer: StateTracer;
  readonly #state: TracedState;
  /** Own appends that are being written, by the sequence of their Ready. */
  readonly #ownAppends: { readonly sequence: number; readonly message: Message }[] = [];

  constructor(tracer: StateTracer, state: TracedState) {
    this.#tracer = tracer;
    this.#state = state;
  }

  /** Started, with what was on stable storage. */
  initState(): void {
    this.#tell('InitState');
  }

  /** `before`: the role that ended. */
  becomeFollower(before: Role, isLaterTerm: boolean): void {
    if (isLaterTerm || before !== 'preCandidate') this.#tell('BecomeFollower');
  }

  /** `before`: the role that ended. */
  becomePreCandidate(before: Role): void {
    if (before === 'candidate') this.#tell('BecomeFollower');
  }

  becomeCandidate(): void {
    this.#tell('BecomeCandidate');
  }

  becomeLeader(): void {
    this.#tell('BecomeLeader');
  }

  /** The leader looked how far a quorum is, whether or not the commit index moved. */
  commit(): void {
    this.#tell('Commit');
  }

  /** The leader is about to append one entry. */
  append(type: EntryType, data: Uint8Array): void {
    if (type !== 'configChange') {
      this.#tell('Replicate');
      return;
    }
    const change = decodeConfigChange(data);
    // Leaving a joint configuration is no event of this format.
    if (change.steps.length > 0) this.#tell('ChangeConf', { change });
  }

  /** `next` is about to be in force. */
  applyConfChange(next: Configuration): void {
    this.#tell('ApplyConfChange', { next });
  }

  /** A message was queued. */
  send(message: Message): void {
    switch (message.type) {
      case 'AppendEntries':
        this.#tell('SendAppendEntriesRequest', {
          message,
          matchIndex: this.#state.log.writes.persistedIndex,
        });
        return;
      case 'Heartbeat':
      case 'InstallSnapshot':
        this.#tell('SendAppendEntriesRequest', { message });
        return;
      case 'AppendEntriesResponse':
      case 'HeartbeatResponse':
        this.#tell('SendAppendEntriesResponse', { message });
        return;
      case 'RequestVote':
        if (!message.preVote) this.#tell('SendRequestVoteRequest', { message });
        return;
      case 'RequestVoteResponse':
        if (!message.preVote) this.#tell('SendRequestVoteResponse', { message });
        return;
      default:
      // Reads, transfers and forwarded proposals are no part of the format.
    }
  }

  /** A message is about to be acted on. */
  receive(message: Message): void {
    switch (message.type) {
      case 'AppendEntries':
      case 'Heartbeat':
      case 'InstallSnapshot':
        this.#tell('ReceiveAppendEntriesRequest', { message });
        return;
      case 'AppendEntriesResponse':
      case 'HeartbeatResponse':
        this.#tell('ReceiveAppendEntriesResponse', { message });
        return;
      case 'RequestVote':
        if (!message.preVote) this.#tell('ReceiveRequestVoteRequest', { message });
        return;
      case 'RequestVoteResponse':
        if (!message.preVote) this.#tell('ReceiveRequestVoteResponse', { message });
        return;
      default:
    }
  }

  /** A candidate votes for itself. */
  ownVote(): void {
    this.#tell('SendRequestVoteResponse', { message: this.#ownVote() });
  }

  /** The candidate's own vote counts. */
  ownVoteDurable(): void {
    this.#tell('ReceiveRequestVoteResponse', { message: this.#ownVote() });
  }

  /** A Ready was handed out. */
  ready(sequence: number, hasEntries: boolean): void {
    if (hasEntries && this.#state.role === 'leader') {
      const message = this.#ownAppend();
      this.#ownAppends.push({ sequence, message });
      this.#tell('SendAppendEntriesResponse', { message });
    }
    this.#tell('Ready');
  }

  /** The Ready `sequence` and all before it are durable. */
  persisted(sequence: number): void {
    for (;;) {
      const oldest = this.#ownAppends[0];
      if (oldest === undefined || oldest.sequence > sequence) return;
      this.#ownAppends.shift();
      // It may have lost its leadership, and with it what it was writing.
      if (oldest.message.term !== this.#state.term) continue;
      this.#tell('ReceiveAppendEntriesResponse', { message: oldest.message });
    }
  }

  #ownVote(): RequestVoteResponse {
    const { id, term, log } = this.#state;
    const { commitIndex: commit } = log;
    return {
      type: 'RequestVoteResponse',
      from: id,
      to: id,
      term,
      preVote: false,
      granted: true,
      commit,
      commitTerm: log.term(commit),
    };
  }

  #ownAppend(): AppendEntriesResponse {
    const { id, term, log } = this.#state;
    const index: LogIndex = log.lastIndex;
    return {
      type: 'AppendEntriesResponse',
      from: id,
      to: id,
      term,
      success: true,
      index,
      hintIndex: 0,
      hintTerm: 0,
    };
  }

  #tell(name: TraceEventName, more = nothingMore): void {
    const { id: member, term, vote, log, configuration } = this.#state;
    const role = this.#state.role === 'preCandidate' ? 'follower' : this.#state.role;
    const { commitIndex: commit, lastIndex } = log;
    this.#tracer.trace({
      name,
      member,
      term,
      vote,
      commit,
      role,
      lastIndex,
      configuration,
      ...more,
    });
  }
}
