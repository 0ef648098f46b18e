/** What people read of a run, and whether it did enough to prove anything. */

import type { Report, Violation } from '../checkers/report.js';
import type { ChaosOptions } from './options.js';

/** How long writes stood still after each fault of one kind. */
export interface Gaps {
  readonly kind: string;
  readonly count: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface Summary {
  readonly program: string;
  readonly seed: number;
  readonly members: number;
  readonly minutes: number;
  readonly operations: number;
  readonly operationsPerSecond: number;
  readonly outcomes: Readonly<Record<string, number>>;
  readonly revisions: number;
  readonly watchers: number;
  readonly watchEvents: number;
  readonly leases: number;
  readonly windows: number;
  readonly windowsLeftOut: number;
  readonly elections: number;
  readonly term: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly gaps: readonly Gaps[];
  readonly wholeAgainMs: { readonly medianMs: number; readonly maxMs: number };
  readonly peerConnections: number;
  readonly harnessMb: number;
  readonly checks: Readonly<Record<string, number>>;
  readonly checkCount: number;
  readonly violationCount: number;
  readonly violations: readonly Violation[];
  /** Why the run proves too little; etcd's periodic test once ran nothing for weeks (#21033). */
  readonly problems: readonly string[];
}

/** Faults that a run must have had, of those that were due. */
const faultShareMin = 0.4;
const kindsMin = 8;
const checksPerOperationMin = 1;

export function problemsOf(options: ChaosOptions, summary: Omit<Summary, 'problems'>): string[] {
  const problems: string[] = [];
  const { operationsPerSecond, elections, checkCount, operations, watchEvents } = summary;
  const kinds = Object.keys(summary.faults).length;
  const count = Object.values(summary.faults).reduce((sum, one) => sum + one, 0);
  const due = (options.minutes * 60_000) / options.faultEveryMs;
  if (operationsPerSecond < options.operationsPerSecondMin) {
    problems.push(`only ${operationsPerSecond.toFixed(0)} operations a second`);
  }
  if (count < Math.max(1, Math.floor(due * faultShareMin))) problems.push(`only ${count} faults`);
  if (options.faults.length === 0) {
    if (kinds < Math.min(kindsMin, Math.floor(due * faultShareMin))) {
      problems.push(`only ${kinds} kinds of faults`);
    }
    const partitions = Object.entries(summary.faults)
      .filter(([kind]) => /partition|isolate/.test(kind))
      .reduce((sum, [, one]) => sum + one, 0);
    if (options.minutes >= 1 && partitions === 0) problems.push('no partition');
    if (options.minutes >= 1 && elections < 2) problems.push(`only ${elections} elections`);
  }
  if (checkCount < operations * checksPerOperationMin) problems.push(`only ${checkCount} checks`);
  if (watchEvents < operations / 100) problems.push(`only ${watchEvents} events were watched`);
  return problems;
}

export function gapsOf(measured: ReadonlyMap<string, readonly number[]>): Gaps[] {
  return [...measured].map(([kind, values]) => {
    const sorted = [...values].sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
    return { kind, count: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
  });
}

export function summaryText(summary: Summary): string {
  const list = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort((a, b) => b[1] - a[1])
      .map(([name, count]) => `${name} ${count}`)
      .join(', ');
  const s = summary;
  const faultCount = Object.values(s.faults).reduce((sum, one) => sum + one, 0);
  return [
    '',
    `${s.program}, ${s.members} members, ${s.minutes} minutes, seed ${s.seed}`,
    `${s.operations} operations (${s.operationsPerSecond.toFixed(0)} a second): ${list(s.outcomes)}`,
    `${s.revisions} revisions; ${s.watchers} watches saw ${s.watchEvents} events; ${s.leases} leases`,
    `${faultCount} faults: ${list(s.faults)}`,
    `${s.elections} leaders seen, last term ${s.term}; ${s.peerConnections} peer connections`,
    ...s.gaps.map(
      ({ kind, count, medianMs, p99Ms, maxMs }) =>
        `no write after "${kind}" for: median ${medianMs} ms, p99 ${p99Ms}, max ${maxMs} (of ${count})`,
    ),
    `all whole again after a fault: median ${s.wholeAgainMs.medianMs} ms, max ${s.wholeAgainMs.maxMs}`,
    `${s.checkCount} checks: ${list(s.checks)}`,
    `${s.windows} windows searched, ${s.windowsLeftOut} left out; harness ${s.harnessMb} MB`,
    `${s.violationCount} violations`,
    ...s.violations.slice(0, 20).map(({ rule, what, atMs }) => {
      return `VIOLATION ${rule} at ${atMs?.toFixed(0)}: ${what}`;
    }),
    ...s.problems.map((problem) => `PROBLEM ${problem}`),
    '',
  ].join('\n');
}

/** Checks by rule as an object. */
export function checksOf(report: Report): Record<string, number> {
  return Object.fromEntries(report.checks);
}
