/**
 * The state, then every change after exactly that state: a range at a revision, and a watch from
 * the next one. If the watch falls behind a compaction there is nothing to go on with, and the
 * state is read again.
 */

import { onAbort } from '../../common/index.js';
import type { Caller } from '../call/index.js';
import { isEtcdError } from '../errors.js';
import {
  bytes,
  entryOf,
  type KeyRange,
  type KeyValue,
  scanRaw,
  type View,
} from '../keyspace/index.js';
import type {
  SnapshotEvent,
  StateEvent,
  StateWatcher,
  Watcher,
  WatchFromOptions,
  WatchOptions,
} from './types.js';
import type { WatchMux } from './watch-mux.js';
import { startWatch } from './watcher.js';

/** Reads nothing before the first `next`. */
export function watchState<V, In, const O extends WatchFromOptions>(
  context: { readonly caller: Caller; readonly watches: WatchMux },
  view: View<V, In>,
  range: KeyRange,
  options: O | undefined,
): StateWatcher<V, O> {
  return new StateRun<V, In, O>(context.caller, context.watches, view, range, options ?? {});
}

class StateRun<V, In, O> implements StateWatcher<V, O> {
  revision = 0;
  readonly #caller: Caller;
  readonly #mux: WatchMux;
  readonly #view: View<V, In>;
  readonly #range: KeyRange;
  readonly #options: WatchFromOptions;
  /** Ends reads that are running when it is closed. */
  readonly #abort = new AbortController();
  #watcher: Watcher<V, WatchOptions> | undefined;
  #reason: 'start' | 'compacted' = 'start';
  #closed = false;
  #takeBack: (() => void) | undefined;

  constructor(
    caller: Caller,
    mux: WatchMux,
    view: View<V, In>,
    range: KeyRange,
    options: WatchFromOptions,
  ) {
    this.#caller = caller;
    this.#mux = mux;
    this.#view = view;
    this.#range = range;
    this.#options = options;
    this.#takeBack = onAbort(options.signal, () => this.#stop());
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<StateEvent<V, O>, undefined>> {
    for (;;) {
      if (this.#closed) return { done: true, value: undefined };
      if (this.#watcher === undefined) return this.#first();
      let result: IteratorResult<unknown, undefined>;
      try {
        result = await this.#watcher.next();
      } catch (error) {
        if (!isEtcdError(error, 'COMPACTED') || this.#options.onCompacted === 'throw') {
          this.#stop();
          throw error;
        }
        this.#watcher = undefined;
        this.#reason = 'compacted';
        continue;
      }
      this.revision = Math.max(this.revision, this.#watcher?.revision ?? 0);
      if (result.done === true) return { done: true, value: undefined };
      // The same options, so the same events.
      return { done: false, value: result.value as StateEvent<V, O> };
    }
  }

  async return(): Promise<IteratorResult<StateEvent<V, O>, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  requestProgress(): void {
    this.#watcher?.requestProgress();
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#watcher?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #stop(): void {
    this.#closed = true;
    this.#takeBack?.();
    this.#abort.abort();
    void this.#watcher?.close();
  }

  async #first(): Promise<IteratorResult<StateEvent<V, O>, undefined>> {
    let snapshot: SnapshotEvent<V>;
    try {
      snapshot = await this.#snapshot();
    } catch (error) {
      if (this.#closed) return { done: true, value: undefined };
      this.#stop();
      throw error;
    }
    if (this.#closed) return { done: true, value: undefined };
    const { revision: _, onCompacted: __, ...options } = this.#options;
    this.#watcher = startWatch(this.#mux, this.#view, this.#range, {
      ...options,
      fromRevision: snapshot.revision + 1,
    });
    this.revision = snapshot.revision;
    return { done: false, value: snapshot };
  }

  /** The whole state at one revision; begun again if that is compacted while it is read. */
  async #snapshot(): Promise<SnapshotEvent<V>> {
    const asked = this.#reason === 'start' ? this.#options.revision : undefined;
    for (;;) {
      try {
        return await this.#read(asked);
      } catch (error) {
        if (asked !== undefined || !isEtcdError(error, 'COMPACTED')) throw error;
      }
    }
  }

  async #read(asked: number | undefined): Promise<SnapshotEvent<V>> {
    const { prefix, codec } = this.#view;
    const entries: KeyValue<V>[] = [];
    const invalid: KeyValue<Buffer>[] = [];
    let revision = asked ?? 0;
    const options = {
      signal: this.#abort.signal,
      ...(asked === undefined ? {} : { revision: asked }),
    };
    for await (const page of scanRaw(this.#caller, prefix, this.#range, options)) {
      revision = page.revision;
      for (const kv of page.response.kvs) {
        try {
          entries.push(entryOf(kv, prefix.length, codec));
        } catch (error) {
          const report = this.#options.onInvalid === 'report';
          if (!report || !isEtcdError(error, 'DECODE_FAILED')) throw error;
          invalid.push(entryOf(kv, prefix.length, bytes));
        }
      }
    }
    return { type: 'snapshot', revision, entries, invalid, reason: this.#reason };
  }
}
