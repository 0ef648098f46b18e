/** Which role may follow which (paper figure 4, thesis 9.6), and what a change of role leaves. */

import { describe, expect, test } from 'vitest';
import { InvariantError } from '../../src/common/index.js';
import { initialRestore } from '../../src/raft/index.js';
import { RaftState } from '../../src/raft/state.js';
import type { Role } from '../../src/raft/types.js';
import { defaultOptions } from './support/cluster.js';

const voters = [1n, 2n, 3n];

function follower(): RaftState {
  return new RaftState({ ...defaultOptions, id: 1n, randomU32: () => 3 }, initialRestore(voters));
}

function preCandidate(): RaftState {
  const state = follower();
  state.becomePreCandidate();
  return state;
}

function candidate(): RaftState {
  const state = follower();
  state.becomeCandidate();
  return state;
}

function leader(): RaftState {
  const state = candidate();
  state.votes.set(1n, true).set(2n, true);
  state.becomeLeader();
  return state;
}

const makers: Readonly<Record<Role, () => RaftState>> = {
  follower,
  preCandidate,
  candidate,
  leader,
};

type Change = readonly [from: Role, what: string, act: (state: RaftState) => void];

const inSameTerm = (state: RaftState): void => state.becomeFollower(state.term, 0n);
const ofSameTerm = (state: RaftState): void => state.becomeFollower(state.term, 2n);
const inLaterTerm = (state: RaftState): void => state.becomeFollower(state.term + 1, 2n);
const toPreCandidate = (state: RaftState): void => state.becomePreCandidate();
const toCandidate = (state: RaftState): void => state.becomeCandidate();
const toLeader = (state: RaftState): void => void state.becomeLeader();

const legal: readonly (readonly [...Change, to: Role])[] = [
  ['follower', 'is told of a later term', inLaterTerm, 'follower'],
  ['preCandidate', 'is told of a later term', inLaterTerm, 'follower'],
  ['candidate', 'is told of a later term', inLaterTerm, 'follower'],
  ['leader', 'is told of a later term', inLaterTerm, 'follower'],
  ['preCandidate', 'hears of the leader of its term', ofSameTerm, 'follower'],
  ['candidate', 'hears of the leader of its term', ofSameTerm, 'follower'],
  ['preCandidate', 'loses', inSameTerm, 'follower'],
  ['candidate', 'loses', inSameTerm, 'follower'],
  ['leader', 'gives up', inSameTerm, 'follower'],
  ['follower', 'asks whether it would win', toPreCandidate, 'preCandidate'],
  ['preCandidate', 'asks again', toPreCandidate, 'preCandidate'],
  ['candidate', 'asks first, the second time', toPreCandidate, 'preCandidate'],
  ['follower', 'campaigns', toCandidate, 'candidate'],
  ['preCandidate', 'campaigns', toCandidate, 'candidate'],
  ['candidate', 'campaigns again', toCandidate, 'candidate'],
];

const illegal: readonly Change[] = [
  ['follower', 'begins to follow what it follows', inSameTerm],
  ['follower', 'gets another leader in its term', ofSameTerm],
  ['leader', 'follows another leader of its term', ofSameTerm],
  ['leader', 'asks whether it would win', toPreCandidate],
  ['leader', 'campaigns', toCandidate],
  ['follower', 'leads', toLeader],
  ['preCandidate', 'leads', toLeader],
  ['leader', 'leads again', toLeader],
  ['candidate', 'leads without votes', toLeader],
  ['follower', 'goes back a term', (state) => state.becomeFollower(state.term - 1, 0n)],
  ['leader', 'goes back a term', (state) => state.becomeFollower(state.term - 1, 0n)],
];

describe('a change of role', () => {
  test.each(legal)('%s: %s', (from, _what, act, to) => {
    const state = makers[from]();
    const { term } = state;
    // As if it had been about to act.
    state.electionElapsed = 5;
    state.heartbeatElapsed = 5;
    act(state);
    expect(state.role).toBe(to);
    expect(state.term).toBe(act === inLaterTerm || act === toCandidate ? term + 1 : term);
    // Nothing is left of the role before.
    expect(state.leader).toBe(act === inLaterTerm || act === ofSameTerm ? 2n : 0n);
    expect(state.leadership).toBeUndefined();
    expect(state.votes.size).toBe(0);
    expect([state.electionElapsed, state.heartbeatElapsed]).toEqual([0, 0]);
  });

  test.each(illegal)('%s never: %s', (from, _what, act) => {
    const state = makers[from]();
    expect(() => act(state)).toThrow(InvariantError);
    expect(state.role).toBe(from);
  });

  test('to leader needs the votes of a quorum, and a vote for itself', () => {
    const state = candidate();
    state.votes.set(2n, true);
    expect(() => state.becomeLeader()).toThrow('a leader has a quorum of votes');
    state.votes.set(3n, true);
    state.vote = 2n;
    expect(() => state.becomeLeader()).toThrow('a candidate votes for itself');
    state.vote = 1n;
    expect(state.becomeLeader()).toBe(state.leadership);
    expect(state.leader).toBe(1n);
    expect(state.term).toBe(2);
  });
});

describe('the vote', () => {
  test('goes with its term, and only with it', () => {
    const state = follower();
    state.vote = 3n;
    state.becomePreCandidate();
    expect(state.vote).toBe(3n);
    state.becomeFollower(state.term, 0n);
    expect(state.vote).toBe(3n);
    state.becomeCandidate();
    expect(state.vote).toBe(1n);
    state.becomeFollower(state.term, 0n);
    expect(state.vote).toBe(1n);
    state.becomeFollower(state.term + 1, 0n);
    expect(state.vote).toBe(0n);
  });

  test('answers that wait for the disk end with their term, and not before', () => {
    const state = preCandidate();
    const { term } = state;
    state.send({ type: 'AppendEntriesResponse', from: 1n, to: 2n, term, ...answer });
    state.becomeFollower(term, 0n);
    expect(state.messagesAfterPersist).toHaveLength(1);
    state.becomeCandidate();
    expect(state.messagesAfterPersist).toHaveLength(0);
  });
});

const answer = { success: true, index: 1, hintIndex: 0, hintTerm: 0 } as const;
