/**
 * A process that runs seeds for main.ts: takes them as messages, answers with what happened. In a
 * process of its own so that all cores are used, and so that a bug that kills it kills only it.
 */

import type { Violation } from '../checkers/report.js';
import { type RunOptions, type RunResult, run } from './run.js';
import type { Fault } from './schedule.js';

/** A result as it crosses to the parent: plain. */
export interface PlainResult {
  readonly seed: number;
  readonly size: number;
  readonly digest: string;
  readonly violations: readonly Violation[];
  readonly schedule: readonly Fault[];
  readonly faults: ReadonlyArray<readonly [string, number]>;
  readonly checks: ReadonlyArray<readonly [string, number]>;
  readonly counts: Readonly<Record<string, number>>;
  readonly simulatedMs: number;
  readonly lines: readonly string[];
}

export function plain(result: RunResult): PlainResult {
  return { ...result, faults: [...result.faults], checks: [...result.checks] };
}

/** Serves `run` messages until the parent goes away. */
export function serve(): void {
  let current = 0;
  // A promise that nobody handles would end the server; here it is a finding.
  process.on('unhandledRejection', (error) => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.send?.({ broken: current, text: `unhandled rejection: ${text}` });
    process.exit(3);
  });
  process.on('message', (options: RunOptions) => {
    current = options.seed;
    run(options).then((result) => process.send?.({ result: plain(result) }));
  });
  process.on('disconnect', () => process.exit(0));
}
