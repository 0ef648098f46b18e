/**
 * The `hasleader: true` metadata: a stream with it is refused when there is no leader, and ended
 * when there has been none for three election timeouts (C-2.19, C-12.1.1).
 */

import { EtcdError } from '../../common/index.js';
import type { ServerCall } from '../../transport/index.js';
import type { LeaderView } from '../feature/index.js';

/** What this member knows about a leader. */
export type LeaderGate = Pick<LeaderView, 'hasLeader' | 'onLeaderLost'>;

/**
 * Refuses a call that requires a leader if there is none: then the result is undefined and the call
 * has ended. Else returns what to call when the stream ends; if the leader is lost before that,
 * `onLost` is called and the call ended.
 */
export function requireLeader(
  gate: LeaderGate,
  call: ServerCall,
  onLost: () => void,
): (() => void) | undefined {
  if (call.metadata('hasleader') !== 'true') return nothing;
  if (!gate.hasLeader()) {
    failWithoutLeader(call);
    return undefined;
  }
  return gate.onLeaderLost(() => {
    onLost();
    failWithoutLeader(call);
  });
}

function failWithoutLeader(call: ServerCall): void {
  const error = new EtcdError('NO_LEADER');
  call.fail(error.code, error.message);
}

function nothing(): void {}
