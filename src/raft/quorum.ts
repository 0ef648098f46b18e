/**
 * Majority arithmetic, for one set of voters and for the two of a joint configuration (paper
 * section 5.2 and 6, thesis 4.3). Everything that needs a quorum in this folder - commit, read
 * confirmation, check-quorum, elections - goes through the two functions below, so that a joint
 * configuration can't be forgotten in one of them.
 */

import { type MemberId, present } from '../common/index.js';
import type { Configuration } from './types.js';

/** How many of so many voters are a quorum: the smallest majority (paper 5.2). */
export function quorumOf(voters: number): number {
  return Math.floor(voters / 2) + 1;
}

/**
 * The largest value that a quorum has reached, where `reachedBy` says what each voter has reached:
 * a log index, a read sequence, a time of last contact. Joint: reached by both majorities.
 * Infinity if there are no voters at all.
 */
export function quorumValue(
  configuration: Configuration,
  reachedBy: (member: MemberId) => number,
): number {
  const incoming = majorityValue(configuration.voters, reachedBy);
  if (configuration.votersOutgoing.length === 0) return incoming;
  return Math.min(incoming, majorityValue(configuration.votersOutgoing, reachedBy));
}

function majorityValue(
  voters: readonly MemberId[],
  reachedBy: (member: MemberId) => number,
): number {
  const size = voters.length;
  if (size === 0) return Number.POSITIVE_INFINITY;
  if (size === 1) return reachedBy(present(voters[0], 'voter'));
  const values = voters.map(reachedBy).sort(descending);
  return present(values[quorumOf(size) - 1], 'quorum value');
}

function descending(a: number, b: number): number {
  // Not `b - a`: two infinities have no difference.
  return a < b ? 1 : a > b ? -1 : 0;
}

/** How an election stands. */
export type VoteResult = 'won' | 'lost' | 'pending';

/** Counts `votes` (true: granted). Joint: won in both majorities, lost as soon as in one. */
export function voteResult(
  configuration: Configuration,
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  const incoming = majorityVote(configuration.voters, votes);
  const outgoing = majorityVote(configuration.votersOutgoing, votes);
  if (incoming === 'lost' || outgoing === 'lost') return 'lost';
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending';
}

/** An empty half of a configuration is won: it does not take part. */
function majorityVote(
  voters: readonly MemberId[],
  votes: ReadonlyMap<MemberId, boolean>,
): VoteResult {
  if (voters.length === 0) return 'won';
  let granted = 0;
  let missing = 0;
  for (const voter of voters) {
    const vote = votes.get(voter);
    if (vote === undefined) missing += 1;
    else if (vote) granted += 1;
  }
  const needed = quorumOf(voters.length);
  if (granted >= needed) return 'won';
  return granted + missing >= needed ? 'pending' : 'lost';
}
