/** The clock of open loops: calls begin when they are due, whatever has become of earlier ones. */

const tickMs = 1;

/**
 * Calls `start` `callsPerSecond` times a second, the first time at once, with the moment of
 * performance.now() from which its latency counts. That is when the call was due, or the tick of
 * the clock that comes next: that the clock is coarse is no server's fault. A tick that comes late
 * does not move it. Returns what ends it.
 */
export function startPacer(callsPerSecond: number, start: (dueMs: number) => void): () => void {
  const beganMs = performance.now();
  const intervalMs = 1000 / callsPerSecond;
  let started = 0;
  let nextTickMs = beganMs;
  const tick = (): void => {
    const nowMs = performance.now();
    const onTimeMs = Math.min(nextTickMs, nowMs);
    for (; beganMs + started * intervalMs <= nowMs; started += 1) {
      start(Math.max(beganMs + started * intervalMs, onTimeMs));
    }
    nextTickMs = nowMs + tickMs;
  };
  const timer = setInterval(tick, tickMs);
  tick();
  return () => clearInterval(timer);
}
