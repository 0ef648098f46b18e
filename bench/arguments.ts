/** What the command lines of all measuring programs have in common. */

import { parseArgs } from 'node:util';

/** A number of at least 0. Throws Error with a text for people. */
export function numberOf(name: string, value: string | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  const parsed = Number(value);
  if (value.trim() === '' || !Number.isFinite(parsed) || parsed < 0) {
    throw new Error(`${name} ${value}: not a number`);
  }
  return parsed;
}

/** Whether `--vs`, which is given or not, asks for etcd beside kvorum. Throws Error with a text. */
export function versusEtcd(vs: string | undefined): boolean {
  if (vs !== undefined && vs !== 'etcd') throw new Error('--vs knows only etcd');
  return vs === 'etcd';
}

const text = { type: 'string' } as const;

/** For parseArgs: what any load can be told; see {@link loadOptionsOf}. */
export const loadFlags = {
  seconds: text,
  warmup: text,
  keys: text,
  'value-bytes': text,
  connections: text,
  clients: text,
  rate: text,
} as const;

/**
 * The values of {@link loadFlags}, 0 where the workload decides; a load takes `seconds` if it is
 * not told. Throws as `numberOf`.
 */
export function loadOptionsOf(
  values: Readonly<Partial<Record<keyof typeof loadFlags, string>>>,
  seconds: number,
) {
  return {
    seconds: numberOf('--seconds', values.seconds, seconds),
    warmupSeconds: numberOf('--warmup', values.warmup, 2),
    keyCount: numberOf('--keys', values.keys, 0),
    valueBytes: numberOf('--value-bytes', values['value-bytes'], 0),
    connections: numberOf('--connections', values.connections, 0),
    clients: numberOf('--clients', values.clients, 0),
    callsPerSecond: numberOf('--rate', values.rate, 0),
  };
}

/**
 * What `parse` makes of the arguments of this process. Help (undefined) goes to standard output,
 * and what it throws to standard error with `usage` behind it; then the process ends.
 */
export function commandLine<T>(usage: string, parse: (args: string[]) => T | undefined): T {
  let parsed: T | undefined;
  try {
    parsed = parse(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${usage}`);
    process.exit(2);
  }
  if (parsed !== undefined) return parsed;
  process.stdout.write(usage);
  process.exit(0);
}

/** The words of a command line without options, `max` at most; undefined: help was asked for. */
export function wordsOf(args: string[], max: number): readonly string[] | undefined {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' } },
  });
  if (values.help === true) return undefined;
  const surplus = positionals[max];
  if (surplus !== undefined) throw new Error(`unexpected argument "${surplus}"`);
  return positionals;
}
