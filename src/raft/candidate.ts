/**
 * Elections: campaigning, and answering those who campaign (paper 5.2, 5.4.1; thesis 3.10, 4.2.3
 * on disruptive members, 9.6 on pre-vote).
 */

import { assert, type LogIndex, type MemberId, type Term } from '../common/index.js';
import { votersOf } from './config-change.js';
import { startLeading } from './leader.js';
import { voteResult } from './quorum.js';
import type { RaftState } from './state.js';
import type { Message, RequestVote, RequestVoteResponse } from './types.js';

/** Why a member campaigns. Only `preVote` leaves term and vote as they are. */
export type CampaignKind = 'preVote' | 'election' | 'transfer';

/** An election timeout, or a driver that wants this member to lead. */
export function startElection(state: RaftState): void {
  if (!mayCampaign(state)) return;
  campaign(state, state.options.preVote ? 'preVote' : 'election');
}

/** The leader told us to take over: no pre-vote, and those who hear from it vote all the same. */
export function startTransferElection(state: RaftState): void {
  if (mayCampaign(state)) campaign(state, 'transfer');
}

/**
 * The driver knows that `member` is no more: its process has ended. If it led, it leads no longer,
 * and this member votes as one that knows no leader; whoever still hears from it refuses as before.
 * Any message of that leader takes this back. True: it led.
 */
export function leaderIsGone(state: RaftState, member: MemberId): boolean {
  if (state.role !== 'follower' || state.leader !== member || member === 0n) return false;
  state.leader = 0n;
  state.yields = false;
  return true;
}

/**
 * Before the election timeout, since the leader is gone. Always with a pre-vote: those who know
 * better must not be made to take part. One that has just granted somebody a vote lets one turn
 * pass, so that two that know at the same time do not split the votes. True: it campaigns.
 */
export function startEarlyElection(state: RaftState): boolean {
  if (state.leader !== 0n || !mayCampaign(state)) return false;
  if (state.yields) {
    state.yields = false;
    return false;
  }
  campaign(state, 'preVote');
  return true;
}

function mayCampaign(state: RaftState): boolean {
  if (state.role === 'leader' || !state.promotable) return false;
  // Its majority may be one that no longer decides: first apply what is known to be committed.
  return !state.log.hasUnappliedConfigChange();
}

function campaign(state: RaftState, kind: CampaignKind): void {
  if (kind === 'preVote') {
    state.becomePreCandidate();
    // Promises nothing, so it counts at once.
    state.votes.set(state.id, true);
    requestVotes(state, kind);
    countVotes(state);
  } else {
    // Its own vote counts once it is durable: see `candidatePersisted`.
    state.becomeCandidate();
    requestVotes(state, kind);
  }
}

/** To all voters but itself (paper figure 2, RequestVote RPC). */
function requestVotes(state: RaftState, kind: CampaignKind): void {
  const { id, log, trace } = state;
  const preVote = kind === 'preVote';
  const term = preVote ? state.term + 1 : state.term;
  const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = log;
  const last = { lastLogIndex, lastLogTerm };
  const kinds = { preVote, transfer: kind === 'transfer' };
  const news = commitNews(state);
  for (const to of votersOf(state.configuration)) {
    if (to !== id) {
      state.send({ type: 'RequestVote', from: id, to, term, ...last, ...kinds, ...news });
    } else if (!preVote) trace?.ownVote();
  }
}

/** Term and vote are durable: a candidate may count itself (paper figure 2, "Candidates"). */
export function candidatePersisted(state: RaftState): void {
  const { writes } = state.log;
  if (writes.persistedTerm !== state.term || state.votes.has(state.id)) return;
  assert(writes.persistedVote === state.id, 'a candidate votes for itself');
  state.trace?.ownVoteDurable();
  state.votes.set(state.id, true);
  countVotes(state);
}

/** A vote for the campaign that is going on, or one that came late. */
export function onVoteResponse(state: RaftState, message: RequestVoteResponse): void {
  learnCommit(state, message);
  if (state.log.hasUnappliedConfigChange()) {
    // It campaigns in a configuration that is over: first apply, then try again.
    state.becomeFollower(state.term, 0n);
    return;
  }
  const preVoting = state.role === 'preCandidate';
  if (message.preVote !== preVoting) return;
  // A pre-vote is granted for the term that would come; a rejection has the voter's own.
  if (message.granted && message.term !== (preVoting ? state.term + 1 : state.term)) return;
  if (!state.votes.has(message.from)) state.votes.set(message.from, message.granted);
  countVotes(state);
}

function countVotes(state: RaftState): void {
  switch (voteResult(state.configuration, state.votes)) {
    case 'won':
      if (state.role === 'preCandidate') campaign(state, 'election');
      else startLeading(state);
      return;
    case 'lost':
      state.becomeFollower(state.term, 0n);
      return;
    case 'pending':
      return;
  }
}

/**
 * Within an election timeout of a live leader nobody gets a vote of a later term, so that a member
 * that was removed or cut off can't depose it (thesis 4.2.3); but for a transfer, which the leader
 * wants. Only with check-quorum: a leader that the others hear but that does not hear them must be
 * able to give up. A leader that is gone (`leaderIsGone`) is none.
 */
export function isDisruptive(state: RaftState, message: Message): boolean {
  if (message.type !== 'RequestVote' || message.term <= state.term) return false;
  const { checkQuorum, electionTimeoutTicks } = state.options;
  if (message.transfer || !checkQuorum || state.leader === 0n) return false;
  return state.role === 'leader' || state.electionElapsed < electionTimeoutTicks;
}

/**
 * Answers a candidate of this term, or of a later one for a pre-vote. Learners answer too: one
 * that was promoted but does not know it yet may be needed for a majority.
 */
export function answerVote(state: RaftState, message: RequestVote): void {
  const { from, preVote } = message;
  if (state.role === 'follower') learnCommit(state, message);
  const free =
    state.vote === from ||
    (state.vote === 0n && state.leader === 0n) ||
    (preVote && message.term > state.term);
  const granted = free && state.log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
  if (granted) state.yields = true;
  if (granted && !preVote) {
    state.vote = from;
    state.electionElapsed = 0;
  }
  const term = granted && preVote ? message.term : state.term;
  sendVote(state, { to: from, term, preVote, granted });
}

/** Tells a candidate of an earlier term that it is behind; only a pre-candidate waits for it. */
export function rejectOldVote(state: RaftState, message: RequestVote): void {
  if (!message.preVote) return;
  sendVote(state, { to: message.from, term: state.term, preVote: true, granted: false });
}

function sendVote(
  state: RaftState,
  vote: Pick<RequestVoteResponse, 'to' | 'term' | 'preVote' | 'granted'>,
): void {
  const { to, term, preVote, granted } = vote;
  const type = 'RequestVoteResponse';
  state.send({ type, from: state.id, to, term, preVote, granted, ...commitNews(state) });
}

function commitNews(state: RaftState): { commit: LogIndex; commitTerm: Term } {
  const { commitIndex } = state.log;
  return { commit: commitIndex, commitTerm: state.log.term(commitIndex) };
}

/**
 * That an entry is committed is true for good, whoever says so; and if ours has the same index and
 * term it is the same entry, with the same ones before it (log matching, paper 5.3). So a member
 * learns of a configuration change that it holds, though the leader that committed it is gone.
 */
export function learnCommit(state: RaftState, news: { commit: LogIndex; commitTerm: Term }): void {
  if (state.log.term(news.commit) === news.commitTerm) state.log.commitTo(news.commit);
}
