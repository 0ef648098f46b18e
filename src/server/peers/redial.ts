/** When a link that failed is dialled again: the same for real links and for those of simulations. */

import {
  assert,
  backoffMs,
  jittered,
  peerBackoffMsMax,
  peerBackoffMsMin,
  peerRefusedRetryMs,
  type Random,
} from '../../common/index.js';

/** 'slow': who was refused is not likely to be admitted soon. */
export type Redial = 'retry' | 'slow';

/** A link that was up for longer than this begins anew with short pauses. */
export const steadyMs = 2 * peerBackoffMsMax;

/**
 * The pause after `failures` in a row; 0: it was up for long until it failed, and is dialled at
 * once, for that tells whether the other process is still there. Members that lost each other at
 * the same time must not knock at the same time for ever, so all others are drawn.
 */
export function redialMs(how: Redial, failures: number, random: Random): number {
  assert(Number.isSafeInteger(failures) && failures >= 0, 'failures are counted');
  if (how === 'slow') return jittered(peerRefusedRetryMs, random);
  if (failures === 0) return 0;
  return backoffMs(failures - 1, peerBackoffMsMin, peerBackoffMsMax, random);
}
