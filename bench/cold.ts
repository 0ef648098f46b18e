/**
 * What a read costs whose record is not in memory: the store alone, without network and Raft. Keys
 * are loaded, the store is opened again, so that nothing is in memory, and single keys are read at
 * random, as many at once as there are clients. Each line is one round: the first ones warm the
 * cache, if there is room for it. The data is removed at the end, unless it is kept.
 */

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { rangeOf } from '../src/proto/index.js';
import type { MvccStore, RangeQuery } from '../src/storage/index.js';
import { commandLine, numberOf, wordsOf } from './arguments.js';
import { openStoreAlone, storeKeyOf, storeOptions, storeValue } from './store.js';

const usage = `usage: node dist/bench/cold.js [keys] [value bytes] [cache MiB] [clients] [directory]
       (200000 3000 64 16, a new one for temporary files; one that is given is kept, and read again)
`;

const roundMs = 2000;
const rounds = 5;

const query: RangeQuery = rangeOf('', '');

async function load(store: MvccStore, keys: number, valueBytes: number): Promise<void> {
  const value = storeValue(valueBytes);
  for (let i = 0; i < keys; i += 1) {
    const txn = store.begin(store.applied.index + 1, 1);
    value.writeUInt32LE(i);
    txn.put(storeKeyOf(i), value, 0n);
    txn.commit();
    if (i % 50 === 49) await turn();
    if (store.unflushedBytes > 16 * 1024 * 1024) await store.flushSync();
  }
}

/** What one round has seen. */
interface Round {
  read: number;
  fromMemory: number;
  readonly waitsMs: number[];
}

/** Reads keys at random until `untilMs`; each turn begins a read for each client that has none. */
async function readAtRandom(
  store: MvccStore,
  keys: number,
  clients: number,
  untilMs: number,
): Promise<Round> {
  const round: Round = { read: 0, fromMemory: 0, waitsMs: [] };
  let busy = 0;
  let failure: unknown;
  // Without a free client there is nothing to do: the loop must not spin.
  let isDone = (): void => {};
  while (performance.now() < untilMs || busy > 0) {
    const isOver = performance.now() >= untilMs;
    for (let free = isOver ? 0 : clients - busy; free > 0; free -= 1) {
      const key = storeKeyOf(Math.floor(Math.random() * keys));
      const startMs = performance.now();
      const answer = store.range({ ...query, key }, undefined);
      if (!(answer instanceof Promise)) {
        if (answer.kvs.length !== 1) throw new Error(`${key} is not there`);
        round.read += 1;
        round.fromMemory += 1;
        continue;
      }
      busy += 1;
      answer.then(
        ({ kvs }) => {
          if (kvs.length !== 1) failure = new Error(`${key} is not there`);
          busy -= 1;
          isDone();
          round.read += 1;
          round.waitsMs.push(performance.now() - startMs);
        },
        (error: unknown) => {
          busy -= 1;
          isDone();
          failure = error;
        },
      );
    }
    if (busy === clients || isOver) {
      await new Promise<void>((resolve) => {
        isDone = resolve;
        if (busy === 0) resolve();
      });
    }
    await turn();
    if (failure !== undefined) throw failure;
  }
  return round;
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
}

async function measure(store: MvccStore, keys: number, clients: number): Promise<void> {
  for (let n = 0; n < rounds; n += 1) {
    const startMs = performance.now();
    const cpu = process.cpuUsage();
    const { read, fromMemory, waitsMs } = await readAtRandom(
      store,
      keys,
      clients,
      startMs + roundMs,
    );
    const { user, system } = process.cpuUsage(cpu);
    const perSecond = (read * 1000) / (performance.now() - startMs);
    waitsMs.sort((a, b) => a - b);
    const { rss } = process.memoryUsage();
    process.stdout.write(
      `${perSecond.toFixed(0).padStart(9)}/s  CPU ${((user + system) / read).toFixed(1)} us, ` +
        `${((fromMemory * 100) / read).toFixed(0)} % from memory, others p50 ` +
        `${quantile(waitsMs, 0.5)} p99 ${quantile(waitsMs, 0.99)} max ` +
        `${quantile(waitsMs, 0.99999)} ms, RSS ${(rss / 1e6).toFixed(0)} MB\n`,
    );
  }
}

async function main(): Promise<void> {
  const args = commandLine(usage, (words) => {
    const given = wordsOf(words, 5);
    if (given === undefined) return undefined;
    const [keys, valueBytes, cacheMiB, clients, dir] = given;
    return {
      keys: numberOf('keys', keys, 200_000),
      valueBytes: numberOf('value bytes', valueBytes, 3000),
      cacheMiB: numberOf('cache MiB', cacheMiB, 64),
      clients: numberOf('clients', clients, 16),
      dir,
    };
  });
  const dir = args.dir ?? mkdtempSync(join(tmpdir(), 'kvorum-bench-'));
  const options = storeOptions(args.cacheMiB * 1024 * 1024);
  const open = (): Promise<MvccStore> => openStoreAlone(dir, options);
  try {
    if (!existsSync(join(dir, 'CURRENT'))) {
      const loaded = await open();
      await load(loaded, args.keys, args.valueBytes);
      await loaded.close();
    }
    const store = await open();
    await measure(store, args.keys, args.clients);
    await store.close();
  } finally {
    if (args.dir === undefined) rmSync(dir, { recursive: true, force: true });
  }
}

await main();
