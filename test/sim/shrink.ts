/**
 * Looks for a shorter schedule that still fails: first without halves, then quarters, then single
 * faults, as long as the same rule is broken. A run is not repeated for faults that come after it
 * has failed.
 */

import type { Fault } from './schedule.js';

/** `fails`: whether a run with only these faults breaks the rule. */
export async function shrink(
  schedule: readonly Fault[],
  fails: (schedule: readonly Fault[]) => Promise<boolean>,
  triesMax: number,
): Promise<readonly Fault[]> {
  let best = schedule;
  let tries = 0;
  for (
    let size = Math.ceil(best.length / 2);
    size >= 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let from = 0; from < best.length && tries < triesMax; ) {
      const shorter = [...best.slice(0, from), ...best.slice(from + size)];
      tries += 1;
      if (await fails(shorter)) best = shorter;
      else from += size;
    }
  }
  return best;
}
