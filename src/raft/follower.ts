/**
 * The follower: does what the leader of its term says (paper 5.3, 7; figure 2, "Receiver
 * implementation").
 */

import { assert, type LogIndex } from '../common/index.js';
import { learnCommit, startTransferElection } from './candidate.js';
import { membersOf } from './config-change.js';
import type { RaftState } from './state.js';
import type { AppendEntries, Heartbeat, InstallSnapshot, Message, SnapshotMeta } from './types.js';

/**
 * This member once told the leader that its log reaches further than it does: the log was lost, or
 * is that of an old copy. It must not go on, for it has forgotten what it promised.
 */
export class LostLogError extends Error {
  override readonly name = 'LostLogError';
  readonly committed: LogIndex;
  readonly lastIndex: LogIndex;

  constructor(committed: LogIndex, lastIndex: LogIndex) {
    super(
      `index ${committed} is committed but the log ends at ${lastIndex}: was it lost or replaced?`,
    );
    this.committed = committed;
    this.lastIndex = lastIndex;
  }
}

/** Messages that only the leader of their term sends. */
export type LeaderMessage = AppendEntries | Heartbeat | InstallSnapshot;

export function isFromLeader(message: Message): message is LeaderMessage {
  return (
    message.type === 'AppendEntries' ||
    message.type === 'Heartbeat' ||
    message.type === 'InstallSnapshot'
  );
}

/** A message of the leader of this term. */
export function onLeaderMessage(state: RaftState, message: LeaderMessage): void {
  assert(
    state.leader === 0n || state.leader === message.from,
    `two leaders in term ${state.term}: ${state.leader} and ${message.from}`,
  );
  state.leader = message.from;
  state.electionElapsed = 0;
  switch (message.type) {
    case 'AppendEntries':
      onAppendEntries(state, message);
      return;
    case 'Heartbeat':
      onHeartbeat(state, message);
      return;
    case 'InstallSnapshot':
      onInstallSnapshot(state, message);
      return;
  }
}

/** Any other message of this term, at a follower. */
export function stepFollower(state: RaftState, message: Message): void {
  if (message.type === 'ReadIndexResponse') {
    state.readStates.push({ context: message.context, index: message.index });
  } else if (message.type === 'TimeoutNow') {
    startTransferElection(state);
  } else if (message.type === 'RequestVoteResponse') {
    // The campaign is over, but the refusal may say why it had to fail.
    learnCommit(state, message);
  }
  // The rest are answers to roles that this member no longer has.
}

function onAppendEntries(state: RaftState, message: AppendEntries): void {
  const { log } = state;
  const { prevLogIndex, prevLogTerm, entries, leaderCommit, isNotice } = message;
  if (prevLogIndex < log.commitIndex) {
    // Old news: all up to the commit index is known to match.
    if (isNotice !== true) accept(state, message, log.commitIndex);
    return;
  }
  if (log.term(prevLogIndex) !== prevLogTerm) {
    reject(state, message);
    return;
  }
  const verified = log.merge(prevLogIndex, entries);
  // Not the end of our own log: what lies beyond this message may be about to be overwritten.
  log.commitTo(Math.min(leaderCommit, verified));
  if (isNotice !== true) accept(state, message, verified);
}

/** Sent once it is durable: the leader will count on it. */
function accept(state: RaftState, message: LeaderMessage, index: LogIndex): void {
  state.send({
    type: 'AppendEntriesResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    success: true,
    index,
    hintIndex: 0,
    hintTerm: 0,
  });
}

/** Names the largest index where the logs may agree, so that whole terms are skipped (5.3). */
function reject(state: RaftState, message: AppendEntries): void {
  const { log } = state;
  const { prevLogIndex, prevLogTerm } = message;
  const hintIndex = log.lastWithTermUpTo(Math.min(prevLogIndex, log.lastIndex), prevLogTerm);
  state.send({
    type: 'AppendEntriesResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    success: false,
    index: prevLogIndex,
    hintIndex,
    hintTerm: Math.max(0, log.term(hintIndex)),
  });
}

function onHeartbeat(state: RaftState, message: Heartbeat): void {
  // At most what we told this leader to be durable here; if the log is shorter now, it was lost.
  const { lastIndex } = state.log;
  if (message.commit > lastIndex) throw new LostLogError(message.commit, lastIndex);
  state.log.commitTo(message.commit);
  const { clockMs = 0, readSequence } = message;
  // One that was overtaken by a later one tells less.
  if (clockMs > state.leaderClockMs) state.leaderClockMs = clockMs;
  const type = 'HeartbeatResponse';
  state.send({ type, from: state.id, to: message.from, term: state.term, readSequence });
}

/**
 * The data has arrived with the message, or the driver gets it before it installs what the next
 * Ready says. A snapshot that holds nothing new is answered with what we have.
 */
function onInstallSnapshot(state: RaftState, message: InstallSnapshot): void {
  const { log } = state;
  const { snapshot } = message;
  if (snapshot.index <= log.commitIndex) {
    accept(state, message, log.commitIndex);
    return;
  }
  if (log.term(snapshot.index) === snapshot.term) {
    // We have all of it as entries (paper 7: "retain log entries following it").
    log.commitTo(snapshot.index);
    accept(state, message, log.commitIndex);
    return;
  }
  if (!isNewSnapshot(state, snapshot)) return;
  log.restore(snapshot);
  state.trace?.applyConfChange(snapshot.configuration);
  state.stages.snapshotArrived(snapshot.configuration);
  accept(state, message, log.lastIndex);
}

/** Holds what is not in the log, and is meant for us: one in which we are no member is not. */
export function isNewSnapshot(state: RaftState, snapshot: SnapshotMeta): boolean {
  const { log, id } = state;
  if (snapshot.index <= log.commitIndex || log.term(snapshot.index) === snapshot.term) return false;
  return membersOf(snapshot.configuration).includes(id);
}

/**
 * An append or heartbeat of an earlier term. Normally nobody answers those, but with pre-vote or
 * check-quorum a member whose term is ahead can't make the leader step down by campaigning: its
 * requests are ignored. This answer carries the term and ends the deadlock.
 */
export function answerOldLeader(state: RaftState, message: LeaderMessage): void {
  if (!state.options.checkQuorum && !state.options.preVote) return;
  state.send({
    type: 'AppendEntriesResponse',
    from: state.id,
    to: message.from,
    term: state.term,
    success: false,
    index: 0,
    hintIndex: 0,
    hintTerm: 0,
  });
}
