/**
 * What a member tells about itself, event by event, so that a specification written by others can
 * judge it: the events of etcd-io/raft's `state_trace.go`, under its names, in this folder's types.
 * state-trace.ts says when each is told, trace-json.ts how it is written.
 */

import type { LogIndex, MemberId, Term } from '../common/index.js';
import type { ConfigChange, Configuration, Message, Role } from './types.js';

/**
 * Two more names exist in the format and are never used there either: a snapshot is sent and
 * received as an AppendEntries request of another message type.
 */
export type TraceEventName =
  | 'InitState'
  | 'BecomeCandidate'
  | 'BecomeFollower'
  | 'BecomeLeader'
  | 'Commit'
  | 'Replicate'
  | 'ChangeConf'
  | 'ApplyConfChange'
  | 'Ready'
  | 'SendAppendEntriesRequest'
  | 'ReceiveAppendEntriesRequest'
  | 'SendAppendEntriesResponse'
  | 'ReceiveAppendEntriesResponse'
  | 'SendRequestVoteRequest'
  | 'ReceiveRequestVoteRequest'
  | 'SendRequestVoteResponse'
  | 'ReceiveRequestVoteResponse';

/** One event, and the state of the member that it left, or for a Receive that it found. */
export interface TraceEvent {
  readonly name: TraceEventName;
  readonly member: MemberId;
  readonly term: Term;
  /** 0n: none. */
  readonly vote: MemberId;
  readonly commit: LogIndex;
  readonly role: Exclude<Role, 'preCandidate'>;
  readonly lastIndex: LogIndex;
  /** In force. */
  readonly configuration: Configuration;
  /** Of Send and Receive events. A message to itself stands for its own vote or append. */
  readonly message?: Message;
  /** ChangeConf: what was proposed. */
  readonly change?: ConfigChange;
  /** ApplyConfChange: what takes the place of `configuration`. */
  readonly next?: Configuration;
  /** SendAppendEntriesRequest with entries or none: what is durable in the leader's own log. */
  readonly matchIndex?: LogIndex;
}

/** Takes what a member tells about itself. */
export interface StateTracer {
  /** `event` never changes. Must not call back into Raft. */
  trace(event: TraceEvent): void;
}
