/**
 * Joins a node and its links to the other members: what arrives is handed to Raft (or to whoever
 * answers questions and sends snapshots), and the links follow the membership.
 */

import {
  type Clock,
  idToHex,
  kvorumVersion,
  type Logger,
  type MemberId,
  peerStrangersMax,
  StorageError,
} from '../../common/index.js';
import { LostLogError, type Message, type Raft } from '../../raft/index.js';
import { type Membership, type PeerAdmission, removedElections } from '../membership/index.js';
import type { ServerConfig } from '../options/index.js';
import type {
  PeerAddress,
  PeerHandler,
  PeerHello,
  PeerMethod,
  PeerRefusal,
  PeerTransport,
  SnapshotFeed,
} from '../peers/index.js';
import type { SnapshotReceiver, SnapshotSender } from '../transfer/index.js';
import type { EarlyElection } from './early-election.js';
import type { NodeLoop } from './loop.js';

/** Ends a member that has been removed from the cluster: no failure, but it can't go on. */
export class MemberRemovedError extends Error {
  override readonly name = 'MemberRemovedError';

  constructor(member: MemberId) {
    super(
      `the member ${idToHex(member)} has been permanently removed from the cluster; ` +
        'its data directory is of no use any more',
    );
  }
}

export interface MemberLinksOptions {
  readonly self: MemberId;
  readonly dataDir: string;
  readonly peers: PeerTransport;
  readonly loop: NodeLoop;
  readonly raft: Pick<Raft, 'reportUnreachable'>;
  readonly early: Pick<EarlyElection, 'gone' | 'stop'>;
  readonly membership: Membership;
  readonly admission: PeerAdmission;
  readonly receiver: SnapshotReceiver;
  readonly sender: SnapshotSender;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly electionMs: number;
  /** Answers a question of another member. */
  readonly answer: (from: MemberId, method: PeerMethod, body: Uint8Array) => Promise<Uint8Array>;
  /** This member must not go on. */
  readonly onEnd: (error: unknown) => void;
}

/** What a node says of itself to others. */
export function helloOf(who: {
  readonly clusterId: bigint;
  readonly memberId: MemberId;
  readonly incarnation: bigint;
  readonly membership: Pick<Membership, 'get'>;
  readonly config: Pick<ServerConfig, 'advertisePeerUrls'>;
}): PeerHello {
  const { clusterId, config, incarnation, memberId, membership } = who;
  const peerUrls = membership.get(memberId)?.peerUrls ?? config.advertisePeerUrls;
  return { clusterId, memberId, incarnation, version: kvorumVersion, peerUrls };
}

export class MemberLinks implements PeerHandler {
  readonly #o: MemberLinksOptions;
  /** What each member last refused us for; logged when it changes. */
  readonly #refusals = new Map<MemberId, PeerRefusal>();
  #leaving = false;
  #started = false;
  #stopped = false;
  /** Whom there are links with; and those of them that were removed a moment ago. */
  #linked = new Map<MemberId, PeerAddress>();
  readonly #departing = new Map<MemberId, PeerAddress>();
  /** Admitted, but not known as members here. */
  readonly #strangers = new Map<MemberId, PeerAddress>();

  constructor(options: MemberLinksOptions) {
    this.#o = options;
    options.membership.onChange(() => this.#follow());
  }

  /** Listens and connects; rejects if a peer URL can't be listened on. */
  async start(): Promise<void> {
    await this.#o.peers.start(this);
    this.#started = true;
    this.#follow();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#o.early.stop();
    await this.#o.receiver.stop();
    await this.#o.peers.stop();
  }

  /** This member applied its own removal. Others may still need it to learn of that. */
  removedSelf(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    const { clock, electionMs, logger, self } = this.#o;
    logger.warn('this member has been removed from the cluster; it will stop');
    clock.after(removedElections * electionMs, () => this.#o.onEnd(new MemberRemovedError(self)));
  }

  message(message: Message): void {
    if (message.type === 'InstallSnapshot') {
      this.#o.receiver.offer(message);
      return;
    }
    try {
      this.#o.loop.step(message);
    } catch (error) {
      if (!(error instanceof LostLogError)) throw error;
      this.#o.onEnd(error);
    }
  }

  unreachable(member: MemberId): void {
    this.#o.raft.reportUnreachable(member);
    this.#o.loop.schedule();
  }

  gone(member: MemberId): void {
    if (!this.#stopped) this.#o.early.gone(member);
  }

  refused(member: MemberId, refusal: PeerRefusal): void {
    const { dataDir, logger, membership, onEnd, self } = this.#o;
    if (this.#refusals.get(member) === refusal) return;
    this.#refusals.set(member, refusal);
    logger.warn('another member refuses to talk to this one', { member, refusal });
    // One that does not know us may only be behind; these two are certain.
    if (refusal === 'removed' && !membership.isRemoved(self)) onEnd(new MemberRemovedError(self));
    if (refusal === 'otherIncarnation') {
      onEnd(
        new StorageError(
          `the cluster knows member ${idToHex(self)} with another data directory than this one`,
          {
            path: dataDir,
            remedy:
              'Start it with its own data directory. If that is lost, remove the member from the ' +
              'cluster and add it anew: it has forgotten what it promised the others.',
          },
        ),
      );
    }
  }

  admit(hello: PeerHello, to: MemberId): PeerRefusal | undefined {
    return this.#o.admission.admit(hello, to);
  }

  /**
   * One that was added while this member was away may lead by now: it has to be answered, and its
   * snapshot fetched, before this member can learn who it is.
   */
  met({ memberId, peerUrls = [] }: PeerHello): void {
    const { clock, membership } = this.#o;
    if (membership.get(memberId) !== undefined || peerUrls.length === 0) return;
    // Admitted for a moment still, to learn of its removal: no stranger, and linked as it is.
    if (membership.isRemoved(memberId)) return;
    const known = this.#strangers.get(memberId)?.peerUrls.join(' ') === peerUrls.join(' ');
    if (known || this.#strangers.size >= peerStrangersMax) return;
    this.#strangers.set(memberId, { id: memberId, peerUrls });
    // The links are asking; they can't be changed under their hands.
    clock.afterTurn(() => {
      if (!this.#stopped) this.#follow();
    });
  }

  call(from: MemberId, method: PeerMethod, body: Uint8Array): Promise<Uint8Array> {
    return this.#o.answer(from, method, body);
  }

  openSnapshot(): Promise<SnapshotFeed> {
    return this.#o.sender.open();
  }

  /**
   * A member that was removed stays linked for a while: it should learn of its removal, and get the
   * answer if it was removed through itself.
   */
  #follow(): void {
    // What is applied before the start is the past: nobody in it is spoken to any more.
    if (!this.#started) return;
    const { clock, electionMs, membership, peers, self } = this.#o;
    for (const [id, address] of this.#linked) {
      if (!membership.isRemoved(id)) continue;
      this.#departing.set(id, address);
      clock.after(removedElections * electionMs, () => {
        this.#departing.delete(id);
        if (!this.#stopped) this.#follow();
      });
    }
    const others = membership.list().filter(({ id }) => id !== self);
    this.#linked = new Map(others.map((member) => [member.id, member]));
    for (const id of this.#strangers.keys()) {
      if (this.#linked.has(id) || membership.isRemoved(id)) this.#strangers.delete(id);
    }
    peers.setPeers([...others, ...this.#departing.values(), ...this.#strangers.values()]);
  }
}
