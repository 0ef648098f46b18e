/**
 * Who may do what: what guards, handlers and apply ask, and the words they ask in. Users, roles and
 * tokens stand behind it.
 *
 * Each call is looked at three times (C-4):
 *
 *     at the door     who is it (identify), and may anybody like that call this at all
 *                     (requirements.ts); rpc/guards.ts
 *     by its handler  may this caller do what the request asks: reads right before they read,
 *                     changes in Host.propose
 *     at apply        changes once more: users and roles may be others by then, and only now all
 *                     members see the same ones
 *
 * A refusal is always an ErrorReason, never thrown: `undefined` is "may".
 */

import { type Caller, type ErrorReason, type KeyString, theMember } from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';

/** What is asked of users and roles; equal on all members at the same place in the log. */
export interface Permissions {
  /** Off: everybody may do everything, and nobody is asked who he is. */
  readonly isEnabled: boolean;
  /** Grows with each change of users, roles and permissions; begins at 1. */
  readonly revision: number;
  /**
   * Refuses a caller whose credentials are older than the newest change of users or roles, who has
   * none, or who lacks the permission on any key of [key, rangeEnd): '' is one key, a zero byte all
   * from `key` on, as in requests.
   */
  readRefusal(caller: Caller, key: KeyString, rangeEnd: KeyString): ErrorReason | undefined;
  writeRefusal(caller: Caller, key: KeyString, rangeEnd: KeyString): ErrorReason | undefined;
  /** Refuses whoever has not the role root. */
  rootRefusal(caller: Caller): ErrorReason | undefined;
  /** Refuses whoever has not said who he is. */
  userRefusal(caller: Caller): ErrorReason | undefined;
  /** Whether the caller has the role root: asks nothing of keys. */
  isRoot(caller: Caller): boolean;
  /**
   * Before a caller is asked for at apply: undefined, or, for one with very many permissions,
   * resolves once they are looked through. It may be asked without, then all others wait.
   */
  prepare(caller: Caller): Promise<void> | undefined;
  /** Whether the user has been granted the role. */
  hasRole(name: string, role: string): boolean;
}

export interface Access extends Permissions {
  /**
   * Who makes the call: by its token, else by the common name of a verified client certificate. At
   * once if that can be; a promise (which never rejects) where a token has to be checked on another
   * thread, or is of an entry that is not applied here yet. Only asked while auth is on.
   */
  identify(call: ServerCall): Caller | Promise<Caller>;
  /**
   * The same for a later message of a stream: `known` is what the call was found to be from before,
   * or undefined if auth was off then. A promise only where users have changed and this one has so
   * many permissions that they are looked through in slices.
   */
  identifyAgain(call: ServerCall, known: Caller | undefined): Caller | Promise<Caller>;
}

/** Whom the entries of the member itself name, that are not a client's; see newEntry. */
export function memberCaller({ isEnabled }: Pick<Permissions, 'isEnabled'>): Caller | undefined {
  // Without auth as earlier versions wrote them: those must be able to read them.
  return isEnabled ? theMember : undefined;
}

/** A store on which auth is off, for ever. */
export const openAccess: Access = {
  isEnabled: false,
  revision: 1,
  readRefusal: () => undefined,
  writeRefusal: () => undefined,
  rootRefusal: () => undefined,
  userRefusal: () => undefined,
  isRoot: () => true,
  prepare: () => undefined,
  hasRole: () => false,
  identify: () => {
    throw new Error('nobody is asked who he is while auth is off');
  },
  identifyAgain: () => {
    throw new Error('nobody is asked who he is while auth is off');
  },
};
