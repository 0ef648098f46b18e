/** A store alone, without network and Raft, for the benches that measure it. */

import { type Clock, silentLogger } from '../src/common/index.js';
import { makeNodeClock } from '../src/common/node/index.js';
import {
  type MvccStore,
  type MvccStoreOptions,
  openLevelStore,
  openMvccStore,
} from '../src/storage/index.js';

const clock: Clock = makeNodeClock({ keepsAlive: true });

/** As a member has it, but for what is told. */
export function storeOptions(cacheBytesMax: number): MvccStoreOptions {
  return {
    cacheBytesMax,
    flushIntervalMs: 50,
    flushBytes: 1024 * 1024,
    flushRecords: Number.POSITIVE_INFINITY,
    unflushedBytesMax: 64 * 1024 * 1024,
    compactionBatch: 1000,
    compactionSleepMs: 10,
  };
}

/** Opens the store in `dir` on LevelDB. */
export async function openStoreAlone(dir: string, options: MvccStoreOptions): Promise<MvccStore> {
  return openMvccStore({ kv: await openLevelStore(dir), clock, options, logger: silentLogger });
}

/** Keys of 32 bytes in an order without pattern. */
export function storeKeyOf(i: number): string {
  const mixed = Math.imul(i, 0x9e3779b1) >>> 0;
  const name = mixed.toString().padStart(10, '0');
  return `/registry/pods/${name}-${(i % 1e6).toString().padStart(6, '0')}`;
}

/** A value that changes from byte to byte. */
export function storeValue(bytes: number): Buffer {
  const value = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i += 1) value[i] = Math.imul(i, 2654435761) >>> 13;
  return value;
}
