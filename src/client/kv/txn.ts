/**
 * Transactions: operations and conditions of a view, the builder, and the reply taken apart. The
 * whole request exists when `commit` is called; nothing is remembered between the stages but it.
 */

import type { GrpcCode, KeyString } from '../../common/index.js';
import {
  type Compare,
  CompareResult,
  CompareTarget,
  compareOf,
  decodeTxnResponse,
  encodeTxnRequest,
  type RequestOp,
  type ResponseOp,
  type TxnRequest,
  type TxnResponse,
} from '../../proto/index.js';
import { type Caller, type CallOptions, type Header, headerOf, method } from '../call/index.js';
import { EtcdClientError, invalidOption } from '../errors.js';
import {
  countRequest,
  encodeWith,
  entryOf,
  fullKey,
  type Key,
  type KeyRange,
  keyText,
  rangeRequest,
  rangeResult,
  type Span,
  spanOf,
  type View,
} from '../keyspace/index.js';
import type {
  Comparer,
  Condition,
  KvOps,
  Op,
  Relation,
  Txn,
  TxnResult,
  TxnStart,
  TxnThen,
} from './txn-types.js';
import {
  deleteRequest,
  deleteResult,
  leaseIdOf,
  putRequest,
  putResult,
  touchRequest,
} from './write-request.js';

type Ops = readonly Op<unknown>[];
const none: readonly [] = [];

/** The operations of a view. */
export function opsOf<V, In>(view: View<V, In>): KvOps<V, In> {
  const { prefix } = view;
  const ops: KvOps<V, In> = {
    get(key, options) {
      const span = { key: fullKey(prefix, key), rangeEnd: '' };
      return rangeOp(rangeRequest(span, options ?? {}), (response) => {
        const kv = response.kvs[0];
        return kv === undefined ? undefined : entryOf(kv, prefix.length, view.codec);
      });
    },
    range(range, options) {
      const request = rangeRequest(spanOf(prefix, range), options ?? {});
      // What the entries are follows from keysOnly, which the compiler does not connect.
      return rangeOp(request, (response, header) =>
        rangeResult(view, response, request.keysOnly, header),
      ) as ReturnType<typeof ops.range<never>>;
    },
    count: (range) => rangeOp(countRequest(spanOf(prefix, range), {}), ({ count }) => count),
    put: (key, value, options) => putOp(view, putRequest(view, key, value, options ?? {})),
    touch: (key, options) => putOp(view, touchRequest(prefix, key, options ?? {})),
    delete: (key, options) => deleteOp(view, deleteRequest(prefix, { key }, options ?? {})),
    deleteRange: (range, options) => deleteOp(view, deleteRequest(prefix, range, options ?? {})),
  };
  return ops;
}

type RangeOf<T extends RequestOp['type']> = Extract<RequestOp, { readonly type: T }>;
type ReplyOf<T extends ResponseOp['type']> = Extract<ResponseOp, { readonly type: T }>;

function rangeOp<R>(
  request: RangeOf<'range'>['request'],
  read: (response: ReplyOf<'range'>['response'], header: Header) => R,
): Op<R> {
  return {
    request: { type: 'range', request },
    read: (reply, header) => read(expected(reply, 'range').response, header),
  };
}

/** The result has `prev` if the request asked for it, which is what its type says. */
function putOp<V, In, R>(view: View<V, In>, request: RangeOf<'put'>['request']): Op<R> {
  return {
    request: { type: 'put', request },
    read: (reply, header) =>
      putResult(view, expected(reply, 'put').response, request.prevKv, header) as R,
  };
}

function deleteOp<V, In, R>(view: View<V, In>, request: RangeOf<'deleteRange'>['request']): Op<R> {
  return {
    request: { type: 'deleteRange', request },
    read: (reply, header) =>
      deleteResult(view, expected(reply, 'deleteRange').response, request.prevKv, header) as R,
  };
}

function expected<T extends ResponseOp['type']>(reply: ResponseOp, type: T): ReplyOf<T> {
  if (reply.type === type) return reply as ReplyOf<T>;
  throw new EtcdClientError({
    code: 'INTERNAL',
    reason: 'OTHER',
    outcome: 'unknown',
    message: `the server answered a ${type} with a ${reply.type}`,
  });
}

const results = {
  '=': CompareResult.EQUAL,
  '!=': CompareResult.NOT_EQUAL,
  '<': CompareResult.LESS,
  '>': CompareResult.GREATER,
} as const satisfies Record<Relation, number>;

/** Conditions on the keys of `span`. */
export function comparerOf<V, In>(view: View<V, In>, span: Span): Comparer<In> {
  const compare = (is: Relation, fields: Partial<Compare>): Condition => ({
    compare: compareOf({
      key: span.key,
      rangeEnd: span.rangeEnd,
      result: results[is],
      ...fields,
    }),
  });
  const comparer: Comparer<In> = {
    version: (is, version) =>
      compare(is, { target: CompareTarget.VERSION, targetUnion: 'version', version }),
    createRevision: (is, createRevision) =>
      compare(is, {
        target: CompareTarget.CREATE,
        targetUnion: 'createRevision',
        createRevision,
      }),
    modRevision: (is, modRevision) =>
      compare(is, { target: CompareTarget.MOD, targetUnion: 'modRevision', modRevision }),
    lease: (is, lease) =>
      compare(is, {
        target: CompareTarget.LEASE,
        targetUnion: 'lease',
        lease: leaseIdOf(lease),
      }),
    value: (is, value) =>
      compare(is, {
        target: CompareTarget.VALUE,
        targetUnion: 'value',
        value: encodeWith(view.codec, keyText(span.key), value),
      }),
    exists: () => comparer.createRevision('>', 0),
    missing: () => comparer.createRevision('=', 0),
  };
  return comparer;
}

/** Conditions on one key below `prefix`. */
export function comparerOfKey<V, In>(view: View<V, In>, key: Key): Comparer<In> {
  return comparerOf(view, { key: fullKey(view.prefix, key), rangeEnd: '' });
}

export function comparerOfRange<V, In>(view: View<V, In>, range: KeyRange): Comparer<In> {
  return comparerOf(view, spanOf(view.prefix, range));
}

/** `kv.txn()`. */
export function startTxn(caller: Caller): TxnStart {
  return new Stage(caller, none, none, none);
}

/**
 * One stage of the builder. The same object at every stage: the interfaces say which methods are
 * meant. `then` is only reachable where its type is not thenable for TypeScript; if somebody
 * awaits such a stage all the same, what is called is `then(resolve, reject)`, and it rejects.
 */
class Stage implements TxnStart {
  readonly #caller: Caller;
  readonly #conditions: readonly Condition[];
  readonly #then: Ops;
  readonly #else: Ops;

  constructor(caller: Caller, conditions: readonly Condition[], thenOps: Ops, elseOps: Ops) {
    this.#caller = caller;
    this.#conditions = conditions;
    this.#then = thenOps;
    this.#else = elseOps;
  }

  if(...conditions: (Condition | readonly Condition[])[]): Stage {
    const all = [...this.#conditions, ...conditions.flat()];
    return new Stage(this.#caller, all, this.#then, this.#else);
  }

  // biome-ignore lint/suspicious/noThenProperty: etcd's word
  then<const Then extends Ops>(...ops: Then): TxnThen<Then> {
    const [first, second]: readonly unknown[] = ops;
    if (typeof first === 'function') {
      if (typeof second === 'function') second(invalidOption('a transaction must be committed'));
      return new ThenStage(this.#caller, this.#conditions, ops);
    }
    return new ThenStage(this.#caller, this.#conditions, ops);
  }

  else<const Else extends Ops>(...ops: Else): Txn<readonly [], Else> {
    return new Ready(this.#caller, this.#conditions, none, ops);
  }

  commit(options?: CallOptions): Promise<TxnResult<readonly [], readonly []>> {
    return new Ready(this.#caller, this.#conditions, none, none).commit(options);
  }

  asOp(): Op<TxnResult<readonly [], readonly []>> {
    return new Ready(this.#caller, this.#conditions, none, none).asOp();
  }
}

class ThenStage<Then extends Ops> implements TxnThen<Then> {
  readonly #caller: Caller;
  readonly #conditions: readonly Condition[];
  readonly #then: Then;

  constructor(caller: Caller, conditions: readonly Condition[], thenOps: Then) {
    this.#caller = caller;
    this.#conditions = conditions;
    this.#then = thenOps;
  }

  else<const Else extends Ops>(...ops: Else): Txn<Then, Else> {
    return new Ready(this.#caller, this.#conditions, this.#then, ops);
  }

  commit(options?: CallOptions): Promise<TxnResult<Then, readonly []>> {
    return this.else().commit(options);
  }

  asOp(): Op<TxnResult<Then, readonly []>> {
    return this.else().asOp();
  }
}

/** A complete transaction. */
class Ready<Then extends Ops, Else extends Ops> implements Txn<Then, Else> {
  readonly #caller: Caller;
  readonly #request: TxnRequest;
  readonly #then: Then;
  readonly #else: Else;

  constructor(caller: Caller, conditions: readonly Condition[], thenOps: Then, elseOps: Else) {
    this.#caller = caller;
    this.#request = {
      compare: conditions.map(({ compare }) => compare),
      success: thenOps.map(({ request }) => request),
      failure: elseOps.map(({ request }) => request),
    };
    this.#then = thenOps;
    this.#else = elseOps;
  }

  async commit(options?: CallOptions): Promise<TxnResult<Then, Else>> {
    const kind = onlyReads(this.#request) ? 'read' : 'write';
    const request = encodeTxnRequest(linearizable(this.#request));
    const reply = await this.#caller.call(method.txn, kind, request, options);
    const response = decodeTxnResponse(reply);
    return this.#result(response, headerOf(response.header));
  }

  asOp(): Op<TxnResult<Then, Else>> {
    return {
      request: { type: 'txn', request: this.#request },
      read: (reply, header) => this.#result(expected(reply, 'txn').response, header),
    };
  }

  /** The tuples of results have the types that the operations promise. */
  #result(response: TxnResponse, header: Header): TxnResult<Then, Else> {
    const ops = response.succeeded ? this.#then : this.#else;
    if (response.responses.length < ops.length) {
      throw new EtcdClientError({
        code: 'INTERNAL',
        reason: 'OTHER',
        outcome: 'unknown',
        message: `the server answered ${response.responses.length} of ${ops.length} operations`,
      });
    }
    const read = ops.map((op, i) => op.read(response.responses[i] ?? { type: 'none' }, header));
    return {
      ok: response.succeeded,
      header,
      revision: header.revision,
      results: read,
    } as unknown as TxnResult<Then, Else>;
  }
}

/**
 * A transaction of conditions alone is answered by any member from what it has (C-1.7.8).
 * A read beside them, whose result nobody wants, makes it as current as all others.
 */
export function linearizable(request: TxnRequest): TxnRequest {
  const [first] = request.compare;
  const operations = request.success.length + request.failure.length;
  if (first === undefined || operations > 0) return request;
  const read = countRequest({ key: first.key, rangeEnd: '' }, {});
  return { ...request, failure: [{ type: 'range', request: read }] };
}

/** True if neither branch changes anything, however deep. */
function onlyReads(request: TxnRequest): boolean {
  const reads = (op: RequestOp): boolean =>
    op.type === 'range' || (op.type === 'txn' && onlyReads(op.request));
  return request.success.every(reads) && request.failure.every(reads);
}

/** Conditions that hold exactly if `entry` is still what the key is; for compare-and-set. */
export function unchanged(key: KeyString, modRevision: number): Condition {
  return {
    compare: compareOf({
      key,
      result: CompareResult.EQUAL,
      target: CompareTarget.MOD,
      targetUnion: 'modRevision',
      modRevision,
    }),
  };
}

/** The error of changes that met others as often as they were allowed to. */
export function conflictError(what: string, attempts: number): EtcdClientError {
  return new EtcdClientError({
    code: statusOfConflict,
    reason: 'CONFLICT',
    outcome: 'failed',
    message: `${what}: changed by others in each of ${attempts} attempts`,
    attempts,
  });
}

const statusOfConflict = 'ABORTED' satisfies keyof typeof GrpcCode;
