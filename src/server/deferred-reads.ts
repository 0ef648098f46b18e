/**
 * Runs the reads that an answer still needs. Most are answered from memory at once; the call is
 * then answered in the same turn. Others wait for the disk, and only their call waits with them.
 */

import type { MvccStore } from '../storage/index.js';
import type { DeferredRange, OpResult } from './apply-types.js';

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

/**
 * Fills in `result` of each read. Undefined if all were answered from memory, else a promise; must
 * be called in the turn in which the entry was applied, before a later compaction can be.
 */
export function runDeferredReads(
  store: Pick<MvccStore, 'range'>,
  reads: readonly DeferredRange[],
): Promise<void> | undefined {
  let waits: Promise<void>[] | undefined;
  for (const read of reads) {
    const result = store.range(read.query, read.at);
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
