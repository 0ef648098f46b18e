/**
 * Loaded into a member before its own code (`node --import`): finds the longest turns of its event
 * loop, in CPU time of the main thread, so that what else runs on the machine does not count. Each
 * millisecond a timer asks the kernel for that time; what has passed since the last one is at most
 * one turn and a millisecond. Collections are told apart, for they come in the middle of any turn.
 */

import { openSync, readSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';
import type { Piece, PieceReport } from './types.js';

const tickMs = 1;
/** Pieces and collections that are kept, the longest ones. */
const keptMax = 20;

interface Span {
  readonly startMs: number;
  readonly endMs: number;
  readonly cpuMs: number;
}

const file = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
const text = Buffer.alloc(64);
let pieces: Span[] = [];
let collections: Span[] = [];
let lastMs = performance.now();
let lastCpuMs = threadCpuMs();

/** What the main thread has had of a processor. */
function threadCpuMs(): number {
  const length = readSync(file, text, 0, text.length, 0);
  let nanos = 0;
  for (let i = 0; i < length; i += 1) {
    const digit = (text[i] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    nanos = nanos * 10 + digit;
  }
  return nanos / 1e6;
}

function keep(spans: Span[], span: Span): Span[] {
  spans.push(span);
  if (spans.length < 2 * keptMax) return spans;
  return spans.sort((a, b) => b.cpuMs - a.cpuMs).slice(0, keptMax);
}

setInterval(() => {
  const nowMs = performance.now();
  const cpuMs = threadCpuMs();
  pieces = keep(pieces, { startMs: lastMs, endMs: nowMs, cpuMs: cpuMs - lastCpuMs });
  lastMs = nowMs;
  lastCpuMs = cpuMs;
}, tickMs);

new PerformanceObserver((list) => {
  for (const { startTime, duration } of list.getEntries()) {
    const span = { startMs: startTime, endMs: startTime + duration, cpuMs: duration };
    collections = keep(collections, span);
  }
}).observe({ entryTypes: ['gc'] });

function described(piece: Span): Piece {
  let collectedMs = 0;
  for (const { startMs, endMs } of collections) {
    const overlapMs = Math.min(endMs, piece.endMs) - Math.max(startMs, piece.startMs);
    if (overlapMs > 0) collectedMs += overlapMs;
  }
  return { cpuMs: piece.cpuMs, collectedMs: Math.min(collectedMs, piece.cpuMs) };
}

process.on('message', (order: 'reset' | 'report') => {
  if (order === 'report') {
    const longest = pieces.map(described).sort((a, b) => b.cpuMs - a.cpuMs);
    const report: PieceReport = { longest: longest.slice(0, keptMax) };
    process.send?.(report);
    return;
  }
  pieces = [];
  collections = [];
  lastMs = performance.now();
  lastCpuMs = threadCpuMs();
  process.send?.({ longest: [] } satisfies PieceReport);
});
process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
