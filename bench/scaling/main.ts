/**
 * `npm run bench:scaling`: what operations cost as there are more keys, watchers, connections and
 * members. Each point is a process of its own (point.ts); the tables are those of docs/scaling.md.
 */

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { commandLine } from '../arguments.js';
import { describeMachine } from '../machine.js';
import { list } from '../options.js';

const usage = `usage: npm run bench:scaling -- [options]

  --only LIST    of: keys, watchers, watchers of one key, connections, members
  --large        also ten million keys (some minutes, 6 GB of disk, 4 GB of memory)
  --dir DIR      data of the members (the system's directory for temporary files)
`;

/** What is tried of each. */
const curves: Readonly<Record<string, readonly number[]>> = {
  keys: [1_000, 10_000, 100_000, 1_000_000],
  watchers: [1, 100, 1_000, 10_000, 100_000],
  'watchers of one key': [1, 10, 100, 1_000, 10_000],
  connections: [1, 100, 1_000, 10_000],
  members: [1, 3, 5, 7],
};
const largeKeys = 10_000_000;
const program = fileURLToPath(new URL('./point.js', import.meta.url));

interface Options {
  readonly only: readonly string[];
  readonly large: boolean;
  readonly dir: string;
}

const options = commandLine(usage, optionsOf);
process.exitCode = main(options);

function optionsOf(args: string[]): Options | undefined {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      large: { type: 'boolean' },
      dir: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return undefined;
  const only = list(values.only);
  for (const each of only) if (!(each in curves)) throw new Error(`there is no curve "${each}"`);
  return { only, large: values.large === true, dir: values.dir ?? tmpdir() };
}

function main({ only, large, dir }: Options): number {
  const machine = describeMachine({ dir, etcd: undefined, node: process.execPath });
  const { cores, cpu, memoryGb, kernel, node, kvorum, fileSystem } = machine;
  say(`${cores} cores (${cpu}), ${memoryGb} GB, Linux ${kernel}, Node ${node}, kvorum ${kvorum},`);
  say(`data on ${fileSystem}, ${new Date().toISOString().slice(0, 10)}`);
  for (const [name, sizes] of Object.entries(curves)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const all = name === 'keys' && large ? [...sizes, largeKeys] : sizes;
    let isFirst = true;
    for (const size of all) {
      const point = measure(name, size, dir);
      if (isFirst) head(name, Object.keys(point));
      isFirst = false;
      row(size, Object.values(point));
    }
  }
  return 0;
}

function measure(name: string, size: number, parent: string): Readonly<Record<string, number>> {
  const dir = mkdtempSync(join(parent, 'scaling-'));
  try {
    const args = ['--expose-gc', program, name, String(size), dir];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${size} ${name} could not be measured:\n${stderr}`);
    return JSON.parse(stdout);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function head(name: string, columns: readonly string[]): void {
  say(`\n| ${name} | ${columns.join(' | ')} |`);
  say(`|${'---|'.repeat(columns.length + 1)}`);
}

function row(size: number, values: readonly number[]): void {
  const text = values.map((each) => (each >= 100 ? each.toFixed(0) : each.toPrecision(3)));
  say(`| ${size.toLocaleString('en').replaceAll(',', ' ')} | ${text.join(' | ')} |`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
