/**
 * Runs the reads that an answer still needs. Most are answered from memory at once; the call is
 * then answered in the same turn. Others wait for the disk, and only their call waits with them.
 */

import { type Clock, runSteps, Slice, type Steps } from '../../common/index.js';
import type { MvccStore, PointReader } from '../../storage/index.js';
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
 * the reader that holds what they need.
 */
export function runDeferredReads(
  store: MvccStore,
  clock: Clock,
  reads: readonly DeferredRange[],
  held?: PointReader,
): Promise<void> | undefined {
  if (reads.length > readsAtOnceMax) {
    const done = runSteps(readAll(held ?? store, reads, new Slice(clock)));
    return done instanceof Promise ? done : undefined;
  }
  return readTogether(held ?? store, reads);
}

/** Reads that may take several turns: nothing that they need goes meanwhile. */
function* readAll(
  source: MvccStore | PointReader,
  reads: readonly DeferredRange[],
  slice: Slice,
): Steps<void> {
  let oldest = Number.POSITIVE_INFINITY;
  for (const { at } of reads) oldest = Math.min(oldest, at.main - 1);
  // It sees the same store for as long as it takes, should another take over meanwhile.
  const held = source.reader(oldest);
  try {
    for (let from = 0; from < reads.length; from += readsAtOnceMax) {
      const waits = readTogether(held, reads.slice(from, from + readsAtOnceMax));
      if (waits !== undefined) yield waits;
      for (let i = 0; i < readsAtOnceMax; i += 1) slice.next();
      if (slice.isSpent) yield slice.rest();
    }
  } finally {
    held.close();
  }
}

function readTogether(
  source: Pick<MvccStore, 'range'> | PointReader,
  reads: readonly DeferredRange[],
): Promise<void> | undefined {
  let waits: Promise<void>[] | undefined;
  for (const read of reads) {
    const result = source.range(read.query, read.at);
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
