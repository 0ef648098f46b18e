/**
 * Bounds V8's young generation. By default it doubles under load, from 1 MiB up to 16 MiB a half
 * with Node 20, 64 MiB with Node 24, and what it once took stays resident while there is load. The
 * flag for that, --max-semi-space-size, is read before any of our code runs; the factor it grows by
 * is read at each growth. So it may grow until it is large enough, and not then.
 */

import { PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Of one half: larger ones saved no more time (docs/adr/0011-start-and-memory.md). */
export const semiSpaceBytesMax = 16 * 1024 * 1024;
/** V8's own. */
const growthFactor = 2;

/** Whoever starts Node with one of these has decided. */
const decided = /--(max|min)[-_]semi[-_]space[-_]size|--semi[-_]space[-_]growth[-_]factor/;

/** Bounds it from now on. False: `options` of Node do so already, and nothing is done. */
export function boundYoungGeneration(options: readonly string[]): boolean {
  if (options.some((option) => decided.test(option))) return false;
  let mayGrow = true;
  const look = (): void => {
    const grows = youngBytes() * growthFactor <= semiSpaceBytesMax * 2;
    if (grows === mayGrow) return;
    mayGrow = grows;
    setFlagsFromString(`--semi-space-growth-factor=${grows ? growthFactor : 1}`);
  };
  // It grows at the end of a collection, at most once, and shrinks there when there is no load.
  new PerformanceObserver(look).observe({ entryTypes: ['gc'] });
  look();
  return true;
}

/** Both halves. */
function youngBytes(): number {
  return getHeapSpaceStatistics().find(isYoung)?.space_size ?? 0;
}

function isYoung({ space_name: name }: { readonly space_name: string }): boolean {
  return name === 'new_space';
}
