/** What people read: the sums over all runs, and the timeline of a failure. */

import type { PlainResult } from './worker.js';

/** A run with fewer proves too little (L-52). */
const faultsMin = 20;
const kindsMin = 8;
const operationsMinPerStep = 1 / 400;

export class Totals {
  readonly #steps: number;
  readonly #counts = new Map<string, number>();
  readonly #faults = new Map<string, number>();
  readonly #checks = new Map<string, number>();
  readonly #sizes = new Map<number, number>();
  readonly #problems: string[] = [];
  #runs = 0;
  #failed = 0;
  #compared = 0;
  #simulatedMs = 0;

  constructor(steps: number) {
    this.#steps = steps;
  }

  add(result: PlainResult, again: PlainResult | undefined): void {
    const { seed, size, violations, faults, checks, counts, simulatedMs } = result;
    this.#runs += 1;
    this.#simulatedMs += simulatedMs;
    bump(this.#sizes, size, 1);
    for (const [kind, count] of faults) bump(this.#faults, kind, count);
    for (const [rule, count] of checks) bump(this.#checks, rule, count);
    for (const [name, count] of Object.entries(counts)) bump(this.#counts, name, count);
    if (again !== undefined) {
      this.#compared += 1;
      if (again.digest !== result.digest) {
        this.#problems.push(`seed ${seed} gave two runs: ${result.digest}, ${again.digest}`);
      }
    }
    if (violations.length > 0) {
      this.#failed += 1;
      return;
    }
    // Shorter runs have room for fewer.
    const share = Math.min(1, this.#steps / 20_000);
    const happened = faults.reduce((sum, [, count]) => sum + count, 0);
    if (happened < faultsMin * share || faults.length < kindsMin * share) {
      this.#problems.push(`seed ${seed}: only ${happened} faults of ${faults.length} kinds`);
    }
    const operations = counts.ok ?? 0;
    if (operations < this.#steps * operationsMinPerStep) {
      this.#problems.push(`seed ${seed}: only ${operations} operations succeeded`);
    }
  }

  /** Why the whole proves less than it should. */
  problems(): readonly string[] {
    return this.#problems;
  }

  text(tookMs: number): string {
    const sorted = <K>(map: ReadonlyMap<K, number>): string =>
      [...map]
        .sort((a, b) => b[1] - a[1])
        .map(([name, count]) => `${name} ${count}`)
        .join(', ');
    const faults = [...this.#faults.values()].reduce((sum, count) => sum + count, 0);
    const checks = [...this.#checks.values()].reduce((sum, count) => sum + count, 0);
    const { '1': one = 0, ...rest } = Object.fromEntries(this.#sizes);
    const sizes = { ...(one > 0 ? { '1': one } : {}), ...rest };
    return [
      '',
      `${this.#runs} runs, ${this.#failed} failed, in ${(tookMs / 1000).toFixed(1)} s; ` +
        `${(this.#simulatedMs / 60_000).toFixed(0)} simulated minutes`,
      ...(this.#compared > 0 ? [`${this.#compared} compared with a second run`] : []),
      `members: ${Object.entries(sizes)
        .map(([size, count]) => `${size} in ${count}`)
        .join(', ')}`,
      `counts: ${sorted(this.#counts)}`,
      `${faults} faults of ${this.#faults.size} kinds: ${sorted(this.#faults)}`,
      `${checks} checks: ${sorted(this.#checks)}`,
      ...this.#problems.slice(0, 20).map((problem) => `PROBLEM ${problem}`),
      '',
    ].join('\n');
  }
}

function bump<K>(map: Map<K, number>, key: K, by: number): void {
  map.set(key, (map.get(key) ?? 0) + by);
}

/** Lines that tell most, and the last ones in full. */
const linesMax = 120;
const telling = /FAULT|HEAL|leader term|leader \d|opened|ended|installs|broke|dies|^end/;

export function printFailure(result: PlainResult, first: PlainResult): string {
  const { seed, size, violations, schedule, lines } = result;
  const found = violations.length > 0 ? violations : first.violations;
  const marks = lines.filter((line) => telling.test(line)).slice(-linesMax);
  return [
    '',
    `=== seed ${seed}, ${size} members, ${schedule.length} faults of ${first.schedule.length}`,
    ...found.slice(0, 5).map(({ rule, what, atMs }) => `${rule} at ${atMs?.toFixed(2)}: ${what}`),
    '--- schedule',
    ...schedule.map(({ kind, step, seed: own }) => `step ${step}: ${kind} (${own})`),
    '--- timeline',
    ...marks,
    '--- last lines',
    ...lines.slice(-30),
    '',
  ].join('\n');
}
