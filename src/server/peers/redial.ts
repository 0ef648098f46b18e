/** When a link that failed is dialled again: the same for real links and for those of simulations. */

import {
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
 * The pause after `failures` (at least 1) in a row. Members that lost each other at the same time
 * must not knock at the same time for ever, so it is drawn.
 */
export function redialMs(how: Redial, failures: number, random: Random): number {
  if (how === 'slow') return jittered(peerRefusedRetryMs, random);
  return backoffMs(Math.max(0, failures - 1), peerBackoffMsMin, peerBackoffMsMax, random);
}
