/**
 * {@link Kv}: a view of the key space below a prefix, with a codec. Views are cheap and keep
 * nothing; all of a client share its calls and its watch stream.
 */

import { type KeyString, keyToBytes } from '../../common/index.js';
import {
  decodeDeleteRangeResponse,
  decodePutResponse,
  decodeRangeResponse,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  type RangeRequest,
  type RangeResponse,
} from '../../proto/index.js';
import { type Caller, type CallOptions, callOptionsOf, method } from '../call/index.js';
import { invalidOption } from '../errors.js';
import {
  type Codec,
  countRequest,
  type EntryOf,
  entryOf,
  fullKey,
  type Key,
  type KeyRange,
  type KeyValue,
  keyString,
  keyText,
  type RangeOptions,
  type RangeResult,
  type ReadOptions,
  rangeRequest,
  rangeResult,
  rangeShape,
  readShape,
  type ScanOptions,
  type StandardSchema,
  scanPages,
  scanShape,
  spanOf,
  streamChunks,
  typed,
  type View,
} from '../keyspace/index.js';
import { modifyAttemptsDefault } from '../limits.js';
import { checkOptions, described, isThenable } from '../strict/index.js';
import {
  type StateWatcher,
  startWatch,
  type Watcher,
  type WatchFromOptions,
  type WatchMux,
  type WatchOptions,
  watchFromShape,
  watchShape,
  watchState,
} from '../watch/index.js';
import { type Forgotten, nobodyAsks } from './forgotten.js';
import type { ClientOfView, Kv, Stm, StmOptions } from './kv-types.js';
import {
  casShape,
  deleteIfShape,
  deleteShape,
  modifyShape,
  putShape,
  replaceShape,
  stmShape,
  touchShape,
} from './option-shapes.js';
import { runStm } from './stm.js';
import { comparerOfKey, comparerOfRange, conflictError, opsOf, startTxn } from './txn.js';
import type { Comparer, Condition, KvOps, Op, TxnStart } from './txn-types.js';
import {
  deleteRequest,
  deleteResult,
  type PutQuery,
  putRequest,
  putResult,
  touchRequest,
} from './write-request.js';
import type {
  CasOptions,
  CasResult,
  DeleteOptions,
  DeleteResult,
  LeaseChoice,
  LeaseRef,
  ModifyOptions,
  ModifyResult,
  PutOptions,
  PutResult,
} from './write-types.js';

/** What all views of a client share. */
export interface KvContext {
  readonly caller: Caller;
  readonly watches: WatchMux;
  readonly client: ClientOfView;
  /** Transactions that were begun. */
  readonly forgotten: Forgotten;
}

export class KvView<V, In> implements Kv<V, In> {
  readonly codec: Codec<V, In>;
  readonly ops: KvOps<V, In>;
  readonly #context: KvContext;
  readonly #view: View<V, In>;

  constructor(context: KvContext, prefix: KeyString, codec: Codec<V, In>) {
    this.codec = codec;
    this.#context = context;
    this.#view = { prefix, codec };
    this.ops = opsOf(this.#view);
  }

  get client(): ClientOfView {
    return this.#context.client;
  }

  get prefix(): Buffer {
    return keyToBytes(this.#view.prefix);
  }

  async get(key: Key, options?: ReadOptions): Promise<KeyValue<V> | undefined> {
    checkOptions('get', options, readShape);
    const { prefix, codec } = this.#view;
    const span = { key: fullKey(prefix, key), rangeEnd: '' };
    const response = await this.#range(rangeRequest(span, options ?? {}), options);
    const kv = response.kvs[0];
    return kv === undefined ? undefined : entryOf(kv, prefix.length, codec);
  }

  async exists(key: Key, options?: ReadOptions): Promise<boolean> {
    checkOptions('exists', options, readShape);
    return (await this.count({ key }, options)) > 0;
  }

  async range<const O extends RangeOptions>(
    range: KeyRange,
    options?: O,
  ): Promise<RangeResult<EntryOf<V, O>>> {
    checkOptions('range', options, rangeShape);
    const request = rangeRequest(spanOf(this.#view.prefix, range), options ?? {});
    const response = await this.#range(request, options);
    const result = rangeResult(this.#view, response, request.keysOnly);
    // Entries are without values exactly if keysOnly says so, which is what EntryOf says.
    return result as unknown as RangeResult<EntryOf<V, O>>;
  }

  async count(range: KeyRange, options?: ReadOptions): Promise<number> {
    checkOptions('count', options, readShape);
    const request = countRequest(spanOf(this.#view.prefix, range), options ?? {});
    return (await this.#range(request, options)).count;
  }

  async *scan<const O extends ScanOptions>(
    range: KeyRange,
    options?: O,
  ): AsyncGenerator<EntryOf<V, O>, undefined, void> {
    for await (const page of this.pages(range, options)) yield* page.kvs;
  }

  pages<const O extends ScanOptions>(
    range: KeyRange,
    options?: O,
  ): AsyncGenerator<RangeResult<EntryOf<V, O>>, undefined, void> {
    checkOptions('pages', options, scanShape);
    const pages = scanPages(this.#context.caller, this.#view, range, options ?? {});
    return pages as unknown as AsyncGenerator<RangeResult<EntryOf<V, O>>, undefined, void>;
  }

  stream<const O extends ScanOptions>(
    range: KeyRange,
    options?: O,
  ): AsyncGenerator<readonly EntryOf<V, O>[], undefined, void> {
    checkOptions('stream', options, scanShape);
    const chunks = streamChunks(this.#context.caller, this.#view, range, options ?? {});
    return chunks as unknown as AsyncGenerator<readonly EntryOf<V, O>[], undefined, void>;
  }

  async put<const O extends PutOptions>(
    key: Key,
    value: In,
    options?: O,
  ): Promise<PutResult<V, O>> {
    checkOptions('put', options, putShape);
    const query: PutQuery = options ?? {};
    const request = putRequest(this.#view, key, value, query);
    const bytes = encodePutRequest(request);
    const of = keyText(request.key);
    const reply = await this.#context.caller.call(method.put, 'write', bytes, options, of);
    const result = putResult(this.#view, decodePutResponse(reply), request.prevKv);
    return result as unknown as PutResult<V, O>;
  }

  async touch<const O extends CallOptions & { readonly lease?: LeaseRef; readonly prev?: boolean }>(
    key: Key,
    options?: O,
  ): Promise<PutResult<V, O>> {
    checkOptions('touch', options, touchShape);
    const request = touchRequest(this.#view.prefix, key, options ?? {});
    const bytes = encodePutRequest(request);
    const of = keyText(request.key);
    const reply = await this.#context.caller.call(method.put, 'write', bytes, options, of);
    const result = putResult(this.#view, decodePutResponse(reply), request.prevKv);
    return result as unknown as PutResult<V, O>;
  }

  delete<const O extends DeleteOptions>(key: Key, options?: O): Promise<DeleteResult<V, O>> {
    return this.deleteRange({ key }, options);
  }

  async deleteRange<const O extends DeleteOptions>(
    range: KeyRange,
    options?: O,
  ): Promise<DeleteResult<V, O>> {
    checkOptions('delete', options, deleteShape);
    const request = deleteRequest(this.#view.prefix, range, options ?? {});
    const bytes = encodeDeleteRangeRequest(request);
    const from = keyText(request.key);
    const reply = await this.#context.caller.call(
      method.deleteRange,
      'write',
      bytes,
      options,
      from,
    );
    const result = deleteResult(this.#view, decodeDeleteRangeResponse(reply), request.prevKv);
    return result as unknown as DeleteResult<V, O>;
  }

  async create(key: Key, value: In, options?: CasOptions): Promise<CasResult<V>> {
    checkOptions('create', options, casShape);
    const put = this.ops.put(key, value, leaseChoice(options));
    return this.#swap(key, this.when(key).missing(), put, options);
  }

  async replace(
    key: Key,
    value: In,
    options: CasOptions & { readonly modRevision: number },
  ): Promise<CasResult<V>> {
    checkOptions('replace', options, replaceShape);
    needsRevision('replace', options);
    const put = this.ops.put(key, value, leaseChoice(options));
    return this.#swap(key, this.when(key).modRevision('=', options.modRevision), put, options);
  }

  async deleteIf(
    key: Key,
    options: CallOptions & { readonly modRevision: number },
  ): Promise<CasResult<V>> {
    checkOptions('deleteIf', options, deleteIfShape);
    needsRevision('deleteIf', options);
    const condition = this.when(key).modRevision('=', options.modRevision);
    return this.#swap(key, condition, this.ops.delete(key), options);
  }

  async modify(
    key: Key,
    change: (current: V | undefined, kv: KeyValue<V> | undefined) => In | undefined,
    options: ModifyOptions = {},
  ): Promise<ModifyResult<V>> {
    checkOptions('modify', options, modifyShape);
    const attemptsMax = options.attemptsMax ?? modifyAttemptsDefault;
    const callOptions = this.#context.caller.sharedDeadline(options);
    const first = await this.range({ key }, callOptions());
    let before: KeyValue<V> | undefined = first.kvs[0];
    let { header } = first;
    for (let attempt = 1; attempt <= attemptsMax; attempt += 1) {
      const next = change(before?.value, before);
      if (isThenable(next)) {
        throw invalidOption(
          `modify: the function must give the value itself, not ${described(next)}`,
        );
      }
      if (next === undefined) return { header, revision: header.revision, before, written: false };
      const put = this.ops.put(key, next, leaseChoice(options));
      const condition = this.when(key).modRevision('=', before?.modRevision ?? 0);
      const result = await this.#swap(key, condition, put, callOptions());
      header = result.header;
      if (result.ok) return { header, revision: header.revision, before, written: true };
      before = result.current;
    }
    throw conflictError('modify', attemptsMax);
  }

  txn(): TxnStart {
    const { caller, forgotten } = this.#context;
    return startTxn(caller, forgotten.begin(KvView.prototype.txn));
  }

  when(key: Key): Comparer<In> {
    return comparerOfKey(this.#view, key);
  }

  whenAll(range: KeyRange): Comparer<In> {
    return comparerOfRange(this.#view, range);
  }

  stm<R>(work: (tx: Stm<V, In>) => Promise<R> | R, options?: StmOptions): Promise<R> {
    checkOptions('stm', options, stmShape);
    return runStm(this.#context.caller, this.#view, work, options);
  }

  watch<const O extends WatchOptions>(range: KeyRange, options?: O): Watcher<V, O> {
    checkOptions('watch', options, watchShape);
    return startWatch(this.#context.watches, this.#view, range, options);
  }

  watchFrom<const O extends WatchFromOptions>(range: KeyRange, options?: O): StateWatcher<V, O> {
    checkOptions('watchFrom', options, watchFromShape);
    return watchState(this.#context, this.#view, range, options);
  }

  namespace(prefix: Key): Kv<V, In> {
    return new KvView(this.#context, this.#view.prefix + keyString(prefix), this.codec);
  }

  as<Out2, In2>(codec: Codec<Out2, In2>): Kv<Out2, In2> {
    return new KvView(this.#context, this.#view.prefix, codec);
  }

  typed<In2, Out2>(schema: StandardSchema<In2, Out2>): Kv<Out2, In2> {
    return this.as(typed(schema));
  }

  async #range(request: RangeRequest, options: ReadOptions | undefined): Promise<RangeResponse> {
    const kind = request.serializable ? 'local' : 'read';
    const bytes = encodeRangeRequest(request);
    const from = keyText(request.key);
    const { caller } = this.#context;
    return decodeRangeResponse(await caller.call(method.range, kind, bytes, options, from));
  }

  /** Does `op` if the condition holds, or says what is there. */
  async #swap(
    key: Key,
    condition: Condition,
    op: Op<unknown>,
    options: CallOptions | undefined,
  ): Promise<CasResult<V>> {
    const callOptions = options === undefined ? undefined : callOptionsOf(options);
    const get = this.ops.get(key);
    const txn = startTxn(this.#context.caller, nobodyAsks);
    const result = await txn.if(condition).then(op).else(get).commit(callOptions);
    const { header, revision } = result;
    if (result.ok) return { ok: true, header, revision };
    return { ok: false, header, revision, current: result.results[0] };
  }
}

/** From JavaScript it may be missing, and would mean: if there is no such key. */
function needsRevision(what: string, options: { readonly modRevision: number } | undefined): void {
  if (options?.modRevision !== undefined) return;
  throw invalidOption(`${what}: modRevision must be that of the entry that was read`);
}

/** The lease part of the options. */
function leaseChoice(options: CasOptions | undefined): LeaseChoice {
  if (options?.keepLease === true) return { keepLease: true };
  return options?.lease === undefined ? {} : { lease: options.lease };
}
