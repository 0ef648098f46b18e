/** The clock of open loops: calls begin when they are due, whatever has become of earlier ones. */

const tickMs = 1;

/**
 * Calls `start` `callsPerSecond` times a second with the moment at which the call was due, of
 * performance.now(): latencies count from then. Returns what ends it.
 */
export function startPacer(callsPerSecond: number, start: (dueMs: number) => void): () => void {
  const beganMs = performance.now();
  const intervalMs = 1000 / callsPerSecond;
  let started = 0;
  const timer = setInterval(() => {
    const dueCount = Math.floor((performance.now() - beganMs) / intervalMs);
    for (; started < dueCount; started += 1) start(beganMs + started * intervalMs);
  }, tickMs);
  return () => clearInterval(timer);
}
