/** Handing leadership over: when an operator asks for it, and before the leader stops. */

import type { Clock, MemberId } from '../common/index.js';
import type { Raft } from '../raft/index.js';
import type { Membership } from './membership.js';
import type { NodeLoop } from './node-loop.js';
import type { PeerTransport } from './peers/types.js';

export interface LeaderTransferOptions {
  readonly clock: Clock;
  readonly raft: Pick<Raft, 'leader' | 'transferLeadership'>;
  readonly loop: Pick<NodeLoop, 'schedule'>;
}

/** How often a hand-over is looked at while it is under way. */
const checkMs = 10;

/** Resolves with true once `target` leads; false: it did not within `timeoutMs`. */
export async function transferLeadership(
  { clock, raft, loop }: LeaderTransferOptions,
  target: MemberId,
  timeoutMs: number,
  isCancelled: () => boolean = () => false,
): Promise<boolean> {
  if (raft.leader === target) return true;
  const untilMs = clock.nowMs() + timeoutMs;
  raft.transferLeadership(target);
  loop.schedule();
  while (raft.leader !== target) {
    if (clock.nowMs() >= untilMs || isCancelled()) return false;
    await new Promise<void>((resolve) => clock.after(checkMs, resolve));
  }
  return true;
}

/** Who should lead after this member: the voter that has been connected for longest, as etcd. */
export function successorOf(
  self: MemberId,
  membership: Membership,
  peers: Pick<PeerTransport, 'connectedSinceMs'> | undefined,
): MemberId | undefined {
  let best: MemberId | undefined;
  let bestSinceMs = Number.POSITIVE_INFINITY;
  for (const { id } of membership.voters()) {
    const sinceMs = id === self ? undefined : peers?.connectedSinceMs(id);
    if (sinceMs === undefined || sinceMs >= bestSinceMs) continue;
    best = id;
    bestSinceMs = sinceMs;
  }
  return best;
}
