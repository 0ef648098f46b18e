/**
 * What a leader sends: entries, commit index, snapshots, heartbeats (paper 5.3, 7; thesis 10.2.1).
 *
 * Events only mark that something may be due (`leadership.sendDue`); the messages are made once
 * per Ready. So everything proposed or acknowledged in one turn of the driver goes out in one
 * message per follower.
 */

import type { MemberId } from '../common/index.js';
import { votersOf } from './config-change.js';
import { entryBytes, unknownTerm } from './log.js';
import type { Progress } from './progress.js';
import { quorumValue } from './quorum.js';
import type { Leadership, RaftState } from './state.js';
import type { AppendEntries, Entry } from './types.js';

const noEntries: readonly Entry[] = [];

/** Whether {@link sendDue} would do anything. Changes nothing. */
export function isSendDue(state: RaftState, leadership: Leadership): boolean {
  if (leadership.reads.hasArrived) return true;
  if (!leadership.sendDue) return false;
  for (const progress of leadership.progress.values()) {
    if (whatIsDue(state, leadership, progress) !== 'nothing') return true;
  }
  return false;
}

/** Makes all messages to followers that are due. Called before a Ready is put together. */
export function sendDue(state: RaftState, leadership: Leadership): void {
  if (leadership.reads.hasArrived) sendReadRound(state, leadership);
  if (!leadership.sendDue) return;
  leadership.sendDue = false;
  for (const progress of leadership.progress.values()) {
    const due = whatIsDue(state, leadership, progress);
    if (due === 'appends') sendAppends(state, progress);
    else if (due === 'snapshot') sendSnapshot(state, progress);
  }
}

function whatIsDue(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
): 'nothing' | 'appends' | 'snapshot' {
  const { log } = state;
  const { mode, nextIndex } = progress;
  if (mode === 'snapshot' || (mode === 'probe' && progress.probeSent)) return 'nothing';
  if (log.term(nextIndex - 1) === unknownTerm) {
    // To one that has been silent it would only keep a snapshot open for nothing.
    return isActive(state, leadership, progress) ? 'snapshot' : 'nothing';
  }
  // A probe finds out where the logs agree, an empty message whether one was lost.
  if (mode === 'probe' || progress.checkDue) return 'appends';
  // While the window is full nothing is told: the commit index comes with the next entries.
  if (progress.inflight.full) return 'nothing';
  return nextIndex <= log.lastIndex || progress.commitSent < log.commitIndex
    ? 'appends'
    : 'nothing';
}

/** One message, if only an empty one; to a follower that keeps up, all that its window takes. */
function sendAppends(state: RaftState, progress: Progress): void {
  const { log } = state;
  const { inflight } = progress;
  if (progress.mode === 'probe') {
    sendAppend(state, progress);
    progress.probeSent = true;
    return;
  }
  const isCheck = progress.checkDue;
  progress.checkDue = false;
  do sendAppend(state, progress, !isCheck);
  while (progress.nextIndex <= log.lastIndex && !inflight.full);
}

/** `isUnasked`: it need not be answered for its own sake. */
function sendAppend(state: RaftState, progress: Progress, isUnasked = false): void {
  const { log, options } = state;
  const { nextIndex, inflight } = progress;
  const hasRoom = nextIndex <= log.lastIndex && !inflight.full;
  const entries = hasRoom ? log.slice(nextIndex, log.lastIndex, options.appendBytesMax) : noEntries;
  const message: AppendEntries = {
    type: 'AppendEntries',
    from: state.id,
    to: progress.member,
    term: state.term,
    prevLogIndex: nextIndex - 1,
    prevLogTerm: log.term(nextIndex - 1),
    entries,
    leaderCommit: log.commitIndex,
  };
  state.send(isUnasked && entries.length === 0 ? { ...message, isNotice: true } : message);
  progress.commitSent = log.commitIndex;
  if (progress.mode !== 'replicate' || entries.length === 0) return;
  progress.nextIndex += entries.length;
  progress.inflight.add(progress.nextIndex - 1);
}

/**
 * The entries that the follower needs are gone: it gets the state machine instead (paper 7). The
 * data travels outside of Raft; the driver may send a later state than the one named here, as
 * long as the meta it delivers is that of the data.
 */
function sendSnapshot(state: RaftState, progress: Progress): void {
  const { log, stages } = state;
  const index = log.appliedIndex;
  state.send({
    type: 'InstallSnapshot',
    from: state.id,
    to: progress.member,
    term: state.term,
    snapshot: { index, term: log.term(index), configuration: stages.atApplied },
  });
  progress.becomeSnapshot(index);
}

/** Heard from within an election timeout. */
export function isActive(state: RaftState, leadership: Leadership, progress: Progress): boolean {
  return leadership.ticks - progress.activeTick <= state.options.electionTimeoutTicks;
}

/** The periodic sign of life to everybody (paper 5.2). */
export function broadcastHeartbeat(state: RaftState, leadership: Leadership): void {
  const sequence = leadership.reads.heartbeatSequence;
  for (const member of leadership.progress.keys()) {
    sendHeartbeat(state, leadership, member, sequence);
  }
}

function sendReadRound(state: RaftState, leadership: Leadership): void {
  const sequence = leadership.reads.beginRound();
  // A single voter needs nobody's answer.
  if (quorumValue(state.configuration, leadership.readAckedOf) < sequence) {
    for (const member of votersOf(state.configuration)) {
      if (member !== state.id) sendHeartbeat(state, leadership, member, sequence);
    }
  }
  answerConfirmedReads(state, leadership);
}

function sendHeartbeat(
  state: RaftState,
  leadership: Leadership,
  member: MemberId,
  readSequence: number,
): void {
  const matchIndex = leadership.progress.get(member)?.matchIndex ?? 0;
  const { forwardAge } = state.options;
  const clock = forwardAge === undefined ? noClock : { clockMs: Math.floor(forwardAge.nowMs()) };
  state.send({
    type: 'Heartbeat',
    from: state.id,
    to: member,
    term: state.term,
    // No more than it is known to have: a heartbeat does not check the log.
    commit: Math.min(matchIndex, state.log.commitIndex),
    readSequence,
    ...clock,
  });
}

const noClock = {};

/** Answers the reads of all rounds that a quorum has confirmed (joint: both majorities). */
export function answerConfirmedReads(state: RaftState, leadership: Leadership): void {
  const confirmed = quorumValue(state.configuration, leadership.readAckedOf);
  for (;;) {
    const reads = leadership.reads.takeConfirmed(confirmed);
    if (reads === undefined) return;
    for (const { from, context, index } of reads) {
      if (from === state.id) state.readStates.push({ context, index });
      else {
        const type = 'ReadIndexResponse';
        state.send({ type, from: state.id, to: from, term: state.term, context, index });
      }
    }
  }
}

/**
 * Advances the commit index to what a quorum holds durably, but only to an entry of this term:
 * an older one could still be overwritten (paper 5.4.2, figure 8); it is committed with the first
 * newer one above it.
 */
export function advanceCommit(state: RaftState, leadership: Leadership): void {
  commitQuorum(state, leadership);
  if (state.trace !== undefined) state.trace.commit();
}

function commitQuorum(state: RaftState, leadership: Leadership): void {
  const { log } = state;
  const index = quorumValue(state.configuration, leadership.matchIndexOf);
  const before = log.commitIndex;
  if (index <= before || log.term(index) !== state.term) return;
  const first = log.term(before) !== state.term;
  log.commitTo(index);
  leadership.sendDue = true;
  if (leadership.uncommittedBytes > 0) {
    let bytes = 0;
    for (let at = before + 1; at <= index; at += 1) {
      bytes += entryBytes(log.entry(at).data.byteLength);
    }
    // Entries of earlier terms were never counted.
    leadership.uncommittedBytes = Math.max(0, leadership.uncommittedBytes - bytes);
  }
  if (first) leadership.reads.release(index);
}
