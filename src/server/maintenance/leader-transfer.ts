/** Handing leadership over, when an operator asks for it. */

import type { Clock, MemberId } from '../../common/index.js';
import type { Raft } from '../../raft/index.js';
import type { NodeLoop } from '../node/loop.js';

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
