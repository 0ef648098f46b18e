/**
 * Who may talk to this member. The one that matters: a member whose data directory was wiped has
 * forgotten its votes and what it acknowledged, so under its old id it must not be listened to
 * (L-32). It is known by its incarnation, which each data directory draws once: the one that the
 * member has published, or, before it could, the first one that it came with.
 */

import { assert, type Clock, type MemberId, peerIncarnationsSeenMax } from '../../common/index.js';
import type { PeerHello, PeerRefusal } from '../peers/index.js';
import type { Member } from './member.js';
import type { Membership } from './membership.js';

export interface PeerAdmissionOptions {
  readonly clusterId: bigint;
  readonly self: MemberId;
  /** Of this program, "major.minor.patch". */
  readonly version: string;
  readonly membership: Membership;
  readonly clock: Clock;
  /**
   * So long a member that was just removed is still talked to: it should learn of its removal, and
   * whoever had it removed through itself should get an answer.
   */
  readonly graceMs: number;
}

/** Election timeouts for which a removed member goes on: see the head of raft/types.ts. */
export const removedElections = 3;

export class PeerAdmission {
  readonly #o: PeerAdmissionOptions;
  /** First seen incarnations of members that have not published theirs. */
  readonly #seen = new Map<MemberId, bigint>();
  /** Present members, and until when those that were removed while this one ran are admitted. */
  #present: ReadonlySet<MemberId>;
  readonly #leavingUntilMs = new Map<MemberId, number>();

  constructor(options: PeerAdmissionOptions) {
    this.#o = options;
    this.#present = new Set(options.membership.list().map(({ id }) => id));
    options.membership.onChange(() => this.#follow());
  }

  /** May this one talk to us? See PeerHandler. */
  admit(hello: PeerHello, to: MemberId): PeerRefusal | undefined {
    const { clusterId, self, version, membership } = this.#o;
    if (hello.clusterId !== clusterId) return 'clusterIdMismatch';
    if (to !== self) return 'notForThisMember';
    if (!areCompatible(version, hello.version)) return 'incompatibleVersion';
    const { memberId, incarnation } = hello;
    if (membership.isRemoved(memberId) && !this.#isLeaving(memberId)) return 'removed';
    assert(memberId !== 0n, 'one that says who it is has an id');
    const known = this.incarnationOf(memberId);
    if (known !== 0n) return known === incarnation ? undefined : 'otherIncarnation';
    const isStranger = membership.get(memberId) === undefined;
    if (!isStranger || this.#seen.size < peerIncarnationsSeenMax)
      this.#seen.set(memberId, incarnation);
    return undefined;
  }

  /** Whoever was removed up to now, before there were links, need not learn of it here. */
  forgetLeaving(): void {
    this.#leavingUntilMs.clear();
  }

  /** Of the member's data directory, as far as it is known here; 0n: it is not. */
  incarnationOf(member: MemberId): bigint {
    const published = this.#o.membership.get(member)?.incarnation ?? 0n;
    return published !== 0n ? published : (this.#seen.get(member) ?? 0n);
  }

  /** The members, with all that is known of their incarnations. */
  members(): Member[] {
    return this.#o.membership.list().map((member) => {
      return { ...member, incarnation: this.incarnationOf(member.id) };
    });
  }

  #isLeaving(member: MemberId): boolean {
    const untilMs = this.#leavingUntilMs.get(member);
    return untilMs !== undefined && this.#o.clock.nowMs() < untilMs;
  }

  #follow(): void {
    const { clock, graceMs, membership } = this.#o;
    const untilMs = clock.nowMs() + graceMs;
    for (const id of this.#present) {
      if (membership.isRemoved(id)) this.#leavingUntilMs.set(id, untilMs);
    }
    this.#present = new Set(membership.list().map(({ id }) => id));
    for (const member of this.#seen.keys()) {
      const published = membership.get(member)?.incarnation ?? 0n;
      if (published !== 0n || membership.isRemoved(member)) this.#seen.delete(member);
    }
  }
}

/** Programs understand each other within a major version. */
export function areCompatible(own: string, other: string): boolean {
  return own.split('.', 1)[0] === other.split('.', 1)[0];
}
