/** What the door asks of whoever writes down who did what: see audit/. */

import type { MethodHandler, ServerCall } from '../../transport/index.js';

export interface CallAuditor {
  /** Undefined: no call of this method is ever written down. Asked once for each method. */
  of(method: string, kind: MethodHandler['kind']): MethodAuditor | undefined;
}

/** For one method. */
export interface MethodAuditor {
  /** A call has come; `request`, which is borrowed, of all but streams of requests. */
  begin(call: ServerCall, request?: Buffer): void;
  /** The handler of a stream has just begun: what it is sent passes here from now on. */
  follow(call: ServerCall): void;
}
