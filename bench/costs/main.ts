/** `npm run bench:costs`: counts what operations cost and compares with bench/baseline.json. */

import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { list } from '../options.js';
import { type Baseline, compare, type Finding, tableOf } from './baseline.js';
import { costLoads } from './loads.js';
import type { Costs } from './measure.js';

const usage = `usage: npm run bench:costs -- [options]

  Counts, for each operation of the hot paths, the bytes allocated, buffers made, bytes copied, and
  the calls at the ports (socket, file, database writes, timers); compares with bench/baseline.json,
  and fails where something costs more than it did there, beyond a tolerance.

  --only LIST    names of loads, or their beginnings, comma-separated
  --update       write what was counted into bench/baseline.json, for this major version of Node
`;

const measureProgram = fileURLToPath(new URL('./measure.js', import.meta.url));
const baselineFile = fileURLToPath(new URL('../../../bench/baseline.json', import.meta.url));
/** Nothing is collected below it, and V8 works the same with any amount of memory. */
const heapFlags = ['--expose-gc', '--min-semi-space-size=128', '--max-semi-space-size=128'];

process.exitCode = main();

function main(): number {
  let options: { readonly only: readonly string[]; readonly update: boolean } | undefined;
  try {
    options = optionsOf(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${usage}`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  const baseline = JSON.parse(readFileSync(baselineFile, 'utf8')) as Baseline;
  const version = `node ${process.versions.node.split('.')[0]}`;
  const counted: Record<string, Costs> = {};
  const { only } = options;
  for (const name of Object.keys(costLoads)) {
    if (only.length > 0 && !only.some((each) => name.startsWith(each))) continue;
    counted[name] = measure(name);
    process.stdout.write(`${tableOf(name, counted[name], baseline[version]?.[name])}\n`);
  }
  if (options.update) {
    const next = { ...baseline, [version]: { ...baseline[version], ...counted } };
    writeFileSync(baselineFile, `${JSON.stringify(next, rounded, 2)}\n`);
    process.stdout.write(`written to bench/baseline.json for ${version}\n`);
    return 0;
  }
  return judge(compare(counted, baseline, version), version in baseline, version);
}

function optionsOf(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      update: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help === true) return undefined;
  const names = Object.keys(costLoads);
  const only = list(values.only);
  for (const each of only) {
    if (!names.some((name) => name.startsWith(each))) throw new Error(`no load begins "${each}"`);
  }
  return { only, update: values.update === true };
}

function measure(name: string): Costs {
  const args = [...heapFlags, measureProgram, name];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`"${name}" could not be measured:\n${stderr}`);
  return JSON.parse(stdout) as Costs;
}

function judge(findings: readonly Finding[], isKnown: boolean, version: string): number {
  if (!isKnown) {
    process.stdout.write(`bench/baseline.json has nothing for ${version}: nothing is compared\n`);
    return 0;
  }
  for (const { load, what, was, is } of findings) {
    process.stdout.write(`MORE THAN BEFORE: ${load}: ${what} ${was} -> ${is}\n`);
  }
  if (findings.length === 0) process.stdout.write('nothing costs more than in the baseline\n');
  return findings.length === 0 ? 0 : 1;
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
