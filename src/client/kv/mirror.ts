/**
 * Copies one view of a key space to another, in the same cluster or in another one, and follows it:
 * first the state at a revision, then every change. The changes of one revision of the source are
 * one transaction at the destination (several, if there are more than a transaction may have).
 *
 * What it writes does not depend on how often it is written, so writes of unknown outcome are
 * repeated; nobody else must write there. Leases are not copied: they belong to a cluster.
 */

import type { Revision } from '../../common/index.js';
import { isEtcdError } from '../errors.js';
import { type Bytes, bytes, type KeyRange } from '../keyspace/index.js';
import { mirrorTxnOpsDefault } from '../limits.js';
import {
  aFunction,
  anObject,
  aSignal,
  checkOptions,
  flag,
  type Shape,
  wholeNumber,
} from '../strict/index.js';
import type { Kv } from './kv-types.js';
import type { Op } from './txn-types.js';

/** See `mirror`. */
export interface MirrorOptions {
  /** Which keys of the source; all if left out. */
  readonly range?: KeyRange;
  /** Go on after this revision of the source instead of copying the state first. */
  readonly fromRevision?: Revision;
  /** When the state is copied, delete what the destination has and the source has not. */
  readonly prune?: boolean;
  /** Operations in one transaction. Default 100, below every server's limit. */
  readonly txnOpsMax?: number;
  /** Ends it. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: {
    /** Changes written so far. */
    readonly changes: number;
    /** Everything of the source up to here is in the destination. */
    readonly revision: Revision;
  }) => void;
}

const pageKeys = 1000;
const attemptsMax = 10;

const shape: Shape<MirrorOptions> = {
  range: anObject,
  fromRevision: wholeNumber(1),
  prune: flag,
  txnOpsMax: wholeNumber(1),
  signal: aSignal,
  onProgress: aFunction,
};

/** Runs until `signal` aborts (then it resolves) or something fails that will not pass. */
export async function mirror<V, In, V2, In2>(
  source: Kv<V, In>,
  destination: Kv<V2, In2>,
  options: MirrorOptions = {},
): Promise<void> {
  checkOptions('mirror', options, shape);
  const run = new MirrorRun(source.as(bytes), destination.as(bytes), options);
  let { fromRevision } = options;
  const ended = (): boolean => options.signal?.aborted === true;
  while (!ended()) {
    try {
      const start = fromRevision ?? (await run.copyState()) + 1;
      await run.follow(start);
      return;
    } catch (error) {
      if (ended()) return;
      if (!isEtcdError(error, 'COMPACTED')) throw error;
      // Changes are missing: only the whole state can mend that, deletions included.
      fromRevision = undefined;
      run.prune = true;
    }
  }
}

class MirrorRun {
  prune: boolean;
  readonly #source: Kv<Buffer, Bytes>;
  readonly #destination: Kv<Buffer, Bytes>;
  readonly #options: MirrorOptions;
  readonly #opsMax: number;
  #changes = 0;

  constructor(source: Kv<Buffer, Bytes>, destination: Kv<Buffer, Bytes>, options: MirrorOptions) {
    this.#source = source;
    this.#destination = destination;
    this.#options = options;
    this.#opsMax = options.txnOpsMax ?? mirrorTxnOpsDefault;
    this.prune = options.prune ?? false;
  }

  /** Returns the revision of the source that the destination then is. */
  async copyState(): Promise<number> {
    const range = this.#options.range ?? { all: true };
    const { signal } = this.#options;
    const options = signal === undefined ? { pageSize: pageKeys } : { pageSize: pageKeys, signal };
    const keys = new Set<string>();
    let revision = 0;
    for await (const page of this.#source.pages(range, options)) {
      if (revision === 0) revision = page.revision;
      if (this.prune) for (const { keyBytes } of page.kvs) keys.add(keyBytes.toString('latin1'));
      await this.#write(page.kvs.map((kv) => this.#destination.ops.put(kv.keyBytes, kv.value)));
    }
    if (this.prune) {
      for await (const page of this.#destination.pages(range, { ...options, keysOnly: true })) {
        const gone = page.kvs.filter(({ keyBytes }) => !keys.has(keyBytes.toString('latin1')));
        await this.#write(gone.map(({ keyBytes }) => this.#destination.ops.delete(keyBytes)));
      }
    }
    this.#report(revision);
    return revision;
  }

  async follow(fromRevision: number): Promise<void> {
    const { signal, range } = this.#options;
    const options = signal === undefined ? { fromRevision } : { fromRevision, signal };
    await using watcher = this.#source.watch(range ?? { all: true }, {
      ...options,
      progress: true,
    });
    for await (const batch of watcher.batches()) {
      const ops = batch.events.flatMap((event): Op<unknown>[] => {
        if (event.type === 'put')
          return [this.#destination.ops.put(event.kv.keyBytes, event.value)];
        if (event.type === 'delete') return [this.#destination.ops.delete(event.keyBytes)];
        return [];
      });
      await this.#write(ops);
      this.#report(batch.revision);
    }
  }

  async #write(ops: readonly Op<unknown>[]): Promise<void> {
    const { signal } = this.#options;
    for (let i = 0; i < ops.length; i += this.#opsMax) {
      const some = ops.slice(i, i + this.#opsMax);
      const txn = this.#destination.txn().then(...some);
      for (let attempt = 1; ; attempt += 1) {
        try {
          await txn.commit(signal === undefined ? {} : { signal });
          break;
        } catch (error) {
          const unknown = isEtcdError(error) && error.outcome === 'unknown';
          if (!unknown || signal?.aborted === true || attempt >= attemptsMax) throw error;
        }
      }
      this.#changes += some.length;
    }
  }

  #report(revision: number): void {
    this.#options.onProgress?.({ changes: this.#changes, revision });
  }
}
