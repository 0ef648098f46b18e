/**
 * How late the event loop is: the first thing to look at when a node answers slowly. Measured by
 * Node itself on its own timer; nothing of it runs in JavaScript.
 */

import { monitorEventLoopDelay } from 'node:perf_hooks';

/** Lateness in seconds since the last reading. */
export interface LoopLag {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const resolutionMs = 10;

/** Starts measuring; each call of the result reads and starts over, `stop` ends it. */
export function measureLoopLag(): { read(): LoopLag; stop(): void } {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs });
  delays.enable();
  // Node records the time between two firings of its timer, so the timer's period is not lateness.
  const seconds = (nanoseconds: number) => {
    const late = nanoseconds / 1e9 - resolutionMs / 1000;
    return Number.isFinite(late) ? Math.max(0, late) : 0;
  };
  return {
    read() {
      const lag =
        delays.count === 0
          ? { p50: 0, p99: 0, max: 0 }
          : {
              p50: seconds(delays.percentile(50)),
              p99: seconds(delays.percentile(99)),
              max: seconds(delays.max),
            };
      delays.reset();
      return lag;
    },
    stop: () => void delays.disable(),
  };
}
