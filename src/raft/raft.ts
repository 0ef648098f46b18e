/**
 * The Raft core: one member's part in consensus, without I/O, time or randomness of its own.
 *
 * Read it with the paper beside it: this file is the rules for all servers (figure 2), follower.ts,
 * candidate.ts and leader.ts those for the roles. types.ts tells what the caller owes.
 *
 * Invariants checked here or below, each fatal when broken: one leader in a term; terms, commit and
 * applied indexes never go down; what is committed is never overwritten.
 */

import { assert, type LogIndex, type MemberId, type Term } from '../common/index.js';
import {
  answerVote,
  candidatePersisted,
  isDisruptive,
  leaderIsGone,
  onVoteResponse,
  rejectOldVote,
  startEarlyElection,
  startElection,
} from './candidate.js';
import { encodeConfigChange } from './config-change-codec.js';
import {
  answerOldLeader,
  isFromLeader,
  isNewSnapshot,
  onLeaderMessage,
  stepFollower,
} from './follower.js';
import {
  isFresh,
  leaderApplied,
  leaderPersisted,
  leaderReconfigured,
  onReadIndexRequest,
  onSnapshotReport,
  onUnreachable,
  proposeAtLeader,
  proposeConfigChangeAtLeader,
  refusalAtLeader,
  stepLeader,
  tickLeader,
  transferAtLeader,
} from './leader.js';
import type { RaftOptions } from './options.js';
import type { ProgressView } from './progress.js';
import { ReadyMaker } from './ready.js';
import { isActive } from './replication.js';
import { RaftState } from './state.js';
import type {
  AgeStamp,
  ConfigChange,
  ConfigChangeRefusal,
  Configuration,
  ForwardProposal,
  InstallSnapshot,
  Message,
  ProposeRefusal,
  RaftRestore,
  RaftStatus,
  Ready,
} from './types.js';

export class Raft {
  readonly #state: RaftState;
  readonly #readyMaker: ReadyMaker;

  constructor(options: RaftOptions, restore: RaftRestore) {
    this.#state = new RaftState(options, restore);
    this.#readyMaker = new ReadyMaker(this.#state, restore.hardState);
  }

  /** One unit of time: heartbeats at the leader, election timeouts elsewhere. */
  tick(): void {
    const state = this.#state;
    if (state.leadership !== undefined) {
      tickLeader(state, state.leadership);
      return;
    }
    state.electionElapsed += 1;
    if (state.electionElapsed < state.electionTimeout) return;
    // Also when it may not campaign: then it must not do so in the very moment that it may, and
    // must not refuse its vote to others for the sake of a leader that is gone.
    state.resetElectionTimer();
    state.leader = 0n;
    startElection(state);
  }

  /** Takes in a message of another member. One that is not for this member is ignored. */
  step(message: Message): void {
    const state = this.#state;
    if (message.to !== state.id || message.from === state.id) return;
    if (isDisruptive(state, message)) return;
    if (state.trace !== undefined) state.trace.receive(message);
    if (message.term < state.term) {
      if (message.type === 'RequestVote') rejectOldVote(state, message);
      else if (isFromLeader(message)) answerOldLeader(state, message);
      return;
    }
    if (message.term > state.term) this.#meetLaterTerm(message);
    if (message.type === 'RequestVote') answerVote(state, message);
    else if (state.leadership !== undefined) stepLeader(state, state.leadership, message);
    else if (isFromLeader(message)) {
      // A candidate that hears of a leader of its own term has lost (paper 5.2).
      if (state.role !== 'follower') state.becomeFollower(message.term, message.from);
      onLeaderMessage(state, message);
    } else if (state.role === 'follower') stepFollower(state, message);
    else if (message.type === 'RequestVoteResponse') onVoteResponse(state, message);
  }

  /**
   * A message of a later term makes everybody a follower in it (paper 5.1), but for pre-votes,
   * which only ask.
   */
  #meetLaterTerm(message: Message): void {
    const state = this.#state;
    if (message.type === 'RequestVote' && message.preVote) return;
    if (message.type === 'RequestVoteResponse' && message.preVote && message.granted) return;
    const { electionElapsed } = state;
    state.becomeFollower(message.term, isFromLeader(message) ? message.from : 0n);
    // A candidate that does not get the vote must not put off this member's own election (paper
    // 5.2): with a faster clock and a shorter log it would do so for ever.
    if (message.type === 'RequestVote') state.electionElapsed = electionElapsed;
  }

  /**
   * Proposes client commands, in order, as one batch. The buffers belong to the log from now on
   * and must not change. At a follower they are passed on to the leader, and undefined only says
   * that they were: like any message they may be lost. Nor does it mean at the leader that they
   * will be committed. What is urgent may be a sixteenth more than `uncommittedBytesMax`.
   */
  propose(data: readonly Uint8Array[], isUrgent = false): ProposeRefusal | undefined {
    const state = this.#state;
    if (data.length === 0) return undefined;
    const { leadership } = state;
    if (leadership !== undefined) return proposeAtLeader(state, leadership, data, isUrgent);
    return this.#forward(data.map((one) => ({ type: 'normal', data: one })));
  }

  /** Whether {@link propose} would refuse with `noLeader` or `transferring` now. */
  get refusesProposals(): boolean {
    const state = this.#state;
    if (state.leadership === undefined) return state.leader === 0n;
    return refusalAtLeader(state, state.leadership) !== undefined;
  }

  /**
   * Proposes a change of the configuration. It is in force once the driver has applied its entry.
   * A follower passes it on; there a change that can't be taken becomes a no-op.
   */
  proposeConfigChange(change: ConfigChange): ConfigChangeRefusal | undefined {
    const state = this.#state;
    if (state.leadership !== undefined) {
      return proposeConfigChangeAtLeader(state, state.leadership, change);
    }
    return this.#forward([{ type: 'configChange', data: encodeConfigChange(change) }]);
  }

  #forward(entries: ForwardProposal['entries']): ProposeRefusal | undefined {
    const { id, leader, leaderClockMs: clockMs, term } = this.#state;
    if (leader === 0n) return 'noLeader';
    this.#state.send({ type: 'ForwardProposal', from: id, to: leader, term, clockMs, entries });
    return undefined;
  }

  /**
   * For a message to the leader that the driver sends by itself and that must not be acted on late:
   * the leader asks `isFresh`.
   */
  get ageStamp(): AgeStamp {
    const { leaderClockMs: clockMs, term } = this.#state;
    return { term, clockMs };
  }

  /** Leads in the term of the stamp, and the message is no older than `RaftOptions.forwardAge`. */
  isFresh({ term, clockMs }: AgeStamp): boolean {
    const state = this.#state;
    const { leadership } = state;
    return leadership !== undefined && term === state.term && isFresh(state, leadership, clockMs);
  }

  /**
   * Asks for the index that must be applied before a linearizable read may run. The answer is a
   * ReadState with the same `context`; there is none if leadership changes or a message is lost,
   * so the caller asks again, with a *new* context. A driver must not begin at the same context
   * after a restart: an answer to the run before may still be under way.
   */
  readIndex(context: number): 'noLeader' | undefined {
    const state = this.#state;
    const { id, leader, term, leadership } = state;
    if (leadership !== undefined) onReadIndexRequest(state, leadership, { from: id, context });
    else if (leader === 0n) return 'noLeader';
    else state.send({ type: 'ReadIndexRequest', from: id, to: leader, term, context });
    return undefined;
  }

  /** Starts an election now, if this member has a vote and is not the leader. */
  campaign(): void {
    startElection(this.#state);
  }

  /**
   * The process of `member` has ended, as certainly as another machine can know: it closed its
   * connections and refuses new ones. If it led, nobody leads as far as this member knows, until it
   * is heard again; then `campaignEarly` may follow. True: it led.
   */
  reportGone(member: MemberId): boolean {
    return leaderIsGone(this.#state, member);
  }

  /**
   * Asks the others for their votes before the election timeout, since the leader is gone: see
   * `reportGone`. It lets a turn pass in which somebody else should have won. Nothing happens where
   * a leader is known. True: it campaigns.
   */
  campaignEarly(): boolean {
    return startEarlyElection(this.#state);
  }

  /**
   * Hands leadership to `target`. Until it took over, or an election timeout has passed, proposals
   * are refused. Nothing happens if this is not the leader or `target` is no other voter.
   */
  transferLeadership(target: MemberId): void {
    const { leadership } = this.#state;
    if (leadership !== undefined) transferAtLeader(this.#state, leadership, target);
  }

  /** Forgets entries up to `index`. The state machine must hold them; followers may not. */
  compact(index: LogIndex): void {
    this.#state.log.compact(index);
  }

  /** Whether {@link ready} has something to hand out. A question: it changes nothing. */
  hasReady(): boolean {
    return this.#readyMaker.hasReady();
  }

  /** What to do next. Each is handed out once, so it must not be dropped. */
  ready(): Ready {
    return this.#readyMaker.take();
  }

  /** The Ready with this sequence, and all before it, are durable. */
  persisted(sequence: number): void {
    const state = this.#state;
    state.log.writes.persisted(sequence);
    if (state.trace !== undefined) state.trace.persisted(sequence);
    if (state.leadership !== undefined) leaderPersisted(state, state.leadership);
    else if (state.role === 'candidate') candidatePersisted(state);
  }

  /** The state machine holds everything up to `index`, which was handed out before. */
  applied(index: LogIndex): void {
    const state = this.#state;
    const { log, stages } = state;
    const awaitedSnapshot = log.awaitsSnapshot;
    log.appliedTo(index);
    if (awaitedSnapshot && !log.awaitsSnapshot) stages.snapshotInstalled();
    stages.applied();
    if (state.leadership !== undefined) leaderApplied(state, state.leadership, index);
  }

  /**
   * To be called for each 'configChange' entry when it is applied, before `applied`. A change that
   * is not possible changes nothing, on every member alike. Returns the configuration after it.
   */
  applyConfigChange(change: ConfigChange): Configuration {
    const state = this.#state;
    const { stages, log } = state;
    const next = stages.after(change);
    if (next === undefined) return stages.ofMachine;
    if (log.awaitsSnapshot) {
      stages.changed(next);
      return next;
    }
    state.trace?.applyConfChange(next);
    stages.changed(next);
    if (state.leadership !== undefined) leaderReconfigured(state, state.leadership);
    return next;
  }

  /**
   * True: stepping this message would replace the state machine, so its data have to be here
   * first. False: they are not needed, and the message can be stepped as it is.
   */
  wantsSnapshot(message: InstallSnapshot): boolean {
    return message.term >= this.#state.term && isNewSnapshot(this.#state, message.snapshot);
  }

  /** A message to `member` could not be delivered. */
  reportUnreachable(member: MemberId): void {
    const { leadership } = this.#state;
    if (leadership !== undefined) onUnreachable(leadership, member);
  }

  /** The snapshot for `member` was delivered (`ok`) or not. Owed for each InstallSnapshot sent. */
  reportSnapshot(member: MemberId, ok: boolean): void {
    const { leadership } = this.#state;
    if (leadership !== undefined) onSnapshotReport(leadership, member, ok);
  }

  get term(): Term {
    return this.#state.term;
  }

  /** 0n: unknown. */
  get leader(): MemberId {
    return this.#state.leader;
  }

  /** A copy of what matters, for people; `term` and `leader` alone cost nothing. */
  status(): RaftStatus {
    const { id, role, term, leader, log, configuration } = this.#state;
    return {
      id,
      role,
      term,
      leader,
      commit: log.commitIndex,
      applied: log.appliedIndex,
      firstIndex: log.firstIndex,
      lastIndex: log.lastIndex,
      configuration,
    };
  }

  /** Term of the entry at `index`; negative if the log does not hold it. For checks. */
  termAt(index: LogIndex): Term {
    return this.#state.log.term(index);
  }

  /** The leader's view of the others, by member id; empty elsewhere. */
  progress(): ProgressView[] {
    const state = this.#state;
    const { leadership, configuration } = state;
    if (leadership === undefined) return [];
    assert(state.role === 'leader', 'only a leader has followers');
    const views: ProgressView[] = [];
    for (const progress of leadership.progress.values()) {
      const { member, mode, matchIndex, nextIndex, pendingSnapshot, inflight } = progress;
      views.push({
        member,
        mode,
        matchIndex,
        nextIndex,
        pendingSnapshot,
        inflight: inflight.count,
        learner: configuration.learners.includes(member),
        active: isActive(state, leadership, progress),
      });
    }
    return views;
  }
}
