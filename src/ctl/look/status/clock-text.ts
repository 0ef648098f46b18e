/** How far a clock is off, as far as that can be known. */

import type { ClockOffset } from '../ask/index.js';

/** Off by more than what can't be known better; 0: perhaps not at all. */
export function surelyOffMs(clock: ClockOffset | undefined): number {
  if (clock === undefined) return 0;
  return Math.max(0, Math.abs(clock.offsetMs) - clock.uncertaintyMs);
}

/** `ok`, `+3 s`, or `-` if nothing is known. */
export function clockText(clock: ClockOffset | undefined): string {
  if (clock === undefined) return '-';
  if (surelyOffMs(clock) === 0) return 'ok';
  const seconds = (clock.offsetMs / 1000).toFixed(1);
  return `${clock.offsetMs > 0 ? '+' : ''}${seconds} s`;
}
