/**
 * What the Raft core takes in and gives out. Words are those of the Raft paper (Ongaro and
 * Ousterhout, "In Search of an Understandable Consensus Algorithm") and of Ongaro's thesis.
 *
 * The core is pure: `step`, `tick` and `propose` change one state; `ready` hands out what must be
 * persisted, sent and applied. The caller's duties, in order, for each Ready:
 *   1. send `messages` at once, they depend on nothing that is still to be written;
 *   2. append `entries`, `hardState` and `snapshot` to stable storage; Readys are persisted in the
 *      order they were handed out, and a later one may be taken while an earlier is being written;
 *   3. once durable: call `persisted(ready.sequence)`, then send `messagesAfterPersist`
 *      (thesis 3.8: no reply may leave before what it promises is on disk);
 *   4. apply `snapshot`, then `committedEntries`, in order, and call `applied(index)`.
 * `committedEntries` are handed out only once they are durable here as well.
 *
 * Beyond that:
 *   - `hardState` and `entries` of one Ready go into one write, `hardState` first.
 *   - For each 'configChange' entry applied: `applyConfigChange`, before `applied`.
 *   - For each InstallSnapshot sent: `reportSnapshot`. The driver may send a later state of its
 *     machine than the message names, with the meta of what it sends. The receiver steps the
 *     message when it has the data, or fetches the data before it installs `snapshot`.
 *   - Messages may be lost, repeated and reordered, but a repeated ForwardProposal is proposed
 *     twice, and a ReadIndexResponse to an earlier run of this process must not meet the same
 *     `context` again.
 *   - A member that applied its own removal should go on answering for a few election timeouts:
 *     the others may have missed the last commit index and learn it from its refusals to vote.
 *   - A member whose disk was lost must come back under a new id: see restore.ts.
 */

import type { LogIndex, MemberId, Term } from '../common/index.js';

/** What an entry means to the state machine or to Raft itself. */
export type EntryType = 'normal' | 'configChange' | 'noop';

/** One position of the replicated log. `data` is never changed after it was proposed. */
export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly type: EntryType;
  readonly data: Uint8Array;
}

/**
 * Must be durable before anything that depends on it is sent (paper figure 2, "persistent state").
 */
export interface HardState {
  readonly term: Term;
  /** 0n: none. */
  readonly vote: MemberId;
  /** Only a hint after a restart; may lag. */
  readonly commit: LogIndex;
}

/** Who votes and who only listens; `votersOutgoing` is non-empty in a joint configuration. */
export interface Configuration {
  readonly voters: readonly MemberId[];
  readonly votersOutgoing: readonly MemberId[];
  readonly learners: readonly MemberId[];
  /** Voters of the outgoing half that become learners once the joint phase is left. */
  readonly learnersNext: readonly MemberId[];
  /** The leader leaves the joint configuration by itself. */
  readonly autoLeave: boolean;
}

/** The state machine as of `index`; the data itself travels outside of Raft messages. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly configuration: Configuration;
}

/** One step of a membership change (thesis 4.3). */
export interface ConfigChangeStep {
  readonly type: 'addVoter' | 'addLearner' | 'remove';
  readonly member: MemberId;
}

/** A change of the configuration; more than one step, or `joint`, goes through joint consensus. */
export interface ConfigChange {
  readonly steps: readonly ConfigChangeStep[];
  readonly transition: 'auto' | 'jointImplicit' | 'jointExplicit';
  /** Opaque to Raft: what the server wants to know when it applies the change. */
  readonly context: Uint8Array;
}

interface Envelope {
  readonly from: MemberId;
  readonly to: MemberId;
  readonly term: Term;
}

/** Replicates entries; with none it probes (paper figure 2, AppendEntries RPC). */
export interface AppendEntries extends Envelope {
  readonly type: 'AppendEntries';
  readonly prevLogIndex: LogIndex;
  readonly prevLogTerm: Term;
  readonly entries: readonly Entry[];
  readonly leaderCommit: LogIndex;
  /**
   * It has no entries and only brings `leaderCommit` to one that keeps up: nothing hangs on an
   * answer, so none is sent, but that it does not match. Not from older versions.
   */
  readonly isNotice?: true;
}
export interface AppendEntriesResponse extends Envelope {
  readonly type: 'AppendEntriesResponse';
  readonly success: boolean;
  /** Success: last index known to match. Rejection: the rejected `prevLogIndex`. */
  readonly index: LogIndex;
  /** Rejection: the largest index at which the logs might agree, and the follower's term there. */
  readonly hintIndex: LogIndex;
  readonly hintTerm: Term;
}
/**
 * What the sender knows to be committed. Votes carry it because members act on a configuration
 * only once they know that it is committed: without it, a member that missed the last commit index
 * of a leader that removed itself may need the vote of one that will not give it, forever.
 */
interface CommitNews {
  readonly commit: LogIndex;
  readonly commitTerm: Term;
}
/**
 * Asserts leadership; `readSequence` confirms reads (thesis 6.4), 0 if there is none to confirm.
 */
export interface Heartbeat extends Envelope {
  readonly type: 'Heartbeat';
  readonly commit: LogIndex;
  readonly readSequence: number;
  /** The sender's own clock, for ForwardProposal to bring back; not from older versions. */
  readonly clockMs?: number;
}
export interface HeartbeatResponse extends Envelope {
  readonly type: 'HeartbeatResponse';
  readonly readSequence: number;
}
export interface RequestVote extends Envelope, CommitNews {
  readonly type: 'RequestVote';
  readonly lastLogIndex: LogIndex;
  readonly lastLogTerm: Term;
  /** Pre-vote (thesis 9.6): `term` is the one the sender would use; nobody changes state. */
  readonly preVote: boolean;
  /** A leadership transfer: members that hear from a leader answer all the same. */
  readonly transfer: boolean;
}
export interface RequestVoteResponse extends Envelope, CommitNews {
  readonly type: 'RequestVoteResponse';
  readonly preVote: boolean;
  readonly granted: boolean;
}
/** Tells a follower to fetch and install the snapshot (paper section 7). */
export interface InstallSnapshot extends Envelope {
  readonly type: 'InstallSnapshot';
  readonly snapshot: SnapshotMeta;
}
/** Follower to leader: a linearizable read wants an index. `context` returns unchanged. */
export interface ReadIndexRequest extends Envelope {
  readonly type: 'ReadIndexRequest';
  readonly context: number;
}
export interface ReadIndexResponse extends Envelope {
  readonly type: 'ReadIndexResponse';
  readonly context: number;
  readonly index: LogIndex;
}
/** Leadership transfer: campaign now (thesis 3.10). */
export interface TimeoutNow extends Envelope {
  readonly type: 'TimeoutNow';
}
/** Follower to leader: proposals made at the follower. */
export interface ForwardProposal extends Envelope {
  readonly type: 'ForwardProposal';
  /**
   * Of the newest heartbeat in this term that the sender had heard: what the leader's own clock
   * showed before this was sent. 0: it has heard none yet; not from older versions.
   */
  readonly clockMs?: number;
  readonly entries: readonly { readonly type: EntryType; readonly data: Uint8Array }[];
}

export type Message =
  | AppendEntries
  | AppendEntriesResponse
  | Heartbeat
  | HeartbeatResponse
  | RequestVote
  | RequestVoteResponse
  | InstallSnapshot
  | ReadIndexRequest
  | ReadIndexResponse
  | TimeoutNow
  | ForwardProposal;

/** `context` of a `readIndex` call, and the index that must be applied before the read may run. */
export interface ReadState {
  readonly context: number;
  readonly index: LogIndex;
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/** What `ready` hands out; see the head of this file for what the caller owes. */
export interface Ready {
  /** Increases by one with every Ready; the argument of `persisted`. */
  readonly sequence: number;
  /** Set when it changed. */
  readonly hardState: HardState | undefined;
  /** To append; overwrites the log from the first one's index on. */
  readonly entries: readonly Entry[];
  /** To install before anything later; its entries are gone from the log. */
  readonly snapshot: SnapshotMeta | undefined;
  readonly messages: readonly Message[];
  readonly messagesAfterPersist: readonly Message[];
  readonly committedEntries: readonly Entry[];
  readonly readStates: readonly ReadState[];
  /** False: nothing of this Ready needs an fsync (only the commit hint moved, or nothing). */
  readonly mustSync: boolean;
}

/**
 * Why a proposal was not taken; nothing of it will happen. `changePending`: an earlier change of
 * the configuration is not applied yet, or this leader has not committed anything yet: try again.
 */
export type ProposeRefusal = 'noLeader' | 'transferring' | 'tooMuchUncommitted' | 'changePending';

/** `invalidChange`: not possible from the present configuration. */
export type ConfigChangeRefusal = ProposeRefusal | 'invalidChange';

/** What tells the leader of `term` how old a message is at the most; see `Raft.isFresh`. */
export interface AgeStamp {
  readonly term: Term;
  /** As in ForwardProposal. */
  readonly clockMs: number;
}

/** What was found on stable storage at start. */
export interface RaftRestore {
  readonly hardState: HardState;
  /** The state machine's point; `entries` begin right after it. */
  readonly snapshot: SnapshotMeta;
  readonly entries: readonly Entry[];
  /** Everything up to here is already in the state machine. */
  readonly applied: LogIndex;
  /**
   * The configuration as of `applied`, if the driver keeps it. Else it is worked out from
   * `snapshot` and the changes among `entries`.
   */
  readonly appliedConfiguration?: Configuration;
}

/** For status pages, metrics and tests. */
export interface RaftStatus {
  readonly id: MemberId;
  readonly role: Role;
  readonly term: Term;
  readonly leader: MemberId;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  readonly firstIndex: LogIndex;
  readonly lastIndex: LogIndex;
  readonly configuration: Configuration;
}
