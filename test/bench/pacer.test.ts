import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startPacer } from '../../bench/load/pacer.js';

/** The loop that timers run on: it can be away for a while. */
let nowMs = 0;
let tick: (() => void) | undefined;

beforeEach(() => {
  nowMs = 5000;
  vi.spyOn(performance, 'now').mockImplementation(() => nowMs);
  vi.stubGlobal('setInterval', (callback: () => void) => {
    tick = callback;
  });
  vi.stubGlobal('clearInterval', () => {
    tick = undefined;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

/** Lets `ticks` go by, `ms` each. */
function pass(ticks: number, ms = 1): void {
  for (let i = 0; i < ticks; i += 1) {
    nowMs += ms;
    tick?.();
  }
}

/** Latency that a call would have whose answer came at once. */
interface Call {
  readonly atMs: number;
  readonly countedMs: number;
}

function paced(callsPerSecond: number): { readonly calls: Call[]; readonly stop: () => void } {
  const beganMs = nowMs;
  const calls: Call[] = [];
  const stop = startPacer(callsPerSecond, (dueMs) => {
    calls.push({ atMs: nowMs - beganMs, countedMs: nowMs - dueMs });
  });
  return { calls, stop };
}

test('calls come when they are due, and nothing is added to their latencies', () => {
  const { calls, stop } = paced(100);
  pass(40);
  expect(calls.map(({ atMs }) => atMs)).toEqual([0, 10, 20, 30, 40]);
  expect(calls.map(({ countedMs }) => countedMs)).toEqual([0, 0, 0, 0, 0]);
  stop();
  pass(40);
  expect(calls).toHaveLength(5);
});

test('more calls than ticks: each tick makes those that are due, and the tick is not counted', () => {
  const { calls } = paced(4000);
  pass(10);
  expect(calls).toHaveLength(41);
  expect(Math.max(...calls.map(({ countedMs }) => countedMs))).toBe(0);
});

test('ticks that are a little late count for as long as they are', () => {
  const { calls } = paced(1000);
  pass(100, 1.25);
  expect(calls).toHaveLength(126);
  for (const { countedMs } of calls) expect(countedMs).toBeLessThanOrEqual(0.25);
});

test('a loop that stands still makes up for it, and the wait counts for each call', () => {
  const { calls } = paced(100);
  pass(5);
  pass(1, 50);
  expect(calls.map(({ atMs }) => atMs)).toEqual([0, 55, 55, 55, 55, 55]);
  expect(calls.map(({ countedMs }) => countedMs)).toEqual([0, 45, 35, 25, 15, 5]);
});
