/**
 * Software transactional memory: a function of reads and writes becomes one transaction whose
 * conditions are that what it read is still so. Isolation levels as in etcd's Go package
 * `concurrency` (client/v3/concurrency/stm.go): facts, not code.
 *
 * A run whose conditions fail is run again. A commit of unknown outcome is not: it may have
 * happened, so running the function again could apply it twice.
 */

import type { KeyString } from '../../common/index.js';
import {
  CompareResult,
  decodeRangeResponse,
  decodeTxnResponse,
  encodeRangeRequest,
  encodeTxnRequest,
  type RequestOp,
  type KeyValue as WireKeyValue,
} from '../../proto/index.js';
import { type Caller, type CallOptions, method } from '../call/index.js';
import { isEtcdError } from '../errors.js';
import {
  decodeWith,
  entryOf,
  fullKey,
  type Key,
  type KeyValue,
  keyString,
  keyText,
  rangeRequest,
  type View,
} from '../keyspace/index.js';
import { stmAttemptsDefault } from '../limits.js';
import type { Isolation, Kv, Stm, StmOptions } from './kv-types.js';
import { conflictError, linearizable, unchanged } from './txn.js';
import type { Condition } from './txn-types.js';
import { deleteRequest, putRequest } from './write-request.js';
import type { LeaseChoice } from './write-types.js';

/** Runs `work` until it commits. */
export async function runStm<V, In, R>(
  caller: Caller,
  view: View<V, In>,
  work: (tx: Stm<V, In>) => Promise<R> | R,
  options: StmOptions = {},
): Promise<R> {
  const attemptsMax = options.attemptsMax ?? stmAttemptsDefault;
  const { clock, random } = caller.options;
  const callOptions = caller.sharedDeadline(options);
  for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
    const run = new StmRun(caller, options, callOptions, attempt);
    let committed: 'done' | 'changed' | 'guarded';
    try {
      const result = await work(run.view(view));
      committed = await run.commit();
      if (committed === 'done') return result;
    } catch (error) {
      // The revision of the first read was compacted while the function ran.
      if (!isEtcdError(error, 'COMPACTED')) throw error;
      committed = 'changed';
    }
    if (committed === 'guarded') throw conflictError('a guard of the transaction failed', attempt);
    // Two that keep meeting must get out of step.
    const delayMs = random.float() * Math.min(2 ** Math.min(attempt, 7), 100);
    await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
  }
  throw conflictError('transaction function', attemptsMax);
}

interface Write {
  readonly op: RequestOp;
  /** Encoded; undefined: deleted. */
  readonly value: Buffer | undefined;
}

/** One run of the function: what it read and what it wants to write. */
class StmRun {
  readonly #caller: Caller;
  readonly #options: StmOptions;
  readonly #callOptions: () => CallOptions;
  readonly #isolation: Isolation;
  readonly #attempt: number;
  /** Key -> what was there; undefined: nothing. */
  readonly #reads = new Map<KeyString, WireKeyValue | undefined>();
  readonly #writes = new Map<KeyString, Write>();
  /** Of the first read; later ones are of the same, if the isolation says so. */
  #revision = 0;
  #reading: Promise<unknown> = Promise.resolve();

  constructor(
    caller: Caller,
    options: StmOptions,
    callOptions: () => CallOptions,
    attempt: number,
  ) {
    this.#caller = caller;
    this.#options = options;
    this.#callOptions = callOptions;
    this.#isolation = options.isolation ?? 'serializable-snapshot';
    this.#attempt = attempt;
  }

  /** The run as the function sees it. */
  view<V, In>(view: View<V, In>): Stm<V, In> {
    const { prefix, codec } = view;
    const entry = async (key: Key): Promise<KeyValue<V> | undefined> => {
      const wire = await this.#read(fullKey(prefix, key));
      return wire === undefined ? undefined : entryOf(wire, prefix.length, codec);
    };
    return {
      attempt: this.#attempt,
      entry,
      get: async (key) => {
        const full = fullKey(prefix, key);
        const written = this.#writes.get(full);
        if (written === undefined) return (await entry(key))?.value;
        if (written.value === undefined) return undefined;
        return decodeWith(codec, keyText(full), written.value);
      },
      put: (key, value, choice?: LeaseChoice) => {
        const request = putRequest(view, key, value, choice ?? {});
        this.#writes.set(request.key, { op: { type: 'put', request }, value: request.value });
      },
      delete: (key) => {
        const request = deleteRequest(prefix, { key }, {});
        this.#writes.set(request.key, { op: { type: 'deleteRange', request }, value: undefined });
      },
      in: <V2, In2>(kv: Kv<V2, In2>) =>
        this.view<V2, In2>({ prefix: keyString(kv.prefix), codec: kv.codec }),
    };
  }

  async commit(): Promise<'done' | 'changed' | 'guarded'> {
    const guards = this.#options.guards ?? [];
    if (this.#writes.size === 0 && guards.length === 0 && this.#readsAgree()) return 'done';
    const conditions = [...guards, ...this.#conditions()];
    // Tells a guard that failed, which will fail again, from a read that has changed.
    const probe = guards.length === 0 ? [] : [guardProbe(guards)];
    const txn = linearizable({
      compare: conditions.map(({ compare }) => compare),
      success: [...this.#writes.values()].map(({ op }) => op),
      failure: probe,
    });
    const request = encodeTxnRequest(txn);
    const kind = this.#writes.size === 0 ? 'read' : 'write';
    const reply = await this.#caller.call(method.txn, kind, request, this.#callOptions());
    const response = decodeTxnResponse(reply);
    if (response.succeeded) return 'done';
    const probed = response.responses[0];
    const guarded = probed?.type === 'txn' && !probed.response.succeeded;
    return guarded ? 'guarded' : 'changed';
  }

  /** A run that writes nothing and read one state needs no second look. */
  #readsAgree(): boolean {
    return this.#reads.size <= 1 || this.#isolation !== 'repeatable-read';
  }

  #conditions(): Condition[] {
    const conditions = [...this.#reads].map(([key, kv]) => unchanged(key, kv?.modRevision ?? 0));
    if (this.#isolation === 'serializable-snapshot' && this.#revision > 0) {
      for (const key of this.#writes.keys()) {
        if (!this.#reads.has(key)) conditions.push(notNewerThan(key, this.#revision));
      }
    }
    return conditions;
  }

  /** One read of each key; the first of all fixes the revision. */
  #read(key: KeyString): Promise<WireKeyValue | undefined> {
    const read = this.#reading.then(async () => {
      if (this.#reads.has(key)) return this.#reads.get(key);
      const pinned = this.#isolation !== 'repeatable-read' && this.#revision > 0;
      const request = encodeRangeRequest(
        rangeRequest({ key, rangeEnd: '' }, pinned ? { revision: this.#revision } : {}),
      );
      const reply = await this.#caller.call(method.range, 'read', request, this.#callOptions());
      const response = decodeRangeResponse(reply);
      if (this.#revision === 0) this.#revision = response.header?.revision ?? 0;
      const kv = response.kvs[0];
      this.#reads.set(key, kv);
      return kv;
    });
    this.#reading = read.catch(() => undefined);
    return read;
  }
}

function notNewerThan(key: KeyString, revision: number): Condition {
  const { compare } = unchanged(key, revision + 1);
  return { compare: { ...compare, result: CompareResult.LESS } };
}

/** A transaction inside that only asks whether the guards hold. */
function guardProbe(guards: readonly Condition[]): RequestOp {
  const compare = guards.map((guard) => guard.compare);
  return { type: 'txn', request: { compare, success: [], failure: [] } };
}
