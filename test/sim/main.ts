/**
 * `npm run sim`: runs seeds on all cores, and prints what was done, or the timeline of what went
 * wrong with as few faults as can be. Exit code 1 if anything did.
 */

import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseOptions, type SimOptions, usage } from './options.js';
import { Pool } from './pool.js';
import { printFailure, Totals } from './results.js';
import { shrink } from './shrink.js';
import { type PlainResult, serve } from './worker.js';

const script = fileURLToPath(import.meta.url);
/** Runs that the shrinker may spend on one failure, and failures that are shrunk. */
const shrinkTriesMax = 80;
const shrunkMax = 3;
/** Runs between lines that say how far it is. */
const runsPerLine = 500;

async function main(argv: readonly string[]): Promise<number> {
  const options = parseOptions(argv);
  if (options.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (options.mutations) {
    const { runMutations } = await import('./mutations.js');
    return runMutations(options, script);
  }
  return runSeeds(options);
}

async function runSeeds(options: SimOptions): Promise<number> {
  const { seeds, seed: first, workers, twice } = options;
  const pool = new Pool(script, workers);
  const totals = new Totals(options.steps);
  const startedMs = performance.now();
  const failures: PlainResult[] = [];
  let done = 0;
  await Promise.all(
    Array.from({ length: seeds }, async (_, i) => {
      const { raftTrace } = options;
      const run = {
        ...runOptions(options, first + i),
        ...(raftTrace === '' ? {} : { raftTrace: resolve(raftTrace) }),
      };
      const [result, again] = await Promise.all([pool.run(run), twice ? pool.run(run) : undefined]);
      totals.add(result, again);
      if (result.violations.length > 0) {
        failures.push(result);
        const rule = result.violations[0]?.rule;
        process.stdout.write(`seed ${result.seed} (${result.size} members) FAILED: ${rule}\n`);
      }
      done += 1;
      if (done % runsPerLine === 0 && done < seeds) {
        const tookMs = performance.now() - startedMs;
        const { length: failed } = failures;
        process.stdout.write(`${done} of ${seeds} runs, ${failed} failed, ${seconds(tookMs)} s\n`);
      }
    }),
  );
  process.stdout.write(totals.text(performance.now() - startedMs));
  failures.sort((a, b) => a.seed - b.seed);
  for (const failure of failures.slice(0, shrunkMax)) await explain(options, pool, failure);
  pool.stop();
  return failures.length > 0 || totals.problems().length > 0 ? 1 : 0;
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(0);
}

function runOptions({ steps, size, faults }: SimOptions, seed: number) {
  return { seed, steps, faults, ...(size === undefined ? {} : { size }) };
}

/** Shrinks the schedule of a failure and prints its timeline. */
async function explain(options: SimOptions, pool: Pool, failure: PlainResult): Promise<void> {
  const { seed, violations } = failure;
  const rule = violations[0]?.rule;
  const run = runOptions(options, seed);
  let { schedule } = failure;
  if (options.shrink && schedule.length > 0) {
    process.stdout.write(`\nshrinking seed ${seed} ...\n`);
    const fails = async (shorter: PlainResult['schedule']): Promise<boolean> => {
      const result = await pool.run({ ...run, schedule: shorter });
      return result.violations.some((violation) => violation.rule === rule);
    };
    schedule = await shrink(schedule, fails, shrinkTriesMax);
  }
  const result =
    schedule.length === 0 && failure.schedule.length === 0
      ? failure
      : await pool.run({ ...run, schedule, keepTrace: true });
  process.stdout.write(printFailure(result, failure));
}

if (process.argv.includes('--worker')) serve();
else {
  main(process.argv.slice(2)).then(
    (code) => {
      process.exitCode = code;
    },
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
      process.exitCode = 2;
    },
  );
}
