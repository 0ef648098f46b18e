/**
 * Leader election. Keys, order and values are those of `concurrency.NewElection` in Go, of `etcdctl
 * elect` and of the server's Election service: they take part in the same election.
 *
 * A campaign waits for its session, too (in Go it does not): a candidate whose lease is gone stops
 * waiting, and is not elected.
 */

import type { LeaseId, Revision } from '../../common/index.js';
import type { CallOptions } from '../call/index.js';
import { bytes, decodeWith, encodeWith, type KeyValue } from '../keyspace/index.js';
import type { ClientOfView, Kv } from '../kv/index.js';
import { type HeldKey, notOwnerError } from './held-key.js';
import { followRange } from './live-range.js';
import { acquire, type Claim, checkPlace, prefixOf, sessionKey } from './owned-key.js';
import { scopeOf } from './scope.js';
import type { AcquireOptions, Ownership, Session } from './types.js';
import { ValueWriter } from './value-writer.js';

/** A leader as everybody sees it. */
export interface Leader<V> {
  readonly key: string;
  /** What it proclaimed last. */
  readonly value: V;
  readonly fencingRevision: Revision;
  /** Of the last proclamation. */
  readonly modRevision: Revision;
  readonly lease: LeaseId;
}

/** Being the leader. `release` resigns. */
export interface Leadership<In> extends Ownership {
  /** Changes the value that others see. NOT_OWNER if this is not the leader any more. */
  proclaim(value: In, options?: AcquireOptions): Promise<void>;
  /** Gives it up; the next candidate follows. */
  resign(options?: AcquireOptions): Promise<void>;
}

export interface Election<V, In> {
  readonly name: string;
  /** Waits until it is the leader. A session is one candidate; it may campaign again later. */
  campaign(session: Session, value: In, options?: AcquireOptions): Promise<Leadership<In>>;
  leader(options?: CallOptions): Promise<Leader<V> | undefined>;
  /**
   * The leader now (undefined: none), and again whenever it changes or proclaims. Goes on over
   * disconnections; who reads slowly gets the newest. Ends with the signal or the client.
   */
  observe(options?: {
    readonly signal?: AbortSignal;
  }): AsyncIterableIterator<Leader<V> | undefined, undefined>;
}

/** The election of this name in a view; values are of the view's kind. */
export function election<V, In>(view: Kv<V, In>, name: string): Election<V, In> {
  checkPlace('election', view, name);
  const { client } = view;
  const kv = view.as(bytes);
  const prefix = prefixOf(name);
  return {
    name,
    campaign: async (session, value, options) => {
      const key = sessionKey(prefix, session);
      const claim: Claim = {
        kv,
        key,
        value: encodeWith(view.codec, key, value),
        contenders: { prefix },
        permits: 1,
        oneASession: true,
      };
      return new Term(view, await acquire(session, claim, options));
    },
    leader: async (options) => {
      const { kvs } = await view.range(
        { prefix },
        { ...options, limit: 1, sort: { by: 'createRevision', order: 'ascending' } },
      );
      const [first] = kvs;
      return first === undefined ? undefined : leaderOf(first);
    },
    observe: (options = {}) => observe(client, view, prefix, options),
  };
}

class Term<V, In> implements Leadership<In> {
  readonly #view: Kv<V, In>;
  readonly #held: HeldKey;
  readonly #writer: ValueWriter;

  constructor(view: Kv<V, In>, held: HeldKey) {
    this.#view = view;
    this.#held = held;
    const { key, session, fencingRevision } = held;
    this.#writer = new ValueWriter({
      runtime: session.client.runtime,
      kv: view.as(bytes),
      key,
      lease: session.id,
      modRevision: fencingRevision,
      mayReplace: (there) => there?.createRevision === fencingRevision,
    });
  }

  get key(): string {
    return this.#held.key;
  }
  get fencingRevision(): Revision {
    return this.#held.fencingRevision;
  }
  get session(): Session {
    return this.#held.session;
  }
  get signal(): AbortSignal {
    return this.#held.signal;
  }
  get owned(): boolean {
    return this.#held.owned;
  }
  get guard() {
    return this.#held.guard;
  }

  txn(...conditions: Parameters<Ownership['txn']>) {
    return this.#held.txn(...conditions);
  }
  verify(options?: CallOptions): Promise<boolean> {
    return this.#held.verify(options);
  }
  release(options?: AcquireOptions): Promise<void> {
    return this.#held.release(options);
  }
  resign(options?: AcquireOptions): Promise<void> {
    return this.#held.release(options);
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.#held.release();
  }

  async proclaim(value: In, options: AcquireOptions = {}): Promise<void> {
    const { session, key } = this.#held;
    if (!this.#held.owned) throw notOwnerError(key);
    const encoded = encodeWith(this.#view.codec, key, value);
    const scope = scopeOf(session.client.runtime.clock, options, session.signal);
    try {
      if (await this.#writer.write(encoded, scope.signal)) return;
      const error = notOwnerError(key);
      this.#held.lose(error);
      throw error;
    } catch (error) {
      throw scope.signal.aborted ? scope.signal.reason : error;
    } finally {
      scope.end();
    }
  }
}

async function* observe<V, In>(
  client: ClientOfView,
  view: Kv<V, In>,
  prefix: string,
  options: { readonly signal?: AbortSignal },
): AsyncGenerator<Leader<V> | undefined, undefined, void> {
  const scope = scopeOf(client.runtime.clock, options, client.signal);
  let told: KeyValue<Buffer> | undefined;
  let first = true;
  try {
    for await (const { entries } of followRange(client.runtime, view, { prefix }, scope.signal)) {
      let leader: KeyValue<Buffer> | undefined;
      for (const entry of entries.values()) {
        if (leader === undefined || entry.createRevision < leader.createRevision) leader = entry;
      }
      if (!first && leader?.modRevision === told?.modRevision) continue;
      first = false;
      told = leader;
      if (leader === undefined) {
        yield undefined;
        continue;
      }
      const { key, value, createRevision, modRevision, lease } = leader;
      const decoded = decodeWith(view.codec, key, value);
      yield leaderOf({ key, value: decoded, createRevision, modRevision, lease });
    }
  } finally {
    scope.end();
  }
}

function leaderOf<V>(
  kv: Pick<KeyValue<V>, 'key' | 'value' | 'createRevision' | 'modRevision' | 'lease'>,
): Leader<V> {
  const { key, value, createRevision, modRevision, lease } = kv;
  return { key, value, fencingRevision: createRevision, modRevision, lease };
}
