/**
 * The state of one member (paper figure 2, "State") and the two things every role does with it:
 * fall back to follower, and send.
 *
 * The files around it are layers, each only using those before it:
 *   state - replication - leader - candidate - follower - raft
 */

import { assert, type LogIndex, type MemberId, type Term } from '../common/index.js';
import { emptyConfiguration, isVoter, membersOf } from './config-change.js';
import type { RaftLog } from './log.js';
import { Progress } from './progress.js';
import { ReadOnly } from './read-only.js';
import { restoredConfiguration, restoredLog } from './restore.js';
import type { Configuration, Message, RaftOptions, RaftRestore, ReadState, Role } from './types.js';

/** What only a leader has; made anew for each leadership and dropped with it. */
export class Leadership {
  /** All members but the leader itself. */
  readonly progress = new Map<MemberId, Progress>();
  readonly reads = new ReadOnly();
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
  /** In force: of the newest change applied, or of a snapshot from the moment it arrived. */
  configuration: Configuration = emptyConfiguration;
  /** As the state machine has it; behind `configuration` until a snapshot is installed. */
  machineConfiguration: Configuration = emptyConfiguration;
  /** The configuration at `log.appliedIndex`: what a snapshot taken there has. */
  appliedConfiguration: Configuration = emptyConfiguration;
  /** Of the newest heartbeat of `term`; 0: none has been heard. */
  leaderClockMs = 0;
  /** Ticks since the last sign of a leader, a vote given, or an election begun. */
  electionElapsed = 0;
  heartbeatElapsed = 0;
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
    this.configuration = restoredConfiguration(restore);
    this.machineConfiguration = this.configuration;
    this.appliedConfiguration = this.configuration;
    this.resetElectionTimer();
  }

  /** Follower of `leader` (0n: of nobody yet) in `term` (paper 5.1). */
  becomeFollower(term: Term, leader: MemberId): void {
    this.enterTerm(term, 0n);
    this.role = 'follower';
    this.leader = leader;
  }

  /** What all changes of role have in common. A new term begins with `vote`. */
  enterTerm(term: Term, vote: MemberId): void {
    assert(term >= this.term, 'the term never goes down');
    if (term > this.term) {
      this.term = term;
      this.vote = vote;
      this.leaderClockMs = 0;
      // Answers of an earlier term that have not left are no use to anybody.
      if (this.messagesAfterPersist.length > 0) this.messagesAfterPersist = [];
    }
    this.leader = 0n;
    this.leadership = undefined;
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
    return isVoter(this.configuration, this.id) && this.log.appliedIndex >= this.log.snapshotIndex;
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
