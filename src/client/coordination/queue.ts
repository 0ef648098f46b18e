/**
 * Queues of values, on the key layouts of etcd's recipes for Go: first in, first out; and by
 * priority, lower numbers first, first in, first out among equals.
 *
 * Taking deletes the entry if nobody else did: each is handed out at most once. If the reply to the
 * deletion is lost (an error with `outcome: 'unknown'`), the entry is gone or still there; a value
 * that must not be lost is better processed under a lock and deleted afterwards.
 */

import { type Revision, sleep } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import { invalidOption, isEtcdError } from '../errors.js';
import type { KeyRange, KeyValue, RangeResult, Sort } from '../keyspace/index.js';
import type { ClientOfView, Kv } from '../kv/index.js';
import { queueLookKeys } from '../limits.js';
import { checkPlace, prefixOf } from './owned-key.js';
import { persist, type Scope, scopeOf } from './scope.js';
import type { AcquireOptions } from './types.js';

type Client = ClientOfView;

/** An entry that was put, or taken. */
export interface QueueEntry<V> {
  readonly key: string;
  readonly value: V;
  /** Of the put. */
  readonly revision: Revision;
}

/** Taking from a queue. */
export interface Taker<V> {
  /** Waits for an entry. What ends the wait does not end a deletion that is on its way. */
  take(options?: AcquireOptions): Promise<QueueEntry<V>>;
  /** Undefined if it is empty. */
  tryTake(options?: CallOptions): Promise<QueueEntry<V> | undefined>;
  /** Takes one entry after the other, until the signal aborts. */
  entries(options?: {
    readonly signal?: AbortSignal;
  }): AsyncIterableIterator<QueueEntry<V>, undefined>;
  size(options?: CallOptions): Promise<number>;
}

export interface Queue<V, In> extends Taker<V> {
  readonly name: string;
  put(
    value: In,
    options?: CallOptions,
  ): Promise<{ readonly key: string; readonly revision: Revision }>;
}

export interface PriorityQueue<V, In> extends Taker<V> {
  readonly name: string;
  /** Priorities are whole numbers from 0 (first) to 65535. */
  put(
    value: In,
    options: CallOptions & { readonly priority: number },
  ): Promise<{ readonly key: string; readonly revision: Revision }>;
}

/** The queue of this name in a view; values are of the view's kind. */
export function queue<V, In>(view: Kv<V, In>, name: string): Queue<V, In> {
  checkPlace('queue', view, name);
  const { client } = view;
  const prefix = prefixOf(name);
  const sort: Sort = { by: 'modRevision', order: 'ascending' };
  return {
    name,
    put: async (value, options) => {
      const { clock, random } = client.runtime;
      for (;;) {
        // Only has to be unique; begins with the time, as in Go, for people who look at it.
        const key = `${prefix}${Math.floor(clock.wallMs())}${sixDigits(random.float())}`;
        const done = await view.create(key, value, options);
        if (done.ok) return { key, revision: done.revision };
      }
    },
    ...takerOf(client, view, { prefix }, sort),
  };
}

/** The priority queue of this name in a view; values are of the view's kind. */
export function priorityQueue<V, In>(view: Kv<V, In>, name: string): PriorityQueue<V, In> {
  checkPlace('priorityQueue', view, name);
  const { client } = view;
  const prefix = prefixOf(name);
  return {
    name,
    put: async (value, options) => {
      const { priority, ...callOptions } = options;
      if (!(Number.isInteger(priority) && priority >= 0 && priority <= 65_535)) {
        throw invalidOption('a priority is a whole number from 0 to 65535');
      }
      const lane = `${prefix}${String(priority).padStart(5, '0')}`;
      return putLast(client, view, lane, value, callOptions);
    },
    ...takerOf(client, view, { prefix }, { by: 'key', order: 'ascending' }),
  };
}

/**
 * Puts at the end of a lane: the number after the last one. Who else puts there meanwhile changes
 * the lane's own key, and then the number is looked up again.
 */
async function putLast<V, In>(
  client: Client,
  view: Kv<V, In>,
  lane: string,
  value: In,
  options: CallOptions,
): Promise<{ readonly key: string; readonly revision: Revision }> {
  const { clock, random } = client.runtime;
  const scope = scopeOf(clock, options, client.signal);
  try {
    for (let attempt = 0; ; attempt += 1) {
      const last = await view.range(
        { prefix: `${lane}/` },
        { ...options, limit: 1, keysOnly: true, sort: { by: 'key', order: 'descending' } },
      );
      const [entry] = last.kvs;
      const number = entry === undefined ? 0 : Number(entry.key.slice(lane.length + 1)) + 1;
      if (!Number.isSafeInteger(number)) throw invalidOption(`${lane}/ has keys of another kind`);
      const key = `${lane}/${String(number).padStart(16, '0')}`;
      const base = `__${lane}`;
      const done = await view
        .txn()
        .if(view.when(base).modRevision('<', last.revision + 1))
        .then(view.as(nothing).ops.put(base, ''), view.ops.put(key, value))
        .commit(options);
      if (done.ok) return { key, revision: done.revision };
      await sleep(clock, random.float() * Math.min(2 ** attempt, 100), scope.signal);
      scope.signal.throwIfAborted();
    }
  } finally {
    scope.end();
  }
}

const nothing = {
  encode: (_: '') => new Uint8Array(0),
  decode: () => '' as const,
};

function takerOf<V, In>(client: Client, view: Kv<V, In>, range: KeyRange, sort: Sort): Taker<V> {
  const look = (options?: CallOptions) =>
    view.range(range, { ...options, limit: queueLookKeys, sort });
  const tryTake = async (options?: CallOptions) =>
    (await takeFirst(view, () => look(options), options))[0];
  const take = async (options: AcquireOptions = {}): Promise<QueueEntry<V>> => {
    const scope = scopeOf(client.runtime.clock, options, client.signal);
    try {
      for (;;) {
        // Looking is repeated however long the servers are away. A deletion is not, and it is not
        // aborted either: what is taken is handed out.
        const lookLong = () =>
          persist(client.runtime, scope.signal, () => look({ signal: scope.signal }));
        const [entry, revision] = await takeFirst(view, lookLong);
        if (entry !== undefined) return entry;
        await somePut(view, range, revision, scope);
      }
    } catch (error) {
      throw scope.signal.aborted && !isUnknown(error) ? scope.signal.reason : error;
    } finally {
      scope.end();
    }
  };
  return {
    take,
    tryTake,
    size: (options) => view.count(range, options),
    async *entries({ signal } = {}) {
      const ended = (): boolean => signal?.aborted === true || client.signal.aborted;
      while (!ended()) {
        let entry: QueueEntry<V>;
        try {
          entry = await take(signal === undefined ? {} : { signal });
        } catch (error) {
          if (ended() && !isUnknown(error)) return undefined;
          throw error;
        }
        yield entry;
      }
      return undefined;
    },
  };
}

/** The first entry, deleted; or none, and the revision at which the queue was empty. */
async function takeFirst<V, In>(
  view: Kv<V, In>,
  look: () => Promise<RangeResult<KeyValue<V>>>,
  options: CallOptions = {},
): Promise<readonly [QueueEntry<V> | undefined, Revision]> {
  for (;;) {
    const { kvs, revision } = await look();
    if (kvs.length === 0) return [undefined, revision];
    for (const kv of kvs) {
      const { modRevision } = kv;
      const done = await view.deleteIf(kv.keyBytes, { ...options, modRevision });
      if (done.ok) return [entryOf(kv), revision];
    }
  }
}

async function somePut<V, In>(
  view: Kv<V, In>,
  range: KeyRange,
  revision: Revision,
  { signal }: Scope,
): Promise<void> {
  await using watcher = view.as(nothing).watch(range, {
    only: 'put',
    fromRevision: revision + 1,
    signal,
  });
  try {
    for await (const _ of watcher) return;
  } catch (error) {
    if (!isEtcdError(error, 'COMPACTED')) throw error; // otherwise: look again
  }
  signal.throwIfAborted();
}

function entryOf<V>({ key, value, modRevision }: KeyValue<V>): QueueEntry<V> {
  return { key, value, revision: modRevision };
}

function isUnknown(error: unknown): boolean {
  return isEtcdError(error) && error.outcome === 'unknown';
}

function sixDigits(fraction: number): string {
  return String(Math.floor(fraction * 1_000_000)).padStart(6, '0');
}
