/** Medians, ratios and goals, as a table for people and as JSON. */

import type { LoadResult } from './load/types.js';
import type { Budget } from './load/workload.js';
import type { MemoryMb } from './proc.js';

/** Named numbers of one run. */
export type Figures = Readonly<Record<string, number>>;

/** Names of the figures of a load, in the order of the table. */
export const loadFigures = {
  rate: 'per second',
  p50: 'p50, ms',
  p99: 'p99, ms',
  max: 'max, ms',
  cpu: 'server CPU, us each',
  serverCores: 'server cores busy',
  generatorCores: 'generator cores busy',
  otherCores: 'other cores busy',
  resident: 'RSS, MB',
  peak: 'peak RSS, MB',
  errors: 'errors',
} as const;

/** Name of a figure of one row of a load that has several. */
export function rowFigure(row: string, figure: string): string {
  return `${row}: ${figure}`;
}

function rowsOf({ rows, seconds }: LoadResult): Figures {
  const figures: Record<string, number> = {};
  for (const { name, operations, latencyMs } of rows) {
    figures[rowFigure(name, loadFigures.rate)] = operations / seconds;
    if (latencyMs.max === 0) continue; // There was none: 0 would be a lie.
    figures[rowFigure(name, loadFigures.p50)] = latencyMs.p50;
    figures[rowFigure(name, loadFigures.p99)] = latencyMs.p99;
  }
  return figures;
}

/** `memory`: of the largest member; undefined: the servers run elsewhere. */
export function figuresOf(result: LoadResult, memory: MemoryMb | undefined): Figures {
  const { operations, seconds, latencyMs } = result;
  const figures = {
    [loadFigures.rate]: operations / seconds,
    // No latency was sampled: 0 would be a lie.
    ...(latencyMs.max > 0 && {
      [loadFigures.p50]: latencyMs.p50,
      [loadFigures.p99]: latencyMs.p99,
      [loadFigures.max]: latencyMs.max,
    }),
    ...rowsOf(result),
    [loadFigures.generatorCores]: result.generatorCpuSeconds / seconds,
    [loadFigures.errors]: result.errors,
  };
  if (memory === undefined) return figures;
  const other = result.machineCpuSeconds - result.serverCpuSeconds - result.generatorCpuSeconds;
  return {
    ...figures,
    [loadFigures.cpu]: (result.serverCpuSeconds * 1e6) / Math.max(1, operations),
    [loadFigures.serverCores]: result.serverCpuSeconds / seconds,
    [loadFigures.otherCores]: Math.max(0, other / seconds),
    [loadFigures.resident]: memory.resident,
    [loadFigures.peak]: memory.peak,
  };
}

/** Each figure's median over the rounds. */
export function medians(rounds: readonly Figures[]): Figures {
  const names = [...new Set(rounds.flatMap((round) => Object.keys(round)))];
  return Object.fromEntries(
    names.map((name) => [name, median(rounds.flatMap((round) => round[name] ?? []))]),
  );
}

/** The goals of a workload's figures, in words: `<= 0.5x`. */
export function goalsOf(
  budget: Budget,
  { members, tls }: { readonly members: number; readonly tls: boolean },
): Readonly<Record<string, string>> {
  const goals: Record<string, string> = {};
  const special = members > 1 ? budget.rateMinCluster : tls ? budget.rateMinTls : undefined;
  const rateMin = special ?? budget.rateMin;
  if (rateMin !== undefined) goals[loadFigures.rate] = `>= ${short(rateMin)}x`;
  if (budget.cpuMax !== undefined) goals[loadFigures.cpu] = `<= ${short(budget.cpuMax)}x`;
  if (budget.p50Max !== undefined) goals[loadFigures.p50] = `<= ${short(budget.p50Max)}x`;
  if (budget.p99Max !== undefined) goals[loadFigures.p99] = `<= ${short(budget.p99Max)}x`;
  if (budget.residentMax !== undefined) {
    goals[loadFigures.resident] = `<= ${short(budget.residentMax)}x`;
  }
  const { names = [], p50Max, p99Max } = budget.rows ?? {};
  for (const name of names) {
    if (p50Max !== undefined) goals[rowFigure(name, loadFigures.p50)] = `<= ${short(p50Max)}x`;
    if (p99Max !== undefined) goals[rowFigure(name, loadFigures.p99)] = `<= ${short(p99Max)}x`;
  }
  return goals;
}

/** One workload's rows; the ratio is kvorum's figure to etcd's, if both were measured. */
export function table(
  title: string,
  measured: ReadonlyArray<{ readonly subject: string; readonly figures: Figures }>,
  goals: Readonly<Record<string, string>>,
): string {
  const of = (subject: string, name: string): number | undefined =>
    measured.find((each) => each.subject === subject)?.figures[name];
  const names = new Set(measured.flatMap((each) => Object.keys(each.figures)));
  const rows = [...names].map((name) => {
    const ours = of('kvorum', name);
    const theirs = of('etcd', name);
    const ratio = ours === undefined || !theirs ? undefined : ours / theirs;
    const goal = goals[name] ?? '';
    return [
      name,
      ...measured.map(({ figures }) => format(figures[name])),
      ratio === undefined ? '' : `${ratio.toFixed(2)}x`,
      goal,
      verdict(goal, ours, ratio),
    ];
  });
  const head = ['', ...measured.map((each) => each.subject), 'ratio', 'goal', ''];
  return [`\n${title}`, ...[head, ...rows].map(line)].join('\n');
}

function line(cells: readonly string[]): string {
  const [name = '', ...rest] = cells;
  return `  ${name.padEnd(28)}${rest.map((cell) => cell.padStart(12)).join('')}`.trimEnd();
}

/** '<= 400 ms' is about our figure, '<= 0.5x' about the ratio. */
export function verdict(
  goal: string,
  ours: number | undefined,
  ratio: number | undefined,
): '' | 'met' | 'MISSED' {
  const match = /^(<=|>=) ([\d.]+)(x?)/.exec(goal);
  if (match === null) return '';
  const value = match[3] === 'x' ? ratio : ours;
  if (value === undefined) return '';
  const limit = Number(match[2]);
  const met = match[1] === '<=' ? value <= limit : value >= limit;
  return met ? 'met' : 'MISSED';
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? 0) + upper) / 2;
}

function short(n: number): string {
  return String(Math.round(n * 100) / 100);
}

/** With three digits or so; '' for what there is none of. */
export function format(n: number | undefined): string {
  if (n === undefined) return '';
  if (n >= 1000) return Math.round(n).toLocaleString('en-US');
  return n >= 100 ? n.toFixed(0) : n.toFixed(n >= 10 ? 1 : 2);
}
