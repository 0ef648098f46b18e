/**
 * The door to a KvStore that can be taken out of use while others still read from it: when an
 * installed state takes its place, writes are refused at once and reads after a while, each with an
 * error that tells the client to try again, and it is closed when the last call has returned.
 */

import {
  assert,
  EtcdError,
  type KvChange,
  type KvScan,
  type KvStore,
  type KvView,
} from '../../common/index.js';

/** A KvStore, passed through. */
export class KvGate implements KvStore {
  readonly #inner: KvStore;
  #refusesWrites = false;
  #refusesReads = false;
  #running = 0;
  #onIdle: (() => void) | undefined;
  readonly #views = new Set<KvView>();

  constructor(inner: KvStore) {
    this.#inner = inner;
  }

  getMany(keys: readonly Uint8Array[]): Promise<Array<Buffer | undefined>> {
    return this.#pass(() => this.#inner.getMany(keys));
  }

  write(changes: readonly KvChange[], options: { readonly sync: boolean }): Promise<void> {
    if (this.#refusesWrites) return Promise.reject(replaced());
    return this.#pass(() => this.#inner.write(changes, options));
  }

  scan(range: KvScan): Promise<Array<readonly [Buffer, Buffer]>> {
    return this.#pass(() => this.#inner.scan(range));
  }

  view(): KvView {
    if (this.#refusesReads) throw replaced();
    const view = this.#inner.view();
    this.#views.add(view);
    return {
      scan: (range) => this.#pass(() => view.scan(range)),
      close: async () => {
        if (this.#views.delete(view)) await view.close();
      },
    };
  }

  compact(gte: Uint8Array, lt: Uint8Array): Promise<void> {
    return this.#pass(() => this.#inner.compact(gte, lt));
  }

  sizeBytes(): Promise<number> {
    return this.#pass(() => this.#inner.sizeBytes());
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** From now on every write rejects. */
  refuseWrites(): void {
    this.#refusesWrites = true;
  }

  /** From now on every call rejects; resolves when those before it have returned. */
  async refuseAll(): Promise<void> {
    this.#refusesWrites = true;
    this.#refusesReads = true;
    if (this.#running > 0) {
      assert(this.#onIdle === undefined, 'a KvStore goes out of use once');
      await new Promise<void>((resolve) => {
        this.#onIdle = resolve;
      });
    }
    assert(this.#running === 0, 'nobody reads when the views are closed');
    for (const view of this.#views) await view.close();
    this.#views.clear();
  }

  async #pass<T>(call: () => Promise<T>): Promise<T> {
    if (this.#refusesReads) throw replaced();
    this.#running += 1;
    try {
      return await call();
    } finally {
      this.#running -= 1;
      assert(this.#running >= 0, 'a call returns once');
      if (this.#running === 0) this.#onIdle?.();
    }
  }
}

/** The state was replaced under a running call; another attempt finds the new one. */
export function replaced(): EtcdError {
  return new EtcdError('LEADER_CHANGED');
}
