/**
 * Who is in the cluster: replicated, one meta record a member. Peer URLs come from the membership
 * change (or the bootstrap); name and client URLs from an entry that each member publishes when it
 * starts, so they are empty until then.
 *
 * The ids of removed members are kept for ever: a member that comes back under such an id has
 * forgotten, or was forgotten, and must not be listened to.
 *
 * Everything here is decided by the entries alone, so that all members decide alike
 * (C-5). What depends on who is connected is checked before a change is proposed, in
 * member-admin.ts.
 */

import {
  assert,
  assertNever,
  compareMemberIds,
  type ErrorReason,
  EtcdError,
  type MemberId,
  present,
} from '../../common/index.js';
import type { MvccWriteTxn, StoredMeta } from '../../storage/index.js';
import {
  decodeMember,
  encodeMember,
  memberIdOfName,
  memberMetaName,
  memberMetaPrefix,
  removedMetaPrefix,
} from './codec.js';
import type { Member, MemberAttributes, MemberChange, MemberUpdate } from './member.js';

/** Where changes are written. */
export type MemberTxn = Pick<MvccWriteTxn, 'setMeta'>;

const noContent = Buffer.from([1]);

export class Membership {
  readonly #members = new Map<MemberId, Member>();
  readonly #removed = new Set<MemberId>();
  readonly #listeners: Array<() => void> = [];

  /**
   * Takes over what is stored, after a start or an installed snapshot. `initial` counts while
   * nothing is stored: the founders, until the first entry has been applied, or whom a joining
   * member has been told of, until its first snapshot.
   */
  restore(store: StoredMeta, initial: readonly Member[]): void {
    const stored = [...store.metaEntries(memberMetaPrefix)];
    this.#members.clear();
    this.#removed.clear();
    if (stored.length === 0) {
      for (const member of initial) this.#members.set(member.id, member);
    }
    for (const [name, value] of stored) {
      const member = decodeMember(name, value);
      this.#members.set(member.id, member);
    }
    for (const [name] of store.metaEntries(removedMetaPrefix)) {
      this.#removed.add(memberIdOfName(removedMetaPrefix, name));
    }
    this.#changed();
  }

  /** Calls `listener` after each change of what is known here, also by `restore`. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Sorted by id. */
  list(): Member[] {
    return [...this.#members.values()].sort(byId);
  }

  /** Those who vote, sorted by id. */
  voters(): Member[] {
    return this.list().filter(({ isLearner }) => !isLearner);
  }

  get(id: MemberId): Member | undefined {
    return this.#members.get(id);
  }

  /** A learner that has said that it stays one. */
  isReadOnly(id: MemberId): boolean {
    const member = this.#members.get(id);
    return member?.isLearner === true && member.isReadOnly === true;
  }

  /** It was a member once, and never can be again. */
  isRemoved(id: MemberId): boolean {
    return this.#removed.has(id);
  }

  /** Ids of all removed members, sorted. */
  removed(): MemberId[] {
    return [...this.#removed].sort((a, b) => (a < b ? -1 : 1));
  }

  /** Applied with the first entry of the log: the bootstrap members become part of the store. */
  storeInitial(txn: MemberTxn): void {
    for (const member of this.#members.values()) this.#store(txn, member);
  }

  /**
   * A member published itself; unknown (removed meanwhile) ones are ignored, and so is one that
   * has lost its data directory since it was last heard of (L-32).
   */
  applyAttributes(txn: MemberTxn, attributes: MemberAttributes): void {
    const member = this.#members.get(attributes.id);
    if (member === undefined) return;
    const { name, clientUrls } = attributes;
    const incarnation = attributes.incarnation || member.incarnation;
    if (member.incarnation !== 0n && member.incarnation !== incarnation) return;
    // As it is read back from what is stored.
    const { isReadOnly: _before, ...others } = member;
    const readOnly = attributes.isReadOnly === true ? { isReadOnly: true } : {};
    this.#store(txn, { ...others, name, clientUrls, incarnation, ...readOnly });
    this.#changed();
  }

  /** Why `change` can't be made now; undefined: it can. In etcd's order. */
  refusal(change: MemberChange): ErrorReason | undefined {
    const { id } = change;
    if (this.#removed.has(id)) return 'MEMBER_NOT_FOUND';
    const member = this.#members.get(id);
    switch (change.type) {
      case 'add': {
        if (member !== undefined) return 'MEMBER_EXISTS';
        if (this.#isTaken(change.peerUrls, id)) return 'PEER_URL_EXISTS';
        if (!change.isLearner) return undefined;
        const learners = this.#members.size - this.voters().length;
        return learners >= change.learnersMax ? 'TOO_MANY_LEARNERS' : undefined;
      }
      case 'promote':
        if (member === undefined) return 'MEMBER_NOT_FOUND';
        return member.isLearner ? undefined : 'MEMBER_NOT_LEARNER';
      case 'remove':
        return member === undefined ? 'MEMBER_NOT_FOUND' : undefined;
      default:
        return assertNever(change, 'a change of the members');
    }
  }

  /** Throws the EtcdError of {@link refusal}, changing nothing. */
  applyChange(txn: MemberTxn, change: MemberChange): void {
    const refusal = this.refusal(change);
    if (refusal !== undefined) throw new EtcdError(refusal);
    const { id } = change;
    if (change.type === 'remove') {
      this.#members.delete(id);
      this.#removed.add(id);
      txn.setMeta(memberMetaName(memberMetaPrefix, id), undefined);
      txn.setMeta(memberMetaName(removedMetaPrefix, id), noContent);
    } else if (change.type === 'add') {
      const { peerUrls, isLearner } = change;
      this.#store(txn, { id, name: '', peerUrls, clientUrls: [], isLearner, incarnation: 0n });
    } else {
      const member = present(this.#members.get(id), 'the learner to promote');
      assert(member.isLearner, 'only a learner is promoted');
      this.#store(txn, { ...member, isLearner: false });
    }
    this.#changed();
  }

  /** New peer URLs. Throws MEMBER_NOT_FOUND or PEER_URL_EXISTS, changing nothing. */
  applyUpdate(txn: MemberTxn, { id, peerUrls }: MemberUpdate): void {
    const member = this.#members.get(id);
    if (member === undefined) throw new EtcdError('MEMBER_NOT_FOUND');
    if (this.#isTaken(peerUrls, id)) throw new EtcdError('PEER_URL_EXISTS');
    this.#store(txn, { ...member, peerUrls });
    this.#changed();
  }

  /** One of the URLs belongs to another member than `id`. */
  #isTaken(peerUrls: readonly string[], id: MemberId): boolean {
    for (const member of this.#members.values()) {
      if (member.id !== id && member.peerUrls.some((url) => peerUrls.includes(url))) return true;
    }
    return false;
  }

  #store(txn: MemberTxn, member: Member): void {
    assert(!this.#removed.has(member.id), 'the id of a removed member is never used again');
    this.#members.set(member.id, member);
    txn.setMeta(memberMetaName(memberMetaPrefix, member.id), encodeMember(member));
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function byId(a: Member, b: Member): number {
  return compareMemberIds(a.id, b.id);
}
