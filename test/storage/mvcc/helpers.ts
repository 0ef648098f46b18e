/** What the tests of the store share: a real clock, options, and short ways to write and read. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, type KvStore, silentLogger } from '../../../src/common/index.js';
import { rangeOf as rangeRequest } from '../../../src/proto/index.js';
import {
  decodeRecord,
  type KeyValueFields,
  type MvccCommit,
  type MvccStore,
  type MvccStoreOptions,
  openMvccStore,
  type RangeQuery,
  type RangeResult,
  type ReadPoint,
} from '../../../src/storage/index.js';

/** Real time, for tests against a real LevelDB. */
export const realClock: Clock = {
  nowMs: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  afterTurn: (fire) => {
    setImmediate(fire);
  },
};

export const testOptions: MvccStoreOptions = {
  cacheBytesMax: 8 * 1024 * 1024,
  flushIntervalMs: 5,
  flushBytes: 64 * 1024,
  flushRecords: Number.POSITIVE_INFINITY,
  unflushedBytesMax: 64 * 1024 * 1024,
  compactionBatch: 10,
  compactionSleepMs: 0,
};

/** A directory that is gone after `use`. */
export async function inTempDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-mvcc-'));
  try {
    return await use(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Opens a store with the test's options. */
export function openStore(
  kv: KvStore,
  clock: Clock = realClock,
  options: Partial<MvccStoreOptions> = {},
  onFatal?: (error: Error) => void,
  saving: { readonly checkpointKeysMin?: number; readonly journalBytesMin?: number } = {},
): Promise<MvccStore> {
  return openMvccStore({
    kv,
    clock,
    options: { ...testOptions, ...options },
    logger: silentLogger,
    path: '/data/kv',
    ...(onFatal === undefined ? {} : { onFatal }),
    ...saving,
  });
}

/** One change of a transaction. */
export type Change =
  | {
      readonly type: 'put';
      readonly key: string;
      readonly value: string;
      readonly lease?: bigint;
    }
  | { readonly type: 'delete'; readonly key: string; readonly end?: string };

/** Applies changes as the next entry. */
export function apply(store: MvccStore, changes: readonly Change[]): MvccCommit {
  const txn = store.begin(store.applied.index + 1, 1);
  for (const change of changes) {
    if (change.type === 'put') {
      txn.put(change.key, Buffer.from(change.value, 'latin1'), change.lease ?? 0n);
    } else {
      txn.deleteRange(change.key, change.end ?? '');
    }
  }
  return txn.commit();
}

export function put(store: MvccStore, key: string, value: string, lease = 0n): MvccCommit {
  return apply(store, [{ type: 'put', key, value, lease }]);
}

export function del(store: MvccStore, key: string, end = ''): MvccCommit {
  return apply(store, [{ type: 'delete', key, end }]);
}

export function compact(store: MvccStore, revision: number): void {
  store.scheduleCompaction(store.applied.index + 1, 1, revision);
}

/** Everything from the smallest key on, unless told otherwise. */
export function query(fields: Partial<RangeQuery> = {}): RangeQuery {
  return { ...rangeRequest('\0', '\0'), ...fields };
}

export function at(main: number): ReadPoint {
  return { main, sub: Number.POSITIVE_INFINITY };
}

/** A KeyValue for people: value and all. */
export interface Shown extends Omit<KeyValueFields, 'value'> {
  readonly value: string;
}

export function show(record: Uint8Array): Shown {
  const { value, ...rest } = decodeRecord(record);
  return { ...rest, value: Buffer.from(value).toString('latin1') };
}

export interface ShownRange {
  readonly kvs: readonly Shown[];
  readonly more: boolean;
  readonly count: number;
}

export async function rangeOf(
  store: MvccStore,
  fields: Partial<RangeQuery> = {},
  point?: ReadPoint,
): Promise<ShownRange> {
  const result: RangeResult = await store.range(query(fields), point);
  return { kvs: result.kvs.map(show), more: result.more, count: result.count };
}

/** `key=value` of everything, in order. */
export async function dump(store: MvccStore, point?: ReadPoint): Promise<string[]> {
  const { kvs } = await rangeOf(store, {}, point);
  return kvs.map((kv) => `${kv.key}=${kv.value}`);
}
