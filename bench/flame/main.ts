/**
 * `npm run flame`: profiles a server under a load of the bench, and prints the functions that took
 * the time and those that allocated, for each operation. The profiles are left for DevTools and
 * speedscope, and a flame graph of each. Method: docs/benchmarks.md.
 */

import { existsSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LoadResult } from '../load/types.js';
import { workloadOf } from '../load/workloads.js';
import { runLoad, specOf, stopLoad } from '../run-load.js';
import { type Cluster, startCluster } from '../servers.js';
import { flameGraph } from './graph.js';
import { type FlameOptions, parseOptions, usage } from './options.js';
import { Probe } from './probe-client.js';
import { readProfile, totalOf, withoutIdle } from './profile.js';
import { report, textOf } from './report.js';
import { Sources } from './sources.js';
import type { ProfileKind } from './types.js';

const probe = new URL('./probe.js', import.meta.url).href;
const binOfThis = fileURLToPath(new URL('../../../bin/kvorum', import.meta.url));

/** Fewer say nothing of what one costs: a busy machine is given more time. */
const operationsMin = 100;

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    interrupted = true;
    stopLoad();
  });
}
process.exitCode = await main();

async function main(): Promise<number> {
  let options: FlameOptions | undefined;
  try {
    options = parseOptions(process.argv.slice(2));
    if (options?.bin !== undefined && !existsSync(options.bin)) {
      throw new Error(`--bin ${options.bin}: there is no such file`);
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    return 2;
  }
  if (options === undefined) {
    process.stdout.write(usage);
    return 0;
  }
  mkdirSync(options.out, { recursive: true });
  try {
    for (const load of options.loads) await profileLoad(load, options);
  } catch (error) {
    if (!interrupted) say(error instanceof Error ? error.message : String(error));
    return 1;
  }
  say(`\nwritten to ${options.out}: profiles (DevTools, speedscope) and flame graphs (a browser)`);
  return 0;
}

/** Each load has a fresh server; its profiles are taken one after the other, not to disturb. */
async function profileLoad(load: string, options: FlameOptions): Promise<void> {
  const bin = realpathSync(options.bin ?? binOfThis);
  const programs = { kvorum: bin, preloads: [probe] };
  const cluster = await startCluster('kvorum', 1, options.dir, programs);
  try {
    for (const [i, kind] of options.profiles.entries()) {
      if (interrupted) throw new Error('interrupted');
      const isFirst = i === 0;
      await profileRun({ load, kind, isFirst, cluster, bin, options });
    }
  } finally {
    await cluster.remove();
  }
}

interface Run {
  readonly load: string;
  readonly kind: ProfileKind;
  /** The store is empty. */
  readonly isFirst: boolean;
  readonly cluster: Cluster;
  readonly bin: string;
  readonly options: FlameOptions;
}

async function profileRun({ load, kind, isFirst, cluster, bin, options }: Run): Promise<void> {
  const [server] = cluster.processes();
  if (server === undefined) throw new Error('there is no server');
  const { reads, unit } = workloadOf(load);
  const file = resolve(join(options.out, `${load}.${kind}profile`));
  const profiler = new Probe(server);
  const spec = specOf(load, cluster.endpoints, cluster.pids(), options);
  const result = await runLoad(
    { ...spec, preload: reads && isFirst },
    {
      operationsMin,
      opens: () => profiler.obey({ profile: kind }),
      closed: () => profiler.obey({ profile: kind, saveAs: file }),
    },
  );
  checkResult(load, result);
  const sources = new Sources(join(bin, '../..'));
  const all = readProfile(file, sources);
  const costs = withoutIdle(all);
  const busy = totalOf(costs) / totalOf(all);
  say(report({ load, kind, unit, result, costs, busy, sources, top: options.top }));
  const title = `${load}: ${kind === 'cpu' ? 'time' : 'allocated bytes'}`;
  writeFileSync(
    `${file}.html`,
    flameGraph(title, costs, sources, (cost) => textOf(kind, cost)),
  );
}

function checkResult(load: string, { operations, errors, firstError }: LoadResult): void {
  if (operations === 0) throw new Error(`${load}: nothing was done; ${errors} errors`);
  if (errors > 0) say(`${load}: ${errors} errors, the first: ${firstError}`);
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
