/**
 * What the store itself costs, without network and Raft: apply, flush, ranges, counts, memory and
 * restart. The data is removed at the end, unless it is kept for another run that only restarts.
 */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { rangeOf } from '../src/proto/index.js';
import type { MvccStore, RangeQuery } from '../src/storage/index.js';
import { commandLine, numberOf, wordsOf } from './arguments.js';
import { openStoreAlone, storeKeyOf, storeOptions, storeValue } from './store.js';

const usage = `usage: node dist/bench/mvcc.js [keys] [directory] [keep | reopen]
       (1000000, a new one for temporary files)
`;

const options = storeOptions(64 * 1024 * 1024);

const everything: RangeQuery = rangeOf('\0', '\0');

function report(what: string, value: number, unit: string): void {
  process.stdout.write(`${what.padEnd(44)} ${value.toFixed(2).padStart(12)} ${unit}\n`);
}

function rssMb(): number {
  return process.memoryUsage().rss / 1e6;
}

/** The longest time the event loop did nothing else. */
function watchStalls(): () => number {
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last - 1);
    last = now;
  }, 1);
  return () => {
    clearInterval(timer);
    return longest;
  };
}

/** Puts `count` keys, 50 a turn of the event loop, waiting while too much is unflushed. */
async function load(store: MvccStore, count: number): Promise<void> {
  const value = storeValue(256);
  let applyMs = 0;
  const start = performance.now();
  const cpu = process.cpuUsage();
  for (let i = 0; i < count; ) {
    const from = performance.now();
    for (const end = Math.min(i + 50, count); i < end; i += 1) {
      const txn = store.begin(store.applied.index + 1, 1);
      value.writeUInt32LE(i);
      txn.put(storeKeyOf(i), value, 0n);
      txn.commit();
    }
    applyMs += performance.now() - from;
    await turn();
    while (store.unflushedBytes > options.unflushedBytesMax) {
      await sleep(1);
    }
  }
  const spent = process.cpuUsage(cpu);
  report('put: apply', (applyMs * 1000) / count, 'us');
  report('put: wall with flush', ((performance.now() - start) * 1000) / count, 'us');
  report('put: CPU of all threads', (spent.user + spent.system) / count, 'us');
}

async function time(what: string, times: number, work: () => unknown): Promise<void> {
  const start = performance.now();
  for (let i = 0; i < times; i += 1) await work();
  report(what, (performance.now() - start) / times, 'ms');
}

async function ranges(store: MvccStore, count: number): Promise<void> {
  const point = { main: store.revision, sub: Number.POSITIVE_INFINITY };
  const start = performance.now();
  for (let i = 0; i < 100_000; i += 1) {
    store.range(
      { ...everything, key: storeKeyOf(count - 1 - (i % 1000)), rangeEnd: '' },
      undefined,
    );
  }
  report('range of one warm key', ((performance.now() - start) * 1000) / 100_000, 'us');
  await time('count of all keys', 1000, () =>
    store.range({ ...everything, countOnly: true }, undefined),
  );
  await time('count of all keys at an older revision', 1, () =>
    store.range({ ...everything, countOnly: true }, { ...point, main: point.main - 1 }),
  );
  const stalls = watchStalls();
  await time('keys-only of all keys', 1, () =>
    store.range({ ...everything, keysOnly: true }, undefined),
  );
  await time('10,000 keys with values', 3, () =>
    store.range({ ...everything, limit: 10_000 }, undefined),
  );
  await time('hash of everything', 1, () => store.hashKv(0));
  report('longest stall of these', stalls(), 'ms');
}

async function compaction(store: MvccStore): Promise<void> {
  const value = Buffer.alloc(256, 1);
  const updates = Math.min(100_000, store.keyCount);
  for (let i = 0; i < updates; i += 1) {
    const txn = store.begin(store.applied.index + 1, 1);
    txn.put(storeKeyOf(i), value, 0n);
    txn.commit();
    if (i % 50 === 0) await turn();
  }
  await store.flushSync();
  const stalls = watchStalls();
  await time(`compaction of ${updates} revisions`, 1, () => {
    store.scheduleCompaction(store.applied.index + 1, 1, store.revision);
    return store.compactionDone();
  });
  report('longest stall of it', stalls(), 'ms');
}

async function main(): Promise<void> {
  const [count, dir, step] = commandLine(usage, (args) => {
    const words = wordsOf(args, 3);
    if (words === undefined) return undefined;
    const [keys, at = mkdtempSync(join(tmpdir(), 'kvorum-bench-')), how] = words;
    if (how !== undefined && how !== 'keep' && how !== 'reopen') {
      throw new Error(`"${how}" is neither keep nor reopen`);
    }
    return [numberOf('keys', keys, 1_000_000), at, how] as const;
  });
  const open = (): Promise<MvccStore> => openStoreAlone(dir, options);
  try {
    if (step !== 'reopen') {
      report('RSS before', rssMb(), 'MB');
      const store = await open();
      const stalls = watchStalls();
      await load(store, count);
      report('longest stall while loading', stalls(), 'ms');
      report('RSS after loading', rssMb(), 'MB');
      await ranges(store, count);
      report('RSS after reading', rssMb(), 'MB');
      if (step === 'keep') {
        await time('orderly stop', 1, () => store.close());
        return;
      }
      await compaction(store);
      await store.close();
    }
    const start = performance.now();
    const cpu = process.cpuUsage();
    const stalls = watchStalls();
    const again = await open();
    report('restart', performance.now() - start, 'ms');
    report('restart: CPU', process.cpuUsage(cpu).user / 1000, 'ms');
    report('longest stall of it', stalls(), 'ms');
    report('RSS after the restart', rssMb(), 'MB');
    report('heap used', process.memoryUsage().heapUsed / 1e6, 'MB');
    report('keys', again.keyCount, '');
    await again.close();
  } finally {
    if (step !== 'keep') rmSync(dir, { recursive: true, force: true });
  }
}

await main();
