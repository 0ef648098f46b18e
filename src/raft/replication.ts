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
import type { Entry } from './types.js';

const noEntries: readonly Entry[] = [];

/** Makes all messages to followers that are due. Called before a Ready is put together. */
export function sendDue(state: RaftState, leadership: Leadership): void {
  if (leadership.reads.hasArrived) sendReadRound(state, leadership);
  if (!leadership.sendDue) return;
  leadership.sendDue = false;
  for (const progress of leadership.progress.values()) sendTo(state, leadership, progress);
}

function sendTo(state: RaftState, leadership: Leadership, progress: Progress): void {
  const { log } = state;
  if (progress.mode === 'snapshot') return;
  if (progress.mode === 'probe' && progress.probeSent) return;
  if (log.term(progress.nextIndex - 1) === unknownTerm) {
    sendSnapshot(state, leadership, progress);
    return;
  }
  if (progress.mode === 'probe') {
    sendAppend(state, progress, progress.nextIndex <= log.lastIndex);
    progress.probeSent = true;
    return;
  }
  let sent = false;
  while (progress.nextIndex <= log.lastIndex && !progress.inflight.full) {
    sendAppend(state, progress, true);
    sent = true;
  }
  // An empty message moves the follower's commit index; not while the window is full, for then it
  // does not answer, and it will be told with the next entries. Or it finds out a loss.
  const commitDue = progress.commitSent < log.commitIndex && !progress.inflight.full;
  if (!sent && (commitDue || progress.checkDue)) sendAppend(state, progress, false);
  progress.checkDue = false;
}

function sendAppend(state: RaftState, progress: Progress, withEntries: boolean): void {
  const { log, options } = state;
  const { nextIndex } = progress;
  const entries = withEntries
    ? log.slice(nextIndex, log.lastIndex, options.appendBytesMax)
    : noEntries;
  state.send({
    type: 'AppendEntries',
    from: state.id,
    to: progress.member,
    term: state.term,
    prevLogIndex: nextIndex - 1,
    prevLogTerm: log.term(nextIndex - 1),
    entries,
    leaderCommit: log.commitIndex,
  });
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
function sendSnapshot(state: RaftState, leadership: Leadership, progress: Progress): void {
  // One that has been silent would only keep a snapshot open for nothing.
  if (!isActive(state, leadership, progress)) return;
  const { log } = state;
  const index = log.appliedIndex;
  state.send({
    type: 'InstallSnapshot',
    from: state.id,
    to: progress.member,
    term: state.term,
    snapshot: { index, term: log.term(index), configuration: state.appliedConfiguration },
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
 * newer one above it. Returns whether the index moved.
 */
export function advanceCommit(state: RaftState, leadership: Leadership): boolean {
  const { log } = state;
  const index = quorumValue(state.configuration, leadership.matchIndexOf);
  const before = log.commitIndex;
  if (index <= before || log.term(index) !== state.term) return false;
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
  return true;
}
