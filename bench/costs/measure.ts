/**
 * Counts what one load costs, in this process: a server of the real code on ports that keep nothing
 * (ports.ts), asked by a client that costs next to nothing (connection.ts). Started by main.ts with
 * a young generation so large that nothing is collected while it is counted:
 *
 *     node --expose-gc --min-semi-space-size=128 --max-semi-space-size=128 measure.js LOAD
 *
 * Prints one line of JSON.
 */

import { PerformanceObserver } from 'node:perf_hooks';
import { defaultConfig, startServer } from '../../src/server/index.js';
import { CostConnection } from './connection.js';
import { countBuffers, differenceOf, PortCounters, type PortCounts } from './counters.js';
import { type CostLoad, costLoads, firstPuts, watchAll } from './loads.js';
import { costPorts } from './ports.js';
import { Rounds } from './rounds.js';

/** Per operation. */
export type Costs = Readonly<Record<string, number>>;

/** Until what runs often is compiled; compilers work beside it, so it takes some time, too. */
const warmUpMs = 1500;
const warmUpOperations = 20_000;
/** Of long answers that many bytes are enough. */
const warmUpBytes = 512 * 1024 * 1024;
/** Bytes that a window may allocate without a collection. */
const windowBytes = 8 * 1024 * 1024;
const windows = 7;
const operationsMin = 64;

async function measure(one: CostLoad): Promise<Costs> {
  const counters = new PortCounters();
  const { ports, connect } = costPorts(counters);
  const flags = ['--listen-client-urls=http://127.0.0.1:2379', '--data-dir=/costs'];
  await startServer(
    defaultConfig(...flags, '--advertise-client-urls=http://127.0.0.1:2379'),
    ports,
  );
  const open = (countData: boolean): CostConnection => {
    const connection = new CostConnection(countData);
    connection.open(connect(connection.onWritten));
    return connection;
  };
  const callers = Array.from({ length: one.connections }, () => open(false));
  const watchers = Array.from({ length: one.watchers }, () => open(true));
  const [first] = callers;
  if (first === undefined) throw new Error('a load has a connection');
  const puts = [...firstPuts, ...(one.before ?? [])];
  for (let i = 0; i < puts.length; i += 100) {
    await new Rounds([first], puts.slice(i, i + 100), false).run(1);
  }
  // What was put goes to the database some time: not while a load is counted that puts nothing.
  if (one.before !== undefined) await written(counters);
  for (const watcher of watchers) await new Rounds([watcher], [watchAll], true).run(1);
  const load = new Rounds(callers, one.requests, false, watchers);
  return count(load, one, counters);
}

async function count(load: Rounds, one: CostLoad, counters: PortCounters): Promise<Costs> {
  const { operationsPerRound } = one;
  const startedMs = performance.now();
  let warm = 0;
  const isWarm = (): boolean =>
    (warm >= warmUpOperations || counters.all().socketBytes >= warmUpBytes) &&
    performance.now() - startedMs >= warmUpMs;
  while (!isWarm()) {
    await load.run(16);
    warm += 16 * operationsPerRound;
  }
  const tried = await window(load, Math.ceil(operationsMin / operationsPerRound), counters);
  const roundBytes = (tried.heapBytes + tried.bufferBytes) / tried.rounds;
  const rounds = Math.ceil(
    Math.min(Math.max(operationsMin, windowBytes / roundBytes), 50_000 / operationsPerRound),
  );
  const seen: Window[] = [];
  while (seen.length < windows) seen.push(await window(load, rounds, counters));
  const counted = rounds * operationsPerRound;
  const each = (what: 'heapBytes' | 'bufferBytes') => seen.map((one) => one[what] / counted);
  const costs: Record<string, number> = {
    // What is more than the least is the compilers', and timers': not the operation's.
    heapBytes: Math.min(...each('heapBytes')),
    // What is less than the most was freed in the background, of what was there before.
    bufferBytes: Math.max(...each('bufferBytes')),
  };
  for (const what of Object.keys(counters.all()) as Array<keyof PortCounts>) {
    const sum = seen.reduce((total, one) => total + one.ports[what], 0);
    costs[what] = sum / (counted * seen.length);
  }
  const buffers = countBuffers();
  for (let i = 0; i < windows; i += 1) {
    const before = buffers();
    await load.run(rounds);
    const after = buffers();
    // What is more than the least is of a flush to the database, which most windows are without.
    for (const what of ['bytesCopied', 'buffersMade'] as const) {
      const each = (after[what] - before[what]) / counted;
      costs[what] = Math.min(costs[what] ?? Number.POSITIVE_INFINITY, each);
    }
  }
  return costs;
}

/** Resolves when nothing was written to the database for longer than a flush waits. */
async function written(counters: PortCounters): Promise<void> {
  let before = -1;
  while (before !== counters.all().kvWrites) {
    before = counters.all().kvWrites;
    await new Promise((resolve) => setTimeout(resolve, 1.2 * defaultConfig().flushIntervalMs));
  }
}

interface Window {
  readonly rounds: number;
  /** Allocated in the JavaScript heap. */
  readonly heapBytes: number;
  /** Memory of buffers that were made, pools and all. */
  readonly bufferBytes: number;
  readonly ports: PortCounts;
}

let collections = 0;
new PerformanceObserver((list) => {
  collections += list.getEntries().length;
}).observe({ entryTypes: ['gc'] });

/** Runs so many rounds without a collection; tries again if there was one. */
async function window(load: Rounds, rounds: number, counters: PortCounters): Promise<Window> {
  for (let tries = 0; tries < 10; tries += 1) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 5)); // the observer hears of it
    const seen = collections;
    const portsBefore = counters.all();
    const before = process.memoryUsage();
    await load.run(rounds);
    const after = process.memoryUsage();
    const ports = differenceOf(counters.all(), portsBefore);
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (collections > seen) continue;
    return {
      rounds,
      heapBytes: after.heapUsed - before.heapUsed,
      bufferBytes: after.arrayBuffers - before.arrayBuffers,
      ports,
    };
  }
  throw new Error(`collected in each of ten windows of ${rounds} rounds: smaller ones are needed`);
}

const [name = ''] = process.argv.slice(2);
const load = costLoads[name];
if (load === undefined) throw new Error(`there is no load "${name}"`);
process.stdout.write(`${JSON.stringify(await measure(load))}\n`);
process.exit(0);
