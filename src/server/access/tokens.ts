/** What stands for a password once that was checked: given to a client, shown with each call. */

import type { Caller, ErrorReason, LogIndex } from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import type { AuthListener } from './auth-state.js';

export interface Tokens extends AuthListener {
  /** Random letters for a token, of which the entry gets the seal; '': it needs none. */
  draw(): string;
  /** The entry with their seal was applied: on every member, at the same place in the log. */
  assign(user: string, seal: string, index: LogIndex): void;
  /**
   * The token, at the member that was asked for it. Throws, or rejects with, the EtcdError of a
   * member that can't make any.
   */
  issue(
    user: string,
    authRevision: number,
    drawn: string,
    index: LogIndex,
  ): string | Promise<string>;
  /** Who shows the token; see Access. A promise never rejects. */
  identify(token: string, call: ServerCall): Caller | Promise<Caller>;
  identifyAgain(token: string, known: Caller | undefined): Caller;
  /** The log was applied up to here. */
  applied(index: LogIndex): void;
}

/** Who can't be told, for this reason. */
export function refusedCaller(refusal: ErrorReason): Caller {
  return { name: '', authRevision: 0, refusal, isMember: false };
}

/** A token that is none, or is no more. */
export const invalidToken: Caller = Object.freeze(refusedCaller('INVALID_AUTH_TOKEN'));
