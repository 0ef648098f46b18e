/**
 * The bytes of everything that is stored or logged about members: meta records, and the bodies of
 * the entries that change them. Plain msgpack maps, ids in hex, so that any msgpack reader can read
 * them.
 */

import { Packr } from 'msgpackr';
import { assertNever, idToHex, type MemberId } from '../../common/index.js';
import type { ConfigChangeStep } from '../../raft/index.js';
import type { Member, MemberAttributes, MemberChange, MemberUpdate } from './member.js';

export const memberMetaPrefix = 'member/';
/** Ids that were members once; the records have no content. */
export const removedMetaPrefix = 'removedMember/';

// Plain maps only: no structures, no extensions.
const codec = new Packr({ useRecords: false, moreTypes: false });

/** An id from its hex form. */
export function idFromHex(text: string): bigint {
  return BigInt(`0x${text}`);
}

/** Name of the meta record of a member, or of a removed one. */
export function memberMetaName(prefix: string, id: MemberId): string {
  return prefix + id.toString(16).padStart(16, '0');
}

/** The id in a meta name. */
export function memberIdOfName(prefix: string, name: string): MemberId {
  return idFromHex(name.slice(prefix.length));
}

interface StoredMember {
  readonly name: string;
  readonly peerUrls: string[];
  readonly clientUrls: string[];
  readonly isLearner: boolean;
  /** Missing in records of a version without it. */
  readonly incarnation?: string;
  /** Only there if it is so: the records of all others are as they always were. */
  readonly isReadOnly?: true;
}

export function encodeMember(member: Member): Buffer {
  const { name, peerUrls, clientUrls, isLearner, incarnation, isReadOnly } = member;
  return codec.pack({
    name,
    peerUrls,
    clientUrls,
    isLearner,
    incarnation: idToHex(incarnation),
    ...ifReadOnly(isReadOnly),
  });
}

/** A member from its meta record. */
export function decodeMember(name: string, value: Uint8Array): Member {
  const stored = codec.unpack(value) as StoredMember;
  return {
    id: memberIdOfName(memberMetaPrefix, name),
    name: stored.name,
    peerUrls: stored.peerUrls,
    clientUrls: stored.clientUrls,
    isLearner: stored.isLearner,
    incarnation: idFromHex(stored.incarnation ?? '0'),
    ...ifReadOnly(stored.isReadOnly),
  };
}

/** The property, only where it is true. */
function ifReadOnly(isReadOnly: boolean | undefined): { readonly isReadOnly?: true } {
  return isReadOnly === true ? { isReadOnly } : {};
}

/** Bytes of a log entry's body that publishes `attributes`. */
export function encodeAttributes(attributes: MemberAttributes): Buffer {
  const { id, name, clientUrls, incarnation, isReadOnly } = attributes;
  return codec.pack({
    id: idToHex(id),
    name,
    clientUrls,
    incarnation: idToHex(incarnation),
    ...ifReadOnly(isReadOnly),
  });
}

export function decodeAttributes(body: Uint8Array): MemberAttributes {
  const stored = codec.unpack(body) as {
    id: string;
    name: string;
    clientUrls: string[];
    incarnation?: string;
    isReadOnly?: boolean;
  };
  return {
    id: idFromHex(stored.id),
    name: stored.name,
    clientUrls: stored.clientUrls,
    incarnation: idFromHex(stored.incarnation ?? '0'),
    ...ifReadOnly(stored.isReadOnly),
  };
}

/** Body of an EntryKind.memberChange. */
export function encodeMemberChange(change: MemberChange): Buffer {
  const id = idToHex(change.id);
  if (change.type !== 'add') return codec.pack({ type: change.type, id });
  const { type, peerUrls, isLearner, learnersMax } = change;
  return codec.pack({ type, id, peerUrls, isLearner, learnersMax });
}

export function decodeMemberChange(body: Uint8Array): MemberChange {
  const stored = codec.unpack(body) as { type: MemberChange['type']; id: string };
  const id = idFromHex(stored.id);
  switch (stored.type) {
    case 'add': {
      const { peerUrls, isLearner, learnersMax } = stored as typeof stored & {
        peerUrls: string[];
        isLearner: boolean;
        learnersMax: number;
      };
      return { type: 'add', id, peerUrls, isLearner, learnersMax };
    }
    case 'promote':
    case 'remove':
      return { type: stored.type, id };
    default:
      return assertNever(stored.type, 'a change of the members');
  }
}

/** Body of an EntryKind.memberUpdate. */
export function encodeMemberUpdate({ id, peerUrls }: MemberUpdate): Buffer {
  return codec.pack({ id: idToHex(id), peerUrls });
}

export function decodeMemberUpdate(body: Uint8Array): MemberUpdate {
  const { id, peerUrls } = codec.unpack(body) as { id: string; peerUrls: string[] };
  return { id: idFromHex(id), peerUrls };
}

/** What the change means to Raft. */
export function configChangeSteps(change: MemberChange): readonly ConfigChangeStep[] {
  const { id: member } = change;
  switch (change.type) {
    case 'add':
      return [{ type: change.isLearner ? 'addLearner' : 'addVoter', member }];
    case 'promote':
      return [{ type: 'addVoter', member }];
    case 'remove':
      return [{ type: 'remove', member }];
  }
}
