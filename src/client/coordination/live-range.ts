/**
 * A range as it is now, and again after each revision that changes it. All changes of a revision
 * are seen together; a reader that is slow sees the newest state, not each one in between.
 */

import type { Revision } from '../../common/index.js';
import { isEtcdError } from '../errors.js';
import { bytes, type KeyRange, type KeyValue } from '../keyspace/index.js';
import type { Kv } from '../kv/index.js';
import { persist } from './scope.js';

/** A state of a range. The map is changed in place by the next step. */
export interface LiveState<V> {
  readonly revision: Revision;
  /** Key, relative to the view -> entry. */
  readonly entries: ReadonlyMap<string, KeyValue<V>>;
  /** Keys that changed in this step; undefined: any may have. */
  readonly changed: ReadonlySet<string> | undefined;
}

interface Runtime {
  readonly clock: Parameters<typeof persist>[0]['clock'];
  readonly random: { float(): number };
}

/** Values are bytes: what can't be decoded is for the reader to judge. Ends with the signal. */
export async function* followRange<V, In>(
  runtime: Runtime,
  view: Kv<V, In>,
  range: KeyRange,
  signal: AbortSignal,
): AsyncGenerator<LiveState<Buffer>, undefined, void> {
  const kv = view.as(bytes);
  while (!signal.aborted) {
    const entries = new Map<string, KeyValue<Buffer>>();
    let revision = 0;
    try {
      revision = await persist(runtime, signal, async () => {
        entries.clear();
        let at = 0;
        for await (const page of kv.pages(range, { signal })) {
          at = page.revision;
          for (const entry of page.kvs) entries.set(entry.key, entry);
        }
        return at;
      });
      yield { revision, entries, changed: undefined };
      await using watcher = kv.watch(range, { fromRevision: revision + 1, signal });
      for await (const batch of watcher.batches()) {
        const changed = new Set<string>();
        for (const event of batch.events) {
          changed.add(event.key);
          if (event.type === 'put') entries.set(event.key, event.kv);
          else entries.delete(event.key);
        }
        yield { revision: batch.revision, entries, changed };
      }
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      // History is missing: only the state itself can tell.
      if (!isEtcdError(error, 'COMPACTED')) throw error;
    }
  }
  return undefined;
}
