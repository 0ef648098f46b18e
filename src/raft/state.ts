/**
 * The state of one member (paper figure 2, "State"), its changes of role, and sending.
 *
 * The files around it are layers, each only using those before it:
 *   state - replication - leader - candidate - follower - raft
 *
 * The roles (paper figure 4, with the pre-candidate of thesis 9.6):
 *
 *             timeout                 pre-vote won                election won
 *   follower ---------> preCandidate --------------> candidate ---------------> leader
 *      ^                     |                           |                         |
 *      +---------------------+---------------------------+-------------------------+
 *          a later term; lost, or heard of the leader; no quorum heard, or removed
 *
 * Without pre-vote, and when told to take over (TimeoutNow), a follower is a candidate at once. An
 * election that takes too long begins anew, as a pre-candidate if there are pre-votes.
 */

import { assert, type LogIndex, type MemberId, type Term } from '../common/index.js';
import { isVoter, membersOf } from './config-change.js';
import { ConfigurationStages } from './configuration-stages.js';
import type { RaftLog } from './log.js';
import type { RaftOptions } from './options.js';
import { Progress } from './progress.js';
import { voteResult } from './quorum.js';
import { PendingReads } from './read-index.js';
import { restoredConfiguration, restoredLog } from './restore.js';
import { StateTrace } from './state-trace.js';
import type { Configuration, Message, RaftRestore, ReadState, Role } from './types.js';

/** What only a leader has; made anew for each leadership and dropped with it. */
export class Leadership {
  /** All members but the leader itself. */
  readonly progress = new Map<MemberId, Progress>();
  readonly reads = new PendingReads();
  /** Ticks since the election; the time base of {@link Progress.activeTick}. */
  ticks = 0;
  /** The target of a transfer under way; 0n: none. */
  transferee: MemberId = 0n;
  transferStartTick = 0;
  /** No configuration change is taken until this index is applied (thesis 4.1). */
  pendingConfigIndex: LogIndex;
  uncommittedBytes = 0;
  /** By the clock of `RaftOptions.forwardAge`; whole milliseconds. */
  readonly electedMs: number;
  /** Something may be there to send to a follower; looked at once per Ready. */
  sendDue = false;
  // The quorum functions take these; made once so that a message costs no closure.
  readonly matchIndexOf: (member: MemberId) => number;
  readonly readAckedOf: (member: MemberId) => number;
  readonly activeTickOf: (member: MemberId) => number;

  constructor(state: RaftState) {
    const { id, log, configuration, options } = state;
    this.electedMs = Math.floor(options.forwardAge?.nowMs() ?? 0);
    this.pendingConfigIndex = log.lastIndex;
    // The leader counts itself only up to what is durable here (thesis 10.2.1).
    this.matchIndexOf = (member) =>
      member === id ? log.writes.persistedIndex : (this.progress.get(member)?.matchIndex ?? 0);
    this.readAckedOf = (member) =>
      member === id ? Number.POSITIVE_INFINITY : (this.progress.get(member)?.readAcked ?? 0);
    this.activeTickOf = (member) =>
      member === id ? this.ticks : (this.progress.get(member)?.activeTick ?? 0);
    this.follow(state, configuration);
  }

  /** Keeps one {@link Progress} for each other member of `configuration`. */
  follow(state: RaftState, configuration: Configuration): void {
    const members = membersOf(configuration);
    for (const member of this.progress.keys()) {
      if (!members.includes(member)) this.progress.delete(member);
    }
    for (const member of members) {
      if (member === state.id || this.progress.has(member)) continue;
      const next = state.log.lastIndex + 1;
      const { inflightAppendsMax } = state.options;
      this.progress.set(member, new Progress(member, next, this.ticks, inflightAppendsMax));
    }
  }
}

export class RaftState {
  readonly options: RaftOptions;
  readonly id: MemberId;
  readonly log: RaftLog;
  role: Role = 'follower';
  term: Term;
  /** Whom this member voted for in `term`; 0n: nobody. */
  vote: MemberId;
  /** The leader of `term` as far as known; 0n: unknown. */
  leader: MemberId = 0n;
  readonly stages: ConfigurationStages;
  /** Of the newest heartbeat of `term`; 0: none has been heard. */
  leaderClockMs = 0;
  /** Ticks since the last sign of a leader, a vote given, or an election begun. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
  /** Somebody else asked first in an early election: see `startEarlyElection`. */
  yields = false;
  /** In [electionTimeoutTicks, 2 * electionTimeoutTicks), drawn anew at each change of role. */
  electionTimeout = 0;
  /** Votes received in this candidacy. */
  readonly votes = new Map<MemberId, boolean>();
  leadership: Leadership | undefined = undefined;
  /** To send at once. */
  messages: Message[] = [];
  /** To send once everything so far is durable. */
  messagesAfterPersist: Message[] = [];
  readStates: ReadState[] = [];
  /** Undefined: nobody wants to know. */
  readonly trace: StateTrace | undefined;

  constructor(options: RaftOptions, restore: RaftRestore) {
    assert(options.id !== 0n, 'member id 0 means "nobody"');
    assert(options.heartbeatTicks > 0, 'heartbeatTicks is positive');
    assert(
      options.electionTimeoutTicks > options.heartbeatTicks,
      'electionTimeoutTicks is more than heartbeatTicks',
    );
    this.options = options;
    this.id = options.id;
    this.log = restoredLog(restore);
    const { term, vote } = restore.hardState;
    // A torn last write may have kept entries of a new term but not the term. Then nothing that
    // depended on either has been sent, so a vote in that term is still free.
    this.term = Math.max(term, this.log.lastTerm);
    this.vote = this.term === term ? vote : 0n;
    this.stages = new ConfigurationStages(restoredConfiguration(restore));
    this.resetElectionTimer();
    const { tracer } = options;
    this.trace = tracer === undefined ? undefined : new StateTrace(tracer, this);
    this.trace?.initState();
  }

  /** The configuration in force: see configuration-stages.ts. */
  get configuration(): Configuration {
    return this.stages.inForce;
  }

  /**
   * Follower of `leader` (0n: of nobody yet) in `term` (paper 5.1): from any role in a later term;
   * in the same one a candidate that lost, or a leader that gives up, which follows nobody.
   */
  becomeFollower(term: Term, leader: MemberId): void {
    const { role } = this;
    const isLaterTerm = term !== this.term;
    if (isLaterTerm) this.#enterTerm(term, 0n);
    else {
      assert(role !== 'follower', `already a follower in term ${term}`);
      assert(role !== 'leader' || leader === 0n, `two leaders in term ${term}`);
    }
    this.#reset();
    this.role = 'follower';
    this.leader = leader;
    this.trace?.becomeFollower(role, isLaterTerm);
  }

  /** Asks whether it would win (thesis 9.6): term and vote stay as they are. */
  becomePreCandidate(): void {
    const { role } = this;
    assert(role !== 'leader', 'a leader does not campaign');
    this.#reset();
    this.role = 'preCandidate';
    this.trace?.becomePreCandidate(role);
  }

  /** Begins an election in the next term, with its own vote (paper 5.2). */
  becomeCandidate(): void {
    assert(this.role !== 'leader', 'a leader does not campaign');
    this.#enterTerm(this.term + 1, this.id);
    this.#reset();
    this.role = 'candidate';
    this.trace?.becomeCandidate();
  }

  /** Wins the election of its term (paper 5.2). */
  becomeLeader(): Leadership {
    assert(this.role === 'candidate', `a ${this.role} does not become leader`);
    assert(this.vote === this.id, 'a candidate votes for itself');
    assert(voteResult(this.configuration, this.votes) === 'won', 'a leader has a quorum of votes');
    this.#reset();
    this.role = 'leader';
    this.leader = this.id;
    const leadership = new Leadership(this);
    this.leadership = leadership;
    this.trace?.becomeLeader();
    return leadership;
  }

  /** A later term begins, with this member's `vote` in it (paper 5.1). */
  #enterTerm(term: Term, vote: MemberId): void {
    assert(term > this.term, 'the term never goes down');
    this.term = term;
    this.vote = vote;
    this.leaderClockMs = 0;
    // Answers of an earlier term that have not left are no use to anybody.
    if (this.messagesAfterPersist.length > 0) this.messagesAfterPersist = [];
  }

  /** What all changes of role have in common: nothing is left of the one before. */
  #reset(): void {
    this.leader = 0n;
    this.leadership = undefined;
    this.yields = false;
    this.votes.clear();
    this.resetElectionTimer();
  }

  /** A new random timeout each time, so that split votes do not repeat (paper 5.2). */
  resetElectionTimer(): void {
    const { electionTimeoutTicks, randomU32 } = this.options;
    this.electionElapsed = 0;
    this.heartbeatElapsed = 0;
    this.electionTimeout = electionTimeoutTicks + (randomU32() % electionTimeoutTicks);
  }

  /**
   * May become leader: has a vote, and its state machine is not waiting for a snapshot. A removed
   * member and a learner stay silent.
   */
  get promotable(): boolean {
    return isVoter(this.configuration, this.id) && !this.log.awaitsSnapshot;
  }

  /**
   * Queues a message. Whatever claims something about this member's log, term or vote waits until
   * that is durable (thesis 3.8; figure 2, "Updated on stable storage before responding to RPCs").
   * That holds for rejections too: they tell a term. And for requests for votes: they tell the end
   * of the log, and after a crash the same term must not be asked for again with a shorter log.
   *
   * A leader's appends need not wait: it does not count itself until its own write is done
   * (thesis 10.2.1). Heartbeats and their answers claim only who leads right now.
   */
  send(message: Message): void {
    if (this.trace !== undefined) this.trace.send(message);
    switch (message.type) {
      case 'AppendEntriesResponse':
      case 'RequestVoteResponse':
        this.messagesAfterPersist.push(message);
        return;
      case 'RequestVote':
        (message.preVote ? this.messages : this.messagesAfterPersist).push(message);
        return;
      default:
        this.messages.push(message);
    }
  }
}
