/**
 * Why a proposal may have timed out, told as etcd tells it: the leader failed while it waited, or
 * the links to those who had to agree were down. The outcome is unknown in each case.
 */

import type { ErrorReason, MemberId } from '../../common/index.js';
import type { Membership } from '../membership/index.js';
import type { PeerTransport } from '../peers/index.js';
import type { Leadership } from './leadership.js';

export interface TimeoutReasonOptions {
  readonly self: MemberId;
  readonly electionMs: number;
  readonly leaderWatch: Pick<Leadership, 'leader' | 'electedMs'>;
  readonly membership: Pick<Membership, 'voters'>;
  readonly peers: Pick<PeerTransport, 'connectedSinceMs'> | undefined;
}

/** For a proposal that was made at `startMs` (Clock.nowMs). */
export function timeoutReason(options: TimeoutReasonOptions, startMs: number): ErrorReason {
  const { self, electionMs, leaderWatch, membership, peers } = options;
  const { leader, electedMs } = leaderWatch;
  // Two election timeouts before the present leader won, at the latest, its predecessor was lost.
  const lostMs = electedMs - 2 * electionMs;
  if (startMs > lostMs && startMs < electedMs) return 'TIMEOUT_LEADER_FAILURE';
  const isConnected = (id: MemberId): boolean => {
    const sinceMs = peers?.connectedSinceMs(id);
    return id === self || (sinceMs !== undefined && sinceMs <= startMs);
  };
  if (leader === 0n) return 'TIMEOUT';
  if (leader !== self) return isConnected(leader) ? 'TIMEOUT' : 'TIMEOUT_CONNECTION_LOST';
  const voters = membership.voters();
  const connected = voters.filter(({ id }) => isConnected(id)).length;
  return connected > voters.length / 2 ? 'TIMEOUT' : 'TIMEOUT_CONNECTION_LOST';
}
