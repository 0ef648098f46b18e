/**
 * Runs the reads that an answer still needs. Most are answered from memory at once; the call is
 * then answered in the same turn. Others wait for the disk, and only their call waits with them.
 */

import { type Clock, listedRecordBytes, runSteps, Slice, type Steps } from '../../common/index.js';
import type { AnswerRoom, MvccStore, PointReader } from '../../storage/index.js';
import type { DeferredRange, OpResult } from './results.js';

/** Every deferred read below `result`, in the order of the operations. */
export function deferredReads(result: OpResult, into: DeferredRange[]): void {
  switch (result.type) {
    case 'put':
    case 'deleteRange':
      if (result.previous !== undefined) into.push(result.previous);
      return;
    case 'range':
      into.push(result.range);
      return;
    case 'txn':
      for (const response of result.responses) deferredReads(response, into);
      return;
  }
}

/** More reads than this give way to the event loop between them. */
const readsAtOnceMax = 16;

/**
 * Fills in `result` of each read. Undefined if all were answered from memory, else a promise; must
 * be called in the turn in which the entry was applied, before a later compaction can be, or with
 * the reader that holds what they need. `room` is asked before more is held than is in memory, and
 * before very much of that: it is the same for all of the reads, so it waits for none of them.
 */
export function runDeferredReads(
  source: MvccStore | PointReader,
  clock: Clock,
  reads: readonly DeferredRange[],
  room: AnswerRoom,
): Promise<void> | undefined {
  if (reads.length === 0) return undefined;
  if (reads.length > readsAtOnceMax) {
    const done = runSteps(readAll(source, reads, new Slice(clock), room));
    return done instanceof Promise ? done : undefined;
  }
  const waits = readTogether(source, reads, room);
  const bytes = reads.length === 1 ? 0 : foundBytes(reads);
  if (bytes <= foundBytesFree) return waits;
  const taken = room.takeRoom(bytes);
  return taken === undefined ? waits : Promise.all([waits, taken]).then(() => undefined);
}

/** Reads that may take several turns: nothing that they need goes meanwhile. */
function* readAll(
  source: MvccStore | PointReader,
  reads: readonly DeferredRange[],
  slice: Slice,
  room: AnswerRoom,
): Steps<void> {
  let oldest = Number.POSITIVE_INFINITY;
  for (const { at } of reads) oldest = Math.min(oldest, at.main - 1);
  // It sees the same store for as long as it takes, should another take over meanwhile.
  const held = source.reader(oldest);
  let bytes = 0;
  try {
    for (let from = 0; from < reads.length; from += readsAtOnceMax) {
      const some = reads.slice(from, from + readsAtOnceMax);
      const waits = readTogether(held, some, room);
      bytes += foundBytes(some);
      if (waits !== undefined) yield waits;
      if (bytes > foundBytesFree) {
        const taken = room.takeRoom(bytes);
        bytes = 0;
        if (taken !== undefined) yield taken;
      }
      for (let i = 0; i < readsAtOnceMax; i += 1) slice.next();
      if (slice.isSpent) yield slice.rest();
    }
  } finally {
    held.close();
  }
}

/** What was found in memory is there anyway, but several ranges may find the same again. */
const foundBytesFree = 1024 * 1024;

/** Of what was answered at once. */
function foundBytes(reads: readonly DeferredRange[]): number {
  let bytes = 0;
  for (const { result } of reads) {
    if (result === undefined) continue;
    bytes += result.kvs.length * listedRecordBytes;
    for (const kv of result.kvs) bytes += kv.length;
  }
  return bytes;
}

function readTogether(
  source: Pick<MvccStore, 'range'> | PointReader,
  reads: readonly DeferredRange[],
  room: AnswerRoom,
): Promise<void> | undefined {
  let waits: Promise<void>[] | undefined;
  for (const read of reads) {
    const result = source.range(read.query, read.at, room);
    if (result instanceof Promise) {
      waits ??= [];
      waits.push(
        result.then((found) => {
          read.result = found;
        }),
      );
    } else {
      read.result = result;
    }
  }
  return waits === undefined ? undefined : Promise.all(waits).then(() => undefined);
}
