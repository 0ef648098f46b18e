/**
 * Who is in the cluster: replicated, one meta record a member. Peer URLs come from the membership
 * change (or the bootstrap); name and client URLs from an entry that each member publishes when it
 * starts, so they are empty until then.
 */

import { Packr } from 'msgpackr';
import { assert, type MemberId, present } from '../common/index.js';
import type { MvccStore, MvccWriteTxn } from '../storage/index.js';

export interface Member {
  readonly id: MemberId;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
}

/** What a member tells about itself. */
export interface MemberAttributes {
  readonly id: MemberId;
  readonly name: string;
  readonly clientUrls: readonly string[];
}

export const memberMetaPrefix = 'member/';
// Plain maps only: no structures, no extensions, so that any msgpack reader can read a record.
const codec = new Packr({ useRecords: false, moreTypes: false });

/** Bytes of a log entry's body that publishes `attributes`. */
export function encodeAttributes(attributes: MemberAttributes): Buffer {
  const { id, name, clientUrls } = attributes;
  return codec.pack({ id: id.toString(16), name, clientUrls });
}

export function decodeAttributes(body: Uint8Array): MemberAttributes {
  const { id, name, clientUrls } = codec.unpack(body) as {
    id: string;
    name: string;
    clientUrls: string[];
  };
  return { id: BigInt(`0x${id}`), name, clientUrls };
}

/** A member from its meta record. */
export function decodeMember(name: string, value: Uint8Array): Member {
  const id = BigInt(`0x${name.slice(memberMetaPrefix.length)}`);
  return { ...(codec.unpack(value) as Omit<Member, 'id'>), id };
}

export class Membership {
  readonly #members = new Map<MemberId, Member>();

  /** `initial` counts until the first entry has been applied, which makes it part of the store. */
  restore(store: Pick<MvccStore, 'metaEntries'>, initial: readonly Member[]): void {
    const stored = store.metaEntries(memberMetaPrefix);
    if (stored.length === 0) {
      for (const member of initial) this.#members.set(member.id, member);
    }
    for (const [name, value] of stored) {
      const member = decodeMember(name, value);
      this.#members.set(member.id, member);
    }
    assert(this.#members.size > 0, 'a cluster has members');
  }

  /** Sorted by id. */
  list(): Member[] {
    return [...this.#members.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  get(id: MemberId): Member | undefined {
    return this.#members.get(id);
  }

  /** Applied with the first entry of the log: the bootstrap members become part of the store. */
  storeInitial(txn: MvccWriteTxn): void {
    for (const member of this.#members.values()) this.#store(txn, member);
  }

  /** A member published itself; unknown (removed meanwhile) ones are ignored. */
  applyAttributes(txn: MvccWriteTxn, attributes: MemberAttributes): void {
    if (!this.#members.has(attributes.id)) return;
    const member = present(this.#members.get(attributes.id), 'member');
    const { name, clientUrls } = attributes;
    this.#store(txn, { ...member, name, clientUrls });
  }

  #store(txn: MvccWriteTxn, member: Member): void {
    this.#members.set(member.id, member);
    const { id, ...rest } = member;
    txn.setMeta(memberMetaPrefix + id.toString(16).padStart(16, '0'), codec.pack(rest));
  }
}
