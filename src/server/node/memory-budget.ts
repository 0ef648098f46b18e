/**
 * How much of what this process may use goes where. A machine of today has more than all of it
 * together; in a small container each part is a share, or the system ends the process under load:
 * with the sizes of a large machine, 256 MB did not outlast a minute of writes of 3 kB
 * (docs/adr/0018).
 */

import { logKeepBytesMax, unflushedBytesMax, valueCacheBytesMin } from '../../common/index.js';

/** Bytes, each. */
export interface MemoryBudget {
  /** Records kept for reads, beside those that are not yet in LevelDB. */
  readonly valueCacheBytes: number;
  /** Records that wait for LevelDB, above which proposals wait. */
  readonly unflushedBytes: number;
  /** Applied entries kept for members that are behind. */
  readonly logKeepBytes: number;
}

/** A share of the memory for values, as --value-cache-bytes says. */
const cacheShare = 1 / 8;
/** The other parts are at most this share, each; both are full only where a disk or a peer is slow. */
const queueShare = 1 / 8;
/** Below that a member could not take one large request after the other. */
const queueBytesMin = 16 * 1024 * 1024;

/**
 * The budget of a process that may use `memoryBytes`; undefined: enough. `valueCacheBytes` is what
 * was asked for, 0 by default.
 */
export function memoryBudget(
  memoryBytes: number | undefined,
  valueCacheBytes: number,
): MemoryBudget {
  const bytes = memoryBytes ?? 0;
  const queue = memoryBytes === undefined ? Number.POSITIVE_INFINITY : bytes * queueShare;
  const atMost = (max: number) => Math.min(max, Math.max(queueBytesMin, Math.floor(queue)));
  const share = Math.floor(bytes * cacheShare);
  // Enough for the tests and the simulator, who have no memory of a machine.
  const byMemory = memoryBytes === undefined ? 4 * valueCacheBytesMin : share;
  return {
    valueCacheBytes: valueCacheBytes > 0 ? valueCacheBytes : Math.max(valueCacheBytesMin, byMemory),
    unflushedBytes: atMost(unflushedBytesMax),
    logKeepBytes: atMost(logKeepBytesMax),
  };
}
