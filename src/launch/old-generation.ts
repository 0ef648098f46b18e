/**
 * Lets V8's old generation grow by tens of megabytes between two full collections. By itself V8
 * gives a small heap that grows slowly as little as a tenth of its size: a member with 25 MB in use
 * was collected every second, some 50 ms each, and whoever called meanwhile waited
 * (docs/adr/0016-collections.md). A large heap is left to V8: what it may grow by is V8's own
 * matter, and has to be in proportion.
 */

import { constants, PerformanceObserver } from 'node:perf_hooks';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** What may be allocated between two full collections, beyond what V8 itself counts on top. */
export const growthBytes = 96 * 1024 * 1024;
/** In a small container at most this share of its memory. */
const growthShare = 1 / 8;
/** V8 itself lets a heap grow to four times of what is in use, at most. */
const percentMax = 300;
/** Below that V8 decides: it may give more to a heap that has a lot to do. */
const percentMin = 100;

/** Whoever starts Node with one of these has decided. */
const decided = /--heap[-_]growing[-_]percent|--optimize[-_]for[-_]size/;

/**
 * The growth in percent for a heap with `usedBytes` in use, of a process that may have
 * `memoryBytes`; 0: as V8 would.
 */
export function growingPercent(usedBytes: number, memoryBytes = Number.MAX_VALUE): number {
  const bytes = Math.min(growthBytes, memoryBytes * growthShare);
  const percent = Math.floor((bytes * 100) / Math.max(1, usedBytes));
  return percent < percentMin ? 0 : Math.min(percent, percentMax);
}

/** Lets it grow so from now on. False: `options` of Node say something, and nothing is done. */
export function widenOldGeneration(options: readonly string[]): boolean {
  if (options.some((option) => decided.test(option))) return false;
  // Without a bound it is 0, or more than any machine has.
  const memoryBytes = process.constrainedMemory() || Number.MAX_VALUE;
  const look = (): void => {
    setFlagsFromString(`--heap-growing-percent=${growingPercent(oldBytes(), memoryBytes)}`);
  };
  // A full collection reads the flag at its end. What is in use is known best right after one, so
  // each sets what the next one goes by.
  new PerformanceObserver((list) => {
    if (list.getEntries().some(isFull)) look();
  }).observe({ entryTypes: ['gc'] });
  look();
  return true;
}

/** Node's types do not know of the detail that entries of collections have. */
function isFull(entry: object): boolean {
  const { detail } = entry as { readonly detail?: { readonly kind?: number } };
  return detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR;
}

/** In use, the young generation left out. */
function oldBytes(): number {
  let bytes = 0;
  for (const space of getHeapSpaceStatistics()) {
    if (!young.has(space.space_name)) bytes += space.space_used_size;
  }
  return bytes;
}

const young = new Set(['new_space', 'new_large_object_space', 'read_only_space']);
