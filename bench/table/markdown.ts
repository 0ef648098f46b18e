/** Measured groups as sections of docs/benchmarks.md. */

import type { Machine } from '../machine.js';
import type { BenchOptions } from '../options.js';
import { type Figures, format, loadFigures, rowFigure, verdict } from '../report.js';
import type { Entry, Results } from '../results.js';
import type { Group } from './groups.js';

/** What stands between the markers of a group: what, when, with what, and the figures. */
export function sectionOf(
  group: Group,
  results: Results,
  { rounds, seconds, warmupSeconds, quick }: Pick<BenchOptions, Times>,
  machine: Machine,
): string {
  const { date, kvorum, node, etcd, cores, cpu, memoryGb, kernel, fileSystem } = machine;
  const times = rounds === 1 ? 'one round' : `medians of ${rounds} rounds`;
  const head = [
    `${group.what}. ${date.slice(0, 10)}, kvorum ${kvorum}, Node ${node}, etcd ${etcd};`,
    `${cores} cores (${cpu}), ${memoryGb} GB, Linux ${kernel}, ${fileSystem};`,
    `${times}, ${seconds} s after ${warmupSeconds} s:`,
  ];
  const command = `npm run bench -- --vs etcd --table ${group.id}${quick ? ' --quick' : ''}`;
  const loads = results.entries.filter(({ isLoad }) => isLoad);
  const others = results.entries.filter(({ isLoad }) => !isLoad);
  return [
    head.join('\n'),
    `    ${command}`,
    ...(loads.length > 0 ? [loadTable(loads, results)] : []),
    ...others.map((entry) => scenarioTable(entry, results)),
    ...results.notes.map((note) => `Note: ${note}.`),
  ].join('\n\n');
}

type Times = 'rounds' | 'seconds' | 'warmupSeconds' | 'quick';

const loadHead = [
  'workload',
  'per second',
  'ratio',
  'p50 ms',
  'p99 ms',
  'server CPU us each',
  'RSS MB',
  'generator, others: cores busy',
  'goals',
];

/** A row for each load, and one below it for each kind of operation that it has. */
function loadTable(entries: readonly Entry[], results: Results): string {
  const lines = entries.flatMap((entry) => {
    const { ours, theirs } = sides(entry, results);
    const kinds = Object.keys(ours)
      .map((name) => /^(.+): per second$/.exec(name)?.[1])
      .filter((name) => name !== undefined);
    return [
      loadRow(entry.name, (figure) => figure, entry, ours, theirs, true),
      ...kinds.map((kind) => {
        const named = (figure: string): string => rowFigure(kind, figure);
        return loadRow(`- ${kind}`, named, entry, ours, theirs, false);
      }),
    ];
  });
  return markdownTable(loadHead, lines);
}

/** `isWhole`: with what is known of the server as a whole. */
function loadRow(
  title: string,
  named: (figure: string) => string,
  { goals }: Entry,
  ours: Figures,
  theirs: Figures,
  isWhole: boolean,
): string[] {
  const { rate, p50, p99, cpu, resident, generatorCores, otherCores } = loadFigures;
  const both = (figure: string): string => pair(ours[named(figure)], theirs[named(figure)]);
  const busy = [ours, theirs].map((side) => {
    return `${format(side[generatorCores])}, ${format(side[otherCores])}`;
  });
  const whole = isWhole ? [both(cpu), both(resident), busy.join(' / ')] : ['', '', ''];
  const judged = [rate, p50, p99, ...(isWhole ? [cpu, resident] : [])].map(named);
  return [
    title,
    both(rate),
    ratioOf(ours[named(rate)], theirs[named(rate)]),
    both(p50),
    both(p99),
    ...whole,
    judge(judged, goals, ours, theirs),
  ];
}

/** The goals of these figures in words: which are met, and what is missed by how much. */
function judge(
  names: readonly string[],
  goals: Entry['goals'],
  ours: Figures,
  theirs: Figures,
): string {
  const words = names.flatMap((name) => {
    const goal = goals[name];
    if (goal === undefined) return [];
    const said = verdict(goal, ours[name], quotient(ours[name], theirs[name]));
    const figure = name.split(': ').at(-1)?.split(',')[0];
    return said === '' ? [] : [`${figure} ${goal} ${said === 'met' ? 'met' : '**missed**'}`];
  });
  return words.join('; ');
}

function scenarioTable(entry: Entry, results: Results): string {
  const { ours, theirs } = sides(entry, results);
  const names = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const lines = names.map((name) => [
    name,
    format(ours[name]),
    format(theirs[name]),
    ratioOf(ours[name], theirs[name]),
    judge([name], entry.goals, ours, theirs),
  ]);
  return markdownTable([entry.title, 'kvorum', 'etcd', 'ratio', 'goal'], lines);
}

function sides(
  entry: Entry,
  results: Results,
): { readonly ours: Figures; readonly theirs: Figures } {
  const measured = results.measured(entry.name);
  const of = (subject: string): Figures =>
    measured.find((each) => each.subject === subject)?.figures ?? {};
  return { ours: of('kvorum'), theirs: of('etcd') };
}

function pair(ours: number | undefined, theirs: number | undefined): string {
  if (ours === undefined && theirs === undefined) return '';
  return `${format(ours) || '-'} / ${format(theirs) || '-'}`;
}

function quotient(ours: number | undefined, theirs: number | undefined): number | undefined {
  return ours === undefined || !theirs ? undefined : ours / theirs;
}

function ratioOf(ours: number | undefined, theirs: number | undefined): string {
  const ratio = quotient(ours, theirs);
  return ratio === undefined ? '' : `${ratio.toFixed(2)}x`;
}

/** Of cells without bars. */
export function markdownTable(
  head: readonly string[],
  lines: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = `|${head.map(() => '---|').join('')}`;
  return [line(head), rule, ...lines.map(line)].join('\n');
}
