/** `check perf` and `check datascale`: is the cluster as fast, and as small, as it should be. */

import { method, prefixEnd, type RawClient } from '../../client/raw/index.js';
import { keyFromBytes } from '../../common/index.js';
import {
  decodeDeleteRangeResponse,
  decodeRangeResponse,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodeRangeRequest,
} from '../../proto/index.js';
import {
  type CommandContext,
  CommandError,
  command,
  type ExitCode,
  exit,
  flag,
  goQuoted,
  type ValuesOf,
} from '../command/index.js';
import { clientOf } from '../connect/index.js';
import { putAll, type Report } from './load.js';
import { ProgressBar } from './progress-bar.js';
import { residentBytes } from './resident-memory.js';

const loads = 's(mall), m(edium), l(arge) or xl (xLarge)';

const checkFlags = (prefix: string) =>
  ({
    load: flag.string('s', `how much is put: ${loads}`),
    prefix: flag.string(prefix, 'before the keys that are put'),
    'auto-compact': flag.bool(false, 'forget the history afterwards'),
    'auto-defrag': flag.bool(false, 'give the space back afterwards'),
  }) as const;

const perfFlags = checkFlags('/etcdctl-check-perf/');
const datascaleFlags = checkFlags('/etcdctl-check-datascale/');

type CheckFlags = ValuesOf<typeof perfFlags>;

/** Puts a second, and clients, of `check perf`; each for a minute. */
const perfLoads: Readonly<Record<string, readonly [rate: number, clients: number]>> = {
  s: [150, 50],
  m: [1_000, 200],
  l: [8_000, 500],
  xl: [15_000, 1_000],
};

const perfSeconds = 60;

/** Puts, and clients, of `check datascale`. */
const datascaleLoads: Readonly<Record<string, readonly [puts: number, clients: number]>> = {
  s: [10_000, 50],
  m: [100_000, 200],
  l: [1_000_000, 500],
  xl: [3_000_000, 1_000],
};

/** What etcd's team holds for a cluster that is well (etcdctl's source; facts only). */
const bounds = { rateShareMin: 0.9, slowestSecondsMax: 0.5, stddevSecondsMax: 0.1 } as const;

const afterwardsMs = 30_000;

const perfCommand = command({
  name: 'perf',
  usage: '[options]',
  short: 'Puts keys for a minute, and says whether that was fast enough',
  flags: perfFlags,
  async run(context, _args, flags) {
    const [rate, count] = loadOf(perfLoads, flags.load);
    return await withClients(context, count, async (clients) => {
      const [client] = clients;
      await refuseKeys(client, flags.prefix, (prefix) => {
        return `prefix ${goQuoted(prefix)} has keys. Delete with 'etcdctl del --prefix ${prefix}' first`;
      });
      const { io } = context;
      const bar = new ProgressBar(io, perfSeconds);
      const startMs = io.clock.nowMs();
      const seconds = (): number => (io.clock.nowMs() - startMs) / 1_000;
      const load = {
        ...{ clients: count, rate, keyBytes: 256, valueBytes: 1_024, prefix: flags.prefix },
        over: () => seconds() >= perfSeconds || io.interrupted.aborted,
      };
      const report = await putAll(clients, load, io.clock, () => bar.show(seconds()));
      bar.end();
      await cleanUp(context, client, flags);
      if (io.interrupted.aborted) return interruptedStatus;
      return await tellPerf(context, report, rate);
    });
  },
});

const datascaleCommand = command({
  name: 'datascale',
  usage: '[options]',
  short: 'Puts many keys, and says how much memory the server needs for them',
  long: 'Asks the first endpoint for its memory, at its /metrics.',
  flags: datascaleFlags,
  async run(context, _args, flags) {
    const [puts, count] = loadOf(datascaleLoads, flags.load);
    return await withClients(context, count, async (clients) => {
      const [client] = clients;
      await refuseKeys(client, flags.prefix, (prefix) => {
        return `prefix ${goQuoted(prefix)} has keys. Delete with etcdctl del --prefix ${prefix} first`;
      });
      const { io } = context;
      const before = await residentBytes(context, client);
      if (before === 0) return await noMemory(context, 'before');
      const what = `${puts} key-value pairs, 1024 bytes per key-value, ${count} concurrent clients`;
      await io.stdout(`Start data scale check for work load [${what}].\n`);
      const bar = new ProgressBar(io, puts);
      const load = {
        ...{ clients: count, rate: undefined, keyBytes: 512, valueBytes: 512 },
        ...{ prefix: flags.prefix },
        over: (begun: number) => begun >= puts || io.interrupted.aborted,
      };
      let done = 0;
      const report = await putAll(clients, load, io.clock, () => bar.show(++done));
      bar.end();
      const after = await residentBytes(context, client);
      if (after === 0) return await noMemory(context, 'after');
      await cleanUp(context, client, flags);
      if (io.interrupted.aborted) return interruptedStatus;
      if (await tellErrors(context, report)) return exit.error;
      const used = ((after - before) / 1024 / 1024).toFixed(2);
      await io.stdout(`PASS: Approximate system memory used : ${used} MB.\n`);
      return exit.ok;
    });
  },
});

/** As a shell says of a program that SIGINT has ended. */
const interruptedStatus = 130;

export const checkCommand = command({
  name: 'check',
  usage: '<subcommand>',
  short: 'Checks whether a cluster is fast enough, and small enough',
  long: 'Checks of a cluster, by putting keys and deleting them again.',
  group: 'Utility commands',
  commands: [perfCommand, datascaleCommand],
});

const aliases: Readonly<Record<string, string>> = {
  ...{ s: 's', small: 's', m: 'm', medium: 'm', l: 'l', large: 'l', xl: 'xl', xLarge: 'xl' },
};

function loadOf(
  known: Readonly<Record<string, readonly [number, number]>>,
  name: string,
): readonly [number, number] {
  const model = Object.hasOwn(aliases, name) ? aliases[name] : undefined;
  const found = model === undefined ? undefined : known[model];
  if (found !== undefined) return found;
  throw new CommandError(`unknown load option ${name}`, exit.badFeature);
}

/** So many connections, each with a client of its own; closed at the end. */
async function withClients(
  context: CommandContext,
  count: number,
  run: (clients: readonly [RawClient, ...RawClient[]]) => Promise<ExitCode>,
): Promise<ExitCode> {
  const { global, isSet, io } = context;
  const first = await context.client();
  const others = await Promise.all(
    Array.from({ length: count - 1 }, () => clientOf(global, isSet, io)),
  );
  try {
    return await run([first, ...others]);
  } finally {
    await Promise.all(others.map((client) => client.close()));
  }
}

async function refuseKeys(
  client: RawClient,
  prefix: string,
  said: (prefix: string) => string,
): Promise<void> {
  const key = keyFromBytes(Buffer.from(prefix));
  const request = encodeRangeRequest({ key, rangeEnd: prefixEnd(key), limit: 1 });
  const { kvs } = decodeRangeResponse(await client.call(method.range, 'read', request));
  if (kvs.length > 0) throw new CommandError(said(prefix), exit.invalidInput);
}

/** Deletes what was put; then what the flags ask for. */
async function cleanUp(
  context: CommandContext,
  client: RawClient,
  flags: CheckFlags,
): Promise<void> {
  const { io } = context;
  const options = { timeoutMs: afterwardsMs };
  const key = keyFromBytes(Buffer.from(flags.prefix));
  const request = encodeDeleteRangeRequest({ key, rangeEnd: prefixEnd(key) });
  let revision: number;
  try {
    const bytes = await client.call(method.deleteRange, 'write', request, options);
    revision = decodeDeleteRangeResponse(bytes).header?.revision ?? 0;
  } catch (error) {
    const text = (error as Error).message;
    await io.stdout(`FAIL: Cleanup failed during key deletion: ERROR(${text})\n`);
    return;
  }
  if (flags['auto-compact']) {
    await io.stdout(`Compacting with revision ${revision}\n`);
    const compaction = encodeCompactionRequest({ revision, physical: true });
    await client.call(method.compact, 'write', compaction, options);
    await io.stdout(`Compacted with revision ${revision}\n`);
  }
  if (!flags['auto-defrag']) return;
  for (const endpoint of context.global.endpoints) {
    await io.stdout(`Defragmenting ${goQuoted(endpoint)}\n`);
    const at = endpoint.replace(/^\w+:\/\//, '');
    const nothing = new Uint8Array();
    await client.call(method.defragment, 'write', nothing, { ...options, endpoint: at });
    await io.stdout(`Defragmented ${goQuoted(endpoint)}\n`);
  }
}

async function tellPerf(context: CommandContext, report: Report, rate: number): Promise<ExitCode> {
  const { io } = context;
  const { slowestSeconds, stddevSeconds } = report;
  let passed = !(await tellErrors(context, report));
  const verdict = async (good: boolean, yes: string, no: string): Promise<void> => {
    passed &&= good;
    await io.stdout(`${good ? `PASS: ${yes}` : no}\n`);
  };
  const writes = `${Math.floor(report.rate) + 1} writes/s`;
  await verdict(
    report.rate / rate > bounds.rateShareMin,
    `Throughput is ${writes}`,
    `FAIL: Throughput too low: ${writes}`,
  );
  const slowest = `${slowestSeconds.toFixed(6)}s`;
  await verdict(
    slowestSeconds <= bounds.slowestSecondsMax,
    `Slowest request took ${slowest}`,
    `Slowest request took too long: ${slowest}`,
  );
  const stddev = `${stddevSeconds.toFixed(6)}s`;
  await verdict(
    stddevSeconds <= bounds.stddevSecondsMax,
    `Stddev is ${stddev}`,
    `Stddev too high: ${stddev}`,
  );
  await io.stdout(passed ? 'PASS\n' : 'FAIL\n');
  return passed ? exit.ok : exit.error;
}

/** True if there were some. */
async function tellErrors({ io }: CommandContext, { errors }: Report): Promise<boolean> {
  if (errors.size === 0) return false;
  await io.stdout('FAIL: too many errors\n');
  for (const [text, count] of errors) await io.stdout(`FAIL: ERROR(${text}) -> ${count}\n`);
  return true;
}

async function noMemory({ io }: CommandContext, when: 'before' | 'after'): Promise<ExitCode> {
  const what = 'process_resident_memory_bytes';
  await io.stdout(`FAIL: Could not read ${what} ${when} the put operations.\n`);
  return exit.error;
}
