/**
 * One point of one curve, in a process of its own: `node --expose-gc point.js CURVE VALUE DIR`.
 * Prints one line of JSON: costs by name. CPU is that of all threads of the process, the client's
 * few frames and all members included.
 */

import {
  encodePutRequest,
  encodeRangeRequest,
  encodeWatchCreateRequest,
} from '../../src/proto/index.js';
import type { CostConnection, CostRequest } from '../costs/connection.js';
import { Rounds } from '../costs/rounds.js';
import { keyOf, newValue, randomInts } from '../load/keys.js';
import { methods } from '../load/sources.js';
import { type ScalingMembers, startMembers } from './members.js';

/** By the title of a column. */
type Point = Record<string, number>;

const keyBytes = 32;
const valueBytes = 256;
const value = newValue(valueBytes, 1);
const atOnce = 64;
const loadAtOnce = 512;
const keysUsual = 10_000;
const warmMs = 1500;
const measureMs = 3000;
/** Watchers on one stream at most, and streams. */
const streamsMax = 1000;
const random = randomInts(1);

const curves: Readonly<Record<string, (size: number, dir: string) => Promise<Point>>> = {
  keys,
  watchers,
  'watchers of one key': watchersOfOne,
  connections,
  members,
};

async function keys(count: number, dir: string): Promise<Point> {
  const all = await startMembers(1, dir);
  const calls = connect(all, 8);
  const loadedCpu = await cpuOf(() => load(calls, count));
  const { put, range } = await costsOfKeys(calls, count);
  const residentMb = resident();
  const restartMs = await all.restart();
  await all.stop();
  return {
    'us of CPU to load a key': loadedCpu / count,
    'put, us': put,
    'range, us': range,
    'resident, MB': residentMb,
    'restart, ms': restartMs,
  };
}

/** Each has a key of its own, so an event is for one of them. */
async function watchers(count: number, dir: string): Promise<Point> {
  const all = await startMembers(1, dir);
  const calls = connect(all, 8);
  await load(calls, keysUsual);
  const before = resident();
  await watch(all, count, (i) => keyOf(i, keyBytes));
  const each = ((resident() - before) * 1e6) / count;
  const hit = await costOf(calls, () => putOf(random(count)));
  const missed = await costOf(calls, () => putOf(count + random(keysUsual)));
  await all.stop();
  return {
    'bytes of a watcher': each,
    'put that one watches, us': hit,
    'put that nobody watches, us': missed,
  };
}

async function watchersOfOne(count: number, dir: string): Promise<Point> {
  const all = await startMembers(1, dir);
  const calls = connect(all, 1);
  await watch(all, count, () => keyOf(0, keyBytes));
  const put = await costOf(calls, () => putOf(0), 8);
  await all.stop();
  return { 'put, us': put, 'us of CPU an event': put / count };
}

async function connections(count: number, dir: string): Promise<Point> {
  const all = await startMembers(1, dir);
  const before = resident();
  const calls = connect(all, count);
  await load(calls.slice(0, 8), keysUsual);
  // Each says something once: what is only made when it is needed is there.
  for (const one of calls) await new Rounds([one], [rangeOf(0)], false).run(1);
  const each = ((resident() - before) * 1e6) / count;
  const { put, range } = await costsOfKeys(calls, keysUsual);
  await all.stop();
  return { 'bytes of a connection': each, 'put, us': put, 'range, us': range };
}

async function members(count: number, dir: string): Promise<Point> {
  const all = await startMembers(count, dir);
  const calls = connect(all, 8);
  await load(calls, keysUsual);
  const { put, range } = await costsOfKeys(calls, keysUsual);
  await all.stop();
  return { 'put, us of all': put, 'put, us of each': put / count, 'range, us of all': range };
}

function connect(all: ScalingMembers, count: number): CostConnection[] {
  return Array.from({ length: count }, () => all.connect());
}

async function load(calls: readonly CostConnection[], count: number): Promise<void> {
  for (let from = 0; from < count; from += loadAtOnce) {
    const some = Math.min(loadAtOnce, count - from);
    const puts = Array.from({ length: some }, (_, i) => putOf(from + i));
    await new Rounds(calls, puts, false).run(1);
  }
}

/** Over as many streams as may be, one a connection. */
async function watch(
  all: ScalingMembers,
  count: number,
  keyOfWatcher: (i: number) => string,
): Promise<void> {
  const streams = Math.min(streamsMax, count);
  for (let stream = 0; stream < streams; stream += 1) {
    const connection = all.connect(true);
    const creates: Buffer[] = [];
    for (let i = stream; i < count; i += streams) {
      creates.push(encodeWatchCreateRequest({ key: keyOfWatcher(i) }));
    }
    const [first = Buffer.alloc(0), ...more] = creates;
    connection.send([{ path: methods.watch, message: first, endStream: false }]);
    if (more.length > 0) connection.sendMore(more);
    while (connection.answers < creates.length) await turn();
  }
}

/** Of a put and of a range, of one of so many keys at random; see {@link costOf}. */
async function costsOfKeys(
  calls: readonly CostConnection[],
  count: number,
): Promise<{ readonly put: number; readonly range: number }> {
  const put = await costOf(calls, () => putOf(random(count)));
  const range = await costOf(calls, () => rangeOf(random(count)));
  return { put, range };
}

/** Microseconds of CPU for a call, `many` of them in one turn, spread over some connections. */
async function costOf(
  calls: readonly CostConnection[],
  request: () => CostRequest,
  many = atOnce,
): Promise<number> {
  const perRound = 8;
  let at = 0;
  const run = async (untilMs: number): Promise<number> => {
    const startMs = performance.now();
    let done = 0;
    while (performance.now() - startMs < untilMs) {
      // Another connection's turn: with ten thousand of them each speaks now and then.
      const some = Array.from({ length: Math.min(perRound, calls.length) }, () => {
        at = (at + 1) % calls.length;
        return calls[at] as CostConnection;
      });
      await new Rounds(some, Array.from({ length: many }, request), false).run(1);
      done += many;
    }
    return done;
  };
  await run(warmMs);
  let done = 0;
  const cpu = await cpuOf(async () => {
    done = await run(measureMs);
  });
  return cpu / done;
}

async function cpuOf(work: () => Promise<void>): Promise<number> {
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

function resident(): number {
  globalThis.gc?.();
  return process.memoryUsage.rss() / 1e6;
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function putOf(i: number): CostRequest {
  const message = encodePutRequest({ key: keyOf(i, keyBytes), value });
  return { path: methods.put, message, endStream: true };
}

function rangeOf(i: number): CostRequest {
  const message = encodeRangeRequest({ key: keyOf(i, keyBytes) });
  return { path: methods.range, message, endStream: true };
}

const [name = '', size = '', dir = ''] = process.argv.slice(2);
const curve = curves[name];
if (curve === undefined) throw new Error(`there is no curve "${name}"`);
// A server's own timers don't keep a process alive; without sockets nothing else would.
setInterval(() => {}, 1000);
process.stdout.write(`${JSON.stringify(await curve(Number(size), dir))}\n`);
process.exit(0);
