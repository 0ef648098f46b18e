/** Who asks for something: what is known of it travels with its calls and its log entries. */

import type { ErrorReason } from './errors.js';

/** Who makes a call, as far as that was found out when it came in; immutable. */
export interface Caller {
  /** The user's name; '': nobody said. */
  readonly name: string;
  /** Of the users and roles at that time; 0: nobody said. */
  readonly authRevision: number;
  /** Why nobody knows: a token that is none (any more). */
  readonly refusal: ErrorReason | undefined;
  /** The member itself, not a client. */
  readonly isMember: boolean;
}

/** What a call without any credentials comes from. */
export const nobody: Caller = Object.freeze({
  name: '',
  authRevision: 0,
  refusal: undefined,
  isMember: false,
});

/** What a member proposes by itself: the end of leases, alarms, compactions. */
export const theMember: Caller = Object.freeze({
  name: '',
  authRevision: 0,
  refusal: undefined,
  isMember: true,
});
