/**
 * How members reach each other (step 7 of the data path): Raft messages, questions, snapshots.
 *
 * Everything that the server needs of other members goes through `PeerTransport`, so that a
 * simulator can put a lossy, reordering wire in its place. Nothing here decides anything: what a
 * message means is Raft's business, what a question means its handler's.
 *
 * A link carries messages in one direction. It has two lanes: entries on one, everything else on
 * the other, so that a heartbeat never waits behind a megabyte of entries.
 */

import type { MemberId } from '../../common/index.js';
import type { Message } from '../../raft/index.js';

/** Where a member listens for others. */
export interface PeerAddress {
  readonly id: MemberId;
  /** As in --initial-advertise-peer-urls. */
  readonly peerUrls: readonly string[];
}

/** What each side tells the other before anything else. */
export interface PeerHello {
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  /**
   * Drawn when the data directory was founded. A member whose disk was wiped comes with another
   * one under its old id, and must not be listened to: it has forgotten its votes.
   */
  readonly incarnation: bigint;
  /** Of the program, "major.minor.patch". */
  readonly version: string;
  /**
   * Where the sender is reached: for one that was added while the other side was away, and leads
   * by now. Without an address it could not be answered, nor its snapshot be fetched.
   */
  readonly peerUrls?: readonly string[];
}

/** Why a member is not talked to; the other side logs it, and some of them end it. */
export type PeerRefusal =
  | 'clusterIdMismatch'
  | 'notForThisMember'
  | 'removed'
  | 'otherIncarnation'
  | 'incompatibleVersion';

/** Questions that members ask each other; the body is msgpack, see the handlers. */
export type PeerMethod = 'cluster' | 'memberChange' | 'leaseRenew' | 'leaseTimeToLive' | 'hashKv';

/** One consistent state of a member, to be read in pieces. Must be closed. */
export interface SnapshotFeed {
  /**
   * The next piece after `position` (empty: the first one), at most about a megabyte; undefined
   * at the end. The last piece holds a hash of everything, which the receiver checks.
   */
  next(position: Uint8Array): Promise<SnapshotPiece | undefined>;
  close(): Promise<void>;
}
export interface SnapshotPiece {
  readonly data: Uint8Array;
  /** Where to go on after this piece: an opaque argument of `next`. */
  readonly position: Uint8Array;
}

/** What a member does for others; given to {@link PeerTransport.start}. */
export interface PeerHandler {
  /** A Raft message of a member that was admitted. Its buffers belong to the receiver. */
  message(message: Message): void;
  /** A message to `member` was dropped or its link broke: see `Raft.reportUnreachable`. */
  unreachable(member: MemberId): void;
  /**
   * The process of `member` has ended, as certainly as can be known from elsewhere: we had a link
   * to it, that is down, it has none to us, and its machine says that nobody listens at any of its
   * URLs. Told at each attempt to reach it. A machine that is silent, and one that accepts and
   * closes, say nothing of the kind.
   */
  gone(member: MemberId): void;
  /** `member` answers us with `refusal` and will go on doing so; told at each attempt. */
  refused(member: MemberId, refusal: PeerRefusal): void;
  /** May this one talk to us? `to` is whom it thinks it is talking to. Asked again at any time. */
  admit(hello: PeerHello, to: MemberId): PeerRefusal | undefined;
  /** One that was admitted has just called us. */
  met(hello: PeerHello): void;
  /**
   * Answers a question; `from` is 0n if the other is no member yet (only 'cluster' is answered
   * then). What it rejects with reaches the other side: an EtcdError as itself.
   */
  call(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Uint8Array>;
  /** A consistent state of this member, for one that is too far behind. */
  openSnapshot(): Promise<SnapshotFeed>;
}

/** The links of one member to all others. */
export interface PeerTransport {
  /** Listens on the peer URLs; rejects if one can't be had. */
  start(handler: PeerHandler): Promise<void>;
  /** Whom to have links with: all other members. Links to others end, URLs may change. */
  setPeers(peers: readonly PeerAddress[]): void;
  /**
   * Sends each message to its `to`. Never waits: a message that finds no link or no room in the
   * queue of its lane is dropped, and `unreachable` told, at most once a turn and member.
   */
  send(messages: readonly Message[]): void;
  /**
   * Runs `work`, which may send. What leaves this member because of it, answers to clients as well,
   * leaves with its end and not a turn later, if that is little.
   */
  hurried(work: () => void): void;
  /** Within `hurried`: what is there leaves before `work` goes on, if that is little. */
  flush(): void;
  /**
   * Asks a member. Rejects with an EtcdError of the other side or TIMEOUT, or else with a PeerError
   * (handshake.ts): UNAVAILABLE if there is no link, a refusal, a failure that is none of etcd's.
   */
  call(member: MemberId, method: PeerMethod, body: Uint8Array, timeoutMs: number): Promise<Buffer>;
  /**
   * As `call`, but of whoever listens at `url`: before this member is one. Rejects with the reason
   * of `signal` if that aborts first.
   */
  callUrl(
    url: string,
    method: PeerMethod,
    body: Uint8Array,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<Buffer>;
  /**
   * Fetches a snapshot of `member`, piece by piece; `receive` is awaited before more is asked for.
   * A broken connection is taken up again after the last piece received, while the other side
   * still has the snapshot; else it rejects, and whoever wants it begins anew.
   */
  fetchSnapshot(
    member: MemberId,
    receive: (piece: Uint8Array) => Promise<void>,
    signal: AbortSignal,
  ): Promise<void>;
  /** Since when (Clock.nowMs) both lanes to `member` are up; undefined: they are not. */
  connectedSinceMs(member: MemberId): number | undefined;
  /** Ends all links and stops listening. */
  stop(): Promise<void>;
}
