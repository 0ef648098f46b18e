/**
 * What an append to the write-ahead log costs: batches of 1, 50 and 500 entries of 300 bytes, one
 * batch at a time (latency) and many at once (group commit), and the encoding alone.
 *
 * Run: node dist/bench/wal.js [directory], after a build. About ten seconds. The directory decides
 * what is measured: on tmpfs a sync costs nothing.
 */

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../src/raft/index.js';
import { nodeClock, nodeDisk, openNodeRandom } from '../src/server/platform/index.js';
import { FrameEncoder } from '../src/storage/wal/format.js';
import { openWal } from '../src/storage/wal/wal.js';
import { commandLine, wordsOf } from './arguments.js';

const entryBytes = 300;
const secondsEach = 1.5;

const usage = 'usage: node dist/bench/wal.js [directory]\n';
const [base = tmpdir()] = commandLine(usage, (args) => wordsOf(args, 1));
const dir = join(base, `kvorum-bench-wal-${process.pid}`);
const random = openNodeRandom();
const metadataIfNew = Buffer.from('bench');

function print(name: string, values: Readonly<Record<string, string>>): void {
  const text = Object.entries(values).map(([key, value]) => `${key} ${value.padStart(8)}`);
  process.stdout.write(`${name.padEnd(36)}${text.join('   ')}\n`);
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

function batchFrom(index: number, size: number): Entry[] {
  const data = Buffer.alloc(entryBytes, 7);
  const type = 'normal' as const;
  return Array.from({ length: size }, (_, i) => ({ index: index + i, term: 1, type, data }));
}

function benchEncoding(size: number): void {
  const encoder = new FrameEncoder();
  const batch = batchFrom(1, size);
  const once = (): void => {
    encoder.begin(0);
    for (const entry of batch) encoder.entry(entry);
    encoder.finish(1, 2);
  };
  for (let i = 0; i < 20_000 / size + 10; i++) once();
  const rounds = Math.ceil(300_000 / size);
  const start = nodeClock.nowMs();
  for (let i = 0; i < rounds; i++) once();
  const us = ((nodeClock.nowMs() - start) * 1000) / (rounds * size);
  print(`encode, batch of ${size}`, { 'us/entry': us.toFixed(3) });
}

async function benchAppend(size: number, inFlight: number): Promise<void> {
  const { wal } = await openWal(nodeDisk, dir, { random, metadataIfNew });
  let index = 1;
  const latenciesUs: number[] = [];
  const cpu = process.cpuUsage();
  const start = nodeClock.nowMs();
  const end = start + secondsEach * 1000;
  const client = async (): Promise<void> => {
    while (nodeClock.nowMs() < end) {
      const before = nodeClock.nowMs();
      const batch = batchFrom(index, size);
      index += size;
      await wal.append({ term: 1, vote: 1n, commit: index - size - 1 }, batch, true);
      latenciesUs.push((nodeClock.nowMs() - before) * 1000);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, client));
  const seconds = (nodeClock.nowMs() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  await wal.close();
  latenciesUs.sort((a, b) => a - b);
  print(`append, batch of ${size}, ${inFlight} at once`, {
    'entries/s': ((index - 1) / seconds).toFixed(0),
    'p50 us': percentile(latenciesUs, 0.5).toFixed(0),
    'p99 us': percentile(latenciesUs, 0.99).toFixed(0),
    'CPU us/entry': ((user + system) / (index - 1)).toFixed(2),
    'MB on disk': (wal.sizeBytes / 2 ** 20).toFixed(0),
  });
  const openStart = nodeClock.nowMs();
  const again = await openWal(nodeDisk, dir, { random });
  print('  open it again', {
    entries: String(again.contents.entries.length),
    ms: (nodeClock.nowMs() - openStart).toFixed(0),
  });
  await again.wal.close();
  await nodeDisk.remove(dir);
}

async function benchCreate(): Promise<void> {
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const start = nodeClock.nowMs();
    const { wal } = await openWal(nodeDisk, dir, { random, metadataIfNew });
    await wal.append(undefined, batchFrom(1, 1), true);
    times.push(nodeClock.nowMs() - start);
    await wal.close();
    await nodeDisk.remove(dir);
  }
  times.sort((a, b) => a - b);
  print('create, and the first append', {
    'p50 ms': percentile(times, 0.5).toFixed(1),
    'max ms': percentile(times, 1).toFixed(1),
  });
}

for (const size of [1, 50, 500]) benchEncoding(size);
await benchCreate();
await benchAppend(1, 1);
await benchAppend(50, 1);
await benchAppend(500, 1);
await benchAppend(1, 100);
