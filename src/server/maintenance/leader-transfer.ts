/** Handing leadership over, when an operator asks for it. */

import { type Clock, type MemberId, sleep } from '../../common/index.js';
import type { Raft } from '../../raft/index.js';

export interface LeaderTransferOptions {
  readonly clock: Clock;
  readonly raft: Pick<Raft, 'leader' | 'transferLeadership'>;
  /** Has the loop look at what Raft was told. */
  readonly wake: () => void;
}

/** How often a hand-over is looked at while it is under way. */
const checkMs = 10;

/** Resolves with true once `target` leads; false: it did not within `timeoutMs`. */
export async function transferLeadership(
  { clock, raft, wake }: LeaderTransferOptions,
  target: MemberId,
  timeoutMs: number,
  isCancelled: () => boolean = () => false,
): Promise<boolean> {
  if (raft.leader === target) return true;
  const untilMs = clock.nowMs() + timeoutMs;
  raft.transferLeadership(target);
  wake();
  while (raft.leader !== target) {
    if (clock.nowMs() >= untilMs || isCancelled()) return false;
    await sleep(clock, checkMs);
  }
  return true;
}
