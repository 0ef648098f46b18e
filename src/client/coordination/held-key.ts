/**
 * A key that is owned: until it is released, the session is over, or somebody deletes it.
 *
 * The key is watched only once somebody asks for the signal: a short critical section that is
 * guarded by its fencing revision does not need it, and pays nothing for it.
 */

import { assert, onAbort, type Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import { EtcdClientError, isEtcdError } from '../errors.js';
import type { Bytes } from '../keyspace/index.js';
import type { Condition, Kv, TxnIf } from '../kv/index.js';
import { rewatchDelayMs } from '../limits.js';
import { pause, persist, scopeOf, unlessAborted } from './scope.js';
import type { AcquireOptions, Ownership, Session } from './types.js';

export class HeldKey implements Ownership {
  readonly key: string;
  readonly fencingRevision: Revision;
  readonly session: Session;
  readonly guard: Condition;
  readonly #kv: Kv<Buffer, Bytes>;
  readonly #leave: () => void;
  readonly #lost = new AbortController();
  /** Ends the watch of the key. */
  readonly #unwatch = new AbortController();
  #takeBack: () => void = () => undefined;
  #watching = false;
  #releasing: Promise<void> | undefined;

  constructor(
    session: Session,
    kv: Kv<Buffer, Bytes>,
    key: string,
    fencingRevision: Revision,
    leave: () => void,
  ) {
    assert(key !== '', 'what is owned has a key');
    this.session = session;
    this.key = key;
    this.fencingRevision = fencingRevision;
    this.guard = kv.when(key).createRevision('=', fencingRevision);
    this.#kv = kv;
    this.#leave = leave;
    this.#takeBack = onAbort(session.signal, () => this.lose(session.signal.reason));
  }

  get signal(): AbortSignal {
    if (!this.#watching && this.owned) {
      this.#watching = true;
      void this.#watch();
    }
    return this.#lost.signal;
  }

  get owned(): boolean {
    const { state } = this.session;
    if (state === 'lost' || state === 'closed') return false;
    return this.#releasing === undefined && !this.#lost.signal.aborted;
  }

  txn(...conditions: Condition[]): TxnIf {
    return this.#kv.txn().if(this.guard, ...conditions);
  }

  async verify(options?: CallOptions): Promise<boolean> {
    if (!this.owned) return false;
    const kv = await this.#kv.get(this.key, options);
    if (kv?.createRevision !== this.fencingRevision) {
      this.lose(notOwnerError(this.key));
      return false;
    }
    return this.owned;
  }

  async release(options: AcquireOptions = {}): Promise<void> {
    this.#releasing ??= this.#release();
    const scope = scopeOf(this.session.client.runtime.clock, options);
    try {
      await unlessAborted(this.#releasing, scope.signal);
    } finally {
      scope.end();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Somebody saw that it is not owned any more. */
  lose(error: EtcdClientError): void {
    if (this.#releasing !== undefined || this.#lost.signal.aborted) return;
    this.#forget();
    assert(this.#unwatch.signal.aborted, 'what is lost is not watched');
    this.#lost.abort(error);
  }

  async #release(): Promise<void> {
    this.#forget();
    try {
      await this.session.work.insist((signal) =>
        this.#kv.txn().if(this.guard).then(this.#kv.ops.delete(this.key)).commit({ signal }),
      );
    } finally {
      this.#leave();
    }
  }

  #forget(): void {
    this.#takeBack();
    this.#unwatch.abort();
  }

  async #watch(): Promise<void> {
    const { signal } = this.#unwatch;
    const { runtime } = this.session.client;
    let fromRevision = this.fencingRevision + 1;
    while (!signal.aborted) {
      try {
        await using deletions = this.#kv.watch(
          { key: this.key },
          {
            only: 'delete',
            fromRevision,
            signal,
          },
        );
        for await (const _ of deletions) {
          this.lose(notOwnerError(this.key));
          return;
        }
      } catch (error) {
        // Compacted while away, or refused: what is there now says the same.
        if (!isEtcdError(error, 'COMPACTED')) await pause(runtime.clock, rewatchDelayMs, signal);
      }
      try {
        const now = await persist(runtime, signal, () =>
          this.#kv.range({ key: this.key }, { signal, keysOnly: true }),
        );
        if (now.kvs[0]?.createRevision !== this.fencingRevision) {
          this.lose(notOwnerError(this.key));
          return;
        }
        fromRevision = now.revision + 1;
      } catch (cause) {
        if (!signal.aborted) this.lose(unknownError(this.key, cause));
      }
    }
  }
}

/** Somebody deleted the key. */
export function notOwnerError(key: string): EtcdClientError {
  return new EtcdClientError({
    code: 'FAILED_PRECONDITION',
    reason: 'NOT_OWNER',
    outcome: 'failed',
    message: `the key ${JSON.stringify(key)} was deleted`,
  });
}

function unknownError(key: string, cause: unknown): EtcdClientError {
  return new EtcdClientError({
    code: 'ABORTED',
    reason: 'NOT_OWNER',
    outcome: 'unknown',
    message: `whether the key ${JSON.stringify(key)} is there can't be found out`,
    cause,
  });
}
