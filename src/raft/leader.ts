/**
 * The leader (paper 5.3, 5.4.2; thesis 3.10 transfer, 4.1 membership, 6.2 check-quorum, 6.4 reads).
 */

import { assert, type LogIndex, type MemberId } from '../common/index.js';
import { changeConfiguration, isJoint, isVoter, leaveJointChange } from './config-change.js';
import { encodeConfigChange, parseConfigChange } from './config-change-codec.js';
import { entryBytes } from './log.js';
import type { Progress } from './progress.js';
import { quorumValue } from './quorum.js';
import { advanceCommit, answerConfirmedReads, broadcastHeartbeat } from './replication.js';
import type { Leadership, RaftState } from './state.js';
import type {
  AppendEntriesResponse,
  ConfigChange,
  ConfigChangeRefusal,
  EntryType,
  ForwardProposal,
  HeartbeatResponse,
  Message,
  ProposeRefusal,
  ReadIndexRequest,
} from './types.js';

const noData = new Uint8Array(0);

/** Wins the election: announces itself with an entry of its own term (thesis 6.4, step 1). */
export function startLeading(state: RaftState): void {
  append(state, state.becomeLeader(), 'noop', noData);
}

function append(state: RaftState, leadership: Leadership, type: EntryType, data: Uint8Array): void {
  if (state.trace !== undefined) state.trace.append(type, data);
  state.log.push({ index: state.log.lastIndex + 1, term: state.term, type, data });
  leadership.uncommittedBytes += entryBytes(data.byteLength);
  leadership.sendDue = true;
}

/** Why nothing at all can be proposed now. */
export function refusalAtLeader(
  state: RaftState,
  leadership: Leadership,
): 'noLeader' | 'transferring' | undefined {
  // A leader that was removed leads on only until its removal is applied (thesis 4.2.2).
  if (!isVoter(state.configuration, state.id)) return 'noLeader';
  if (leadership.transferee !== 0n) return 'transferring';
  return undefined;
}

/** Of what may be uncommitted, only for what is urgent. */
const urgentPart = 1 / 16;

/** Bounds what a leader that can't commit may pile up. One entry always fits an empty log. */
function exceedsUncommitted(
  state: RaftState,
  leadership: Leadership,
  bytes: number,
  isUrgent: boolean,
): boolean {
  const { uncommittedBytes } = leadership;
  const { uncommittedBytesMax } = state.options;
  const bytesMax = isUrgent ? uncommittedBytesMax * (1 + urgentPart) : uncommittedBytesMax;
  return uncommittedBytes > 0 && uncommittedBytes + bytes > bytesMax;
}

/** Appends client commands; all of them or none. */
export function proposeAtLeader(
  state: RaftState,
  leadership: Leadership,
  data: readonly Uint8Array[],
  isUrgent: boolean,
): ProposeRefusal | undefined {
  const refused = refusalAtLeader(state, leadership);
  if (refused !== undefined) return refused;
  let bytes = 0;
  for (const one of data) bytes += entryBytes(one.byteLength);
  if (exceedsUncommitted(state, leadership, bytes, isUrgent)) return 'tooMuchUncommitted';
  const { log, term, trace } = state;
  let index = log.lastIndex;
  for (const one of data) {
    index += 1;
    if (trace !== undefined) trace.append('normal', one);
    log.push({ index, term, type: 'normal', data: one });
  }
  leadership.uncommittedBytes += bytes;
  leadership.sendDue = true;
  return undefined;
}

/**
 * A change is taken only if every earlier one is applied here, if this leader has committed an
 * entry of its own term (without that, single-step changes are not safe: Ongaro on raft-dev, July
 * 2015), and if it is possible from the present configuration.
 */
function mayChangeConfig(
  state: RaftState,
  leadership: Leadership,
  change: ConfigChange,
): 'changePending' | 'invalidChange' | undefined {
  const { log, configuration } = state;
  if (leadership.pendingConfigIndex > log.appliedIndex) return 'changePending';
  if (log.term(log.commitIndex) !== state.term) return 'changePending';
  // In a joint configuration the only possible change is to leave it.
  if (isJoint(configuration) && change.steps.length > 0) return 'changePending';
  return changeConfiguration(configuration, change) === undefined ? 'invalidChange' : undefined;
}

/** Appends a change of the configuration. */
export function proposeConfigChangeAtLeader(
  state: RaftState,
  leadership: Leadership,
  change: ConfigChange,
): ConfigChangeRefusal | undefined {
  const refused = refusalAtLeader(state, leadership) ?? mayChangeConfig(state, leadership, change);
  if (refused !== undefined) return refused;
  append(state, leadership, 'configChange', encodeConfigChange(change));
  leadership.pendingConfigIndex = state.log.lastIndex;
  return undefined;
}

/**
 * Whether what a follower sent when it had heard our clock show `clockMs` is young enough to be
 * acted on. Only this member's clock counts, and whatever held the message up, if only that this
 * member was stopped, counts as well. 0: sent in this term, so after the election.
 */
export function isFresh(state: RaftState, leadership: Leadership, clockMs: number): boolean {
  const { forwardAge } = state.options;
  if (forwardAge === undefined) return true;
  const sentAfterMs = Math.max(clockMs, leadership.electedMs);
  return forwardAge.nowMs() - sentAfterMs <= forwardAge.maxMs;
}

/**
 * Proposals that a follower passed on. If they can't be taken they are dropped, and the proposer's
 * timeout tells; a change that can't be taken becomes a no-op, so that the rest of its batch goes
 * through.
 */
function onForwardProposal(
  state: RaftState,
  leadership: Leadership,
  message: ForwardProposal,
): void {
  if (refusalAtLeader(state, leadership) !== undefined) return;
  // The call has been answered long ago, and nobody must find out later that it was done after all.
  if (message.clockMs !== undefined && !isFresh(state, leadership, message.clockMs)) return;
  let bytes = 0;
  for (const { data } of message.entries) bytes += entryBytes(data.byteLength);
  if (exceedsUncommitted(state, leadership, bytes, false)) return;
  for (const { type, data } of message.entries) {
    if (type !== 'configChange') {
      append(state, leadership, type, data);
      continue;
    }
    const change = parseConfigChange(data);
    if (change === undefined || mayChangeConfig(state, leadership, change) !== undefined) {
      append(state, leadership, 'noop', noData);
    } else {
      append(state, leadership, type, data);
      leadership.pendingConfigIndex = state.log.lastIndex;
    }
  }
}

/** Heartbeats, check-quorum (thesis 6.2) and the end of a transfer that takes too long (3.10). */
export function tickLeader(state: RaftState, leadership: Leadership): void {
  const { options } = state;
  leadership.ticks += 1;
  const oldest = leadership.ticks - options.electionTimeoutTicks;
  if (options.checkQuorum) {
    // The latest moment since which a quorum, itself included, has been heard from.
    const activeTick = quorumValue(state.configuration, leadership.activeTickOf);
    if (activeTick <= oldest) {
      state.becomeFollower(state.term, 0n);
      return;
    }
  }
  if (leadership.transferee !== 0n && leadership.transferStartTick <= oldest) {
    leadership.transferee = 0n;
  }
  state.heartbeatElapsed += 1;
  if (state.heartbeatElapsed < options.heartbeatTicks) return;
  state.heartbeatElapsed = 0;
  broadcastHeartbeat(state, leadership);
}

/** A message of this term, at the leader of this term. */
export function stepLeader(state: RaftState, leadership: Leadership, message: Message): void {
  switch (message.type) {
    case 'ForwardProposal':
      onForwardProposal(state, leadership, message);
      return;
    case 'ReadIndexRequest':
      onReadIndexRequest(state, leadership, message);
      return;
    case 'AppendEntriesResponse':
    case 'HeartbeatResponse': {
      const progress = leadership.progress.get(message.from);
      if (progress === undefined) return;
      progress.activeTick = leadership.ticks;
      if (message.type === 'HeartbeatResponse') {
        onHeartbeatResponse(state, leadership, progress, message);
      } else onAppendEntriesResponse(state, leadership, progress, message);
      return;
    }
    case 'AppendEntries':
    case 'Heartbeat':
    case 'InstallSnapshot':
      assert(false, `two leaders in term ${state.term}: ${state.id} and ${message.from}`);
      return;
    default:
      // Answers to an election that is over, and orders that only a follower obeys.
      return;
  }
}

function onAppendEntriesResponse(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
  message: AppendEntriesResponse,
): void {
  const { log } = state;
  if (!message.success) {
    const { index, hintIndex, hintTerm } = message;
    // Both sides skip whole terms: the follower named its last candidate, we ours (paper 5.3).
    const hint = log.lastWithTermUpTo(Math.min(hintIndex, log.lastIndex), hintTerm);
    if (progress.rejected(index, hint)) leadership.sendDue = true;
    return;
  }
  assert(message.index <= log.lastIndex, 'a follower matches no more than the leader has');
  progress.matched(message.index);
  if (progress.mode === 'probe' && progress.matchIndex === message.index) {
    progress.becomeReplicate();
  } else if (progress.mode === 'snapshot' && progress.matchIndex >= log.snapshotIndex) {
    // It has what comes before our log: entries can follow.
    progress.becomeReplicate();
  } else if (progress.mode === 'replicate') {
    progress.inflight.freeThrough(message.index);
  }
  leadership.sendDue = true;
  advanceCommit(state, leadership);
  if (progress.member === leadership.transferee) completeTransfer(state, leadership, progress);
}

function onHeartbeatResponse(
  state: RaftState,
  leadership: Leadership,
  progress: Progress,
  message: HeartbeatResponse,
): void {
  // It is alive: a lost probe may be sent again, and a gap that nothing else would show is sought.
  progress.probeSent = false;
  if (progress.matchIndex < state.log.lastIndex || progress.mode === 'probe') {
    progress.checkDue = true;
    leadership.sendDue = true;
  }
  const { reads } = leadership;
  if (message.readSequence <= progress.readAcked) return;
  assert(message.readSequence <= reads.sequence, 'a read round is confirmed after it began');
  progress.readAcked = message.readSequence;
  answerConfirmedReads(state, leadership);
}

/** A linearizable read, of our own driver or of a follower's (thesis 6.4). */
export function onReadIndexRequest(
  state: RaftState,
  leadership: Leadership,
  request: Pick<ReadIndexRequest, 'from' | 'context'>,
): void {
  const { log } = state;
  const { from, context } = request;
  const read = { from, context, index: log.commitIndex };
  // Before that, earlier leaders may have committed more than this one knows of.
  if (log.term(log.commitIndex) !== state.term) leadership.reads.postpone(read);
  else leadership.reads.arrive(read);
}

/** Begins to hand over to `target` (thesis 3.10); nothing happens if it can't lead. */
export function transferAtLeader(state: RaftState, leadership: Leadership, target: MemberId): void {
  const progress = leadership.progress.get(target);
  // Only a voter of the incoming half: an outgoing one would lead until the joint phase ends.
  if (progress === undefined || !state.configuration.voters.includes(target)) return;
  if (leadership.transferee === target) return;
  leadership.transferee = target;
  leadership.transferStartTick = leadership.ticks;
  completeTransfer(state, leadership, progress);
}

function completeTransfer(state: RaftState, leadership: Leadership, progress: Progress): void {
  if (progress.matchIndex < state.log.lastIndex) {
    progress.probeSent = false;
    leadership.sendDue = true;
    return;
  }
  state.send({ type: 'TimeoutNow', from: state.id, to: progress.member, term: state.term });
}

/** More of our own log is durable. */
export function leaderPersisted(state: RaftState, leadership: Leadership): void {
  advanceCommit(state, leadership);
}

/** The driver applied up to `index`: an automatic joint configuration can be left now. */
export function leaderApplied(state: RaftState, leadership: Leadership, index: LogIndex): void {
  // A new leader counts everything it found as pending, so it takes up where the last one left.
  if (!state.configuration.autoLeave || index < leadership.pendingConfigIndex) return;
  append(state, leadership, 'configChange', encodeConfigChange(leaveJointChange));
  leadership.pendingConfigIndex = state.log.lastIndex;
}

/** A new configuration is in force. */
export function leaderReconfigured(state: RaftState, leadership: Leadership): void {
  const { configuration } = state;
  if (!isVoter(configuration, state.id)) {
    // It was removed, and the others learnt of the commit before this was applied (thesis 4.2.2).
    state.becomeFollower(state.term, 0n);
    return;
  }
  leadership.follow(state, configuration);
  if (!configuration.voters.includes(leadership.transferee)) leadership.transferee = 0n;
  // A smaller quorum may have been reached already.
  advanceCommit(state, leadership);
  answerConfirmedReads(state, leadership);
  leadership.sendDue = true;
}

/** A message to `member` could not be delivered: do not send ahead any more. */
export function onUnreachable(leadership: Leadership, member: MemberId): void {
  const progress = leadership.progress.get(member);
  if (progress?.mode !== 'replicate') return;
  progress.becomeProbe();
  leadership.sendDue = true;
}

/** The snapshot to `member` was delivered, or failed. */
export function onSnapshotReport(leadership: Leadership, member: MemberId, ok: boolean): void {
  const progress = leadership.progress.get(member);
  if (progress?.mode !== 'snapshot') return;
  if (!ok) progress.pendingSnapshot = 0;
  progress.becomeProbe();
  // Either way wait for a word from it: that it was installed, or that it is alive at all.
  progress.probeSent = true;
}
