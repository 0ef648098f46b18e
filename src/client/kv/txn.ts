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
import {
  type Caller,
  type CallOptions,
  callShape,
  type Header,
  headerOf,
  method,
} from '../call/index.js';
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
import { checkOneOf, checkOptions, described, isThenable, wholeNumber } from '../strict/index.js';
import type { Begun } from './forgotten.js';
import {
  deleteOpShape,
  getOpShape,
  putOpShape,
  rangeOpShape,
  touchOpShape,
} from './option-shapes.js';
import type {
  Comparer,
  Condition,
  KvOps,
  Op,
  Relation,
  TxnComplete,
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
      checkOptions('ops.get', options, getOpShape);
      const span = { key: fullKey(prefix, key), rangeEnd: '' };
      return rangeOp(rangeRequest(span, options ?? {}), (response) => {
        const kv = response.kvs[0];
        return kv === undefined ? undefined : entryOf(kv, prefix.length, view.codec);
      });
    },
    range(range, options) {
      checkOptions('ops.range', options, rangeOpShape);
      const request = rangeRequest(spanOf(prefix, range), options ?? {});
      // What the entries are follows from keysOnly, which the compiler does not connect.
      return rangeOp(request, (response, header) =>
        rangeResult(view, response, request.keysOnly, header),
      ) as ReturnType<typeof ops.range<never>>;
    },
    count: (range) => rangeOp(countRequest(spanOf(prefix, range), {}), ({ count }) => count),
    put(key, value, options) {
      checkOptions('ops.put', options, putOpShape);
      return putOp(view, putRequest(view, key, value, options ?? {}));
    },
    touch(key, options) {
      checkOptions('ops.touch', options, touchOpShape);
      return putOp(view, touchRequest(prefix, key, options ?? {}));
    },
    delete(key, options) {
      checkOptions('ops.delete', options, deleteOpShape);
      return deleteOp(view, deleteRequest(prefix, { key }, options ?? {}));
    },
    deleteRange(range, options) {
      checkOptions('ops.deleteRange', options, deleteOpShape);
      return deleteOp(view, deleteRequest(prefix, range, options ?? {}));
    },
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
  const compare = (is: Relation, fields: Partial<Compare>): Condition => {
    checkOneOf('the relation of a condition', is, Object.keys(results));
    return {
      compare: compareOf({
        key: span.key,
        rangeEnd: span.rangeEnd,
        result: results[is],
        ...fields,
      }),
    };
  };
  const comparer: Comparer<In> = {
    version: (is, version) =>
      compare(is, {
        target: CompareTarget.VERSION,
        targetUnion: 'version',
        version: exact('version', version),
      }),
    createRevision: (is, revision) =>
      compare(is, {
        target: CompareTarget.CREATE,
        targetUnion: 'createRevision',
        createRevision: exact('createRevision', revision),
      }),
    modRevision: (is, revision) =>
      compare(is, {
        target: CompareTarget.MOD,
        targetUnion: 'modRevision',
        modRevision: exact('modRevision', revision),
      }),
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

const wholeFromZero = wholeNumber(0);

/** A number that can be compared: the protocol would cut off fractions. */
function exact(what: string, given: number): number {
  const expected = wholeFromZero(given);
  if (expected === undefined) return given;
  throw invalidOption(`a condition on ${what} needs ${expected}, not ${described(given)}`);
}

/** Conditions on one key below `prefix`. */
export function comparerOfKey<V, In>(view: View<V, In>, key: Key): Comparer<In> {
  return comparerOf(view, { key: fullKey(view.prefix, key), rangeEnd: '' });
}

export function comparerOfRange<V, In>(view: View<V, In>, range: KeyRange): Comparer<In> {
  return comparerOf(view, spanOf(view.prefix, range));
}

/** `kv.txn()`. */
export function startTxn(caller: Caller, begun: Begun): TxnStart {
  return new Stage({
    caller,
    begun,
    conditions: none,
    thenOps: none,
    elseOps: none,
  });
}

/** A transaction as far as it has been said. */
interface Draft<Then extends Ops, Else extends Ops> {
  readonly caller: Caller;
  readonly begun: Begun;
  readonly conditions: readonly Condition[];
  readonly thenOps: Then;
  readonly elseOps: Else;
}

/**
 * The stages of the builder: the interfaces say which methods are meant at each. All have a `then`,
 * which is not that of a promise, so that TypeScript refuses to await them; if somebody awaits one
 * all the same, what is called is `then(resolve, reject)`, and it rejects.
 */
class Stage implements TxnStart {
  readonly #draft: Draft<readonly [], readonly []>;

  constructor(draft: Draft<readonly [], readonly []>) {
    this.#draft = draft;
  }

  if(...conditions: (Condition | readonly Condition[])[]): Stage {
    const added = conditions.flat();
    for (const condition of added) checkCondition(condition);
    return new Stage({ ...this.#draft, conditions: [...this.#draft.conditions, ...added] });
  }

  // biome-ignore lint/suspicious/noThenProperty: etcd's word
  then<const Then extends Ops>(...ops: Then): TxnThen<Then> {
    const complete = { ...this.#draft, thenOps: ops };
    if (!rejectAwait(ops)) checkOperations('then', ops);
    return new ThenStage(complete);
  }

  else<const Else extends Ops>(...ops: Else): TxnComplete<readonly [], Else> {
    checkOperations('else', ops);
    return new Complete({ ...this.#draft, elseOps: ops });
  }

  commit(options?: CallOptions): Promise<TxnResult<readonly [], readonly []>> {
    return new Complete(this.#draft).commit(options);
  }

  asOp(): Op<TxnResult<readonly [], readonly []>> {
    return new Complete(this.#draft).asOp();
  }
}

/** True, and told, if it was `await` that called, with what settles a promise. */
function rejectAwait(given: readonly unknown[]): boolean {
  const [resolve, reject] = given;
  if (typeof resolve !== 'function') return false;
  if (typeof reject === 'function') {
    reject(invalidOption('a transaction was awaited that was not committed: .commit() is missing'));
  }
  return true;
}

/** The `then` of what is complete: only `await` calls it, which looks at what it was told. */
function refuseThen(given: readonly unknown[]): never {
  if (!rejectAwait(given)) throw invalidOption('then() was said already');
  return undefined as never;
}

function checkCondition(given: unknown): void {
  const compare =
    typeof given === 'object' && given !== null && (given as Partial<Condition>).compare;
  if (typeof compare === 'object') return;
  throw invalidOption(
    `if() takes conditions, made with kv.when(key) or kv.whenAll(range), not ${described(given)}`,
  );
}

/** The classic mistake is a call that has been made already, `kv.put(...)`. */
function checkOperations(where: string, ops: readonly unknown[]): void {
  for (const op of ops) {
    const { request, read } = (op ?? {}) as Partial<Op<unknown>>;
    if (typeof request === 'object' && typeof read === 'function') continue;
    const hint = isThenable(op) ? '; kv.put(...) is a call that has been made already' : '';
    throw invalidOption(
      `${where}() takes operations, made with kv.ops, not ${described(op)}${hint}`,
    );
  }
}

/** A complete transaction. */
class Complete<Then extends Ops, Else extends Ops> implements TxnComplete<Then, Else> {
  readonly #draft: Draft<Then, Else>;
  readonly #request: TxnRequest;

  constructor(draft: Draft<Then, Else>) {
    this.#draft = draft;
    this.#request = {
      compare: draft.conditions.map(({ compare }) => compare),
      success: draft.thenOps.map(({ request }) => request),
      failure: draft.elseOps.map(({ request }) => request),
    };
  }

  // biome-ignore lint/suspicious/noThenProperty: so that awaiting it is refused
  then(...given: readonly unknown[]): never {
    return refuseThen(given);
  }

  async commit(options?: CallOptions): Promise<TxnResult<Then, Else>> {
    const { caller, begun } = this.#draft;
    begun.used();
    checkOptions('commit', options, callShape);
    const kind = onlyReads(this.#request) ? 'read' : 'write';
    const request = encodeTxnRequest(linearizable(this.#request));
    const key = keyOfTxn(this.#request);
    const reply = await caller.call(method.txn, kind, request, options, key);
    const response = decodeTxnResponse(reply);
    return this.#result(response, headerOf(response.header));
  }

  asOp(): Op<TxnResult<Then, Else>> {
    this.#draft.begun.used();
    return {
      request: { type: 'txn', request: this.#request },
      read: (reply, header) => this.#result(expected(reply, 'txn').response, header),
    };
  }

  /** The tuples of results have the types that the operations promise. */
  #result(response: TxnResponse, header: Header): TxnResult<Then, Else> {
    const ops = response.succeeded ? this.#draft.thenOps : this.#draft.elseOps;
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

/** A complete transaction to which `else` may be added. */
class ThenStage<Then extends Ops> implements TxnThen<Then> {
  readonly #draft: Draft<Then, readonly []>;

  constructor(draft: Draft<Then, readonly []>) {
    this.#draft = draft;
  }

  else<const Else extends Ops>(...ops: Else): TxnComplete<Then, Else> {
    checkOperations('else', ops);
    return new Complete({ ...this.#draft, elseOps: ops });
  }

  // biome-ignore lint/suspicious/noThenProperty: so that awaiting it is refused
  then(...given: readonly unknown[]): never {
    return refuseThen(given);
  }

  commit(options?: CallOptions): Promise<TxnResult<Then, readonly []>> {
    return new Complete(this.#draft).commit(options);
  }

  asOp(): Op<TxnResult<Then, readonly []>> {
    return new Complete(this.#draft).asOp();
  }
}

/** The first key that a transaction names, for errors. */
function keyOfTxn({ compare, success, failure }: TxnRequest): string | undefined {
  const [condition] = compare;
  if (condition !== undefined) return keyText(condition.key);
  const [op] = [...success, ...failure];
  if (op === undefined) return undefined;
  if (op.type === 'none') return undefined;
  return op.type === 'txn' ? keyOfTxn(op.request) : keyText(op.request.key);
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
