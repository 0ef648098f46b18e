/**
 * Reading a range that is too large for one reply: in pages, or as a stream of the server's chunks.
 * All of it is one state: the first page fixes the revision.
 */

import type { KeyString } from '../../common/index.js';
import {
  decodeRangeResponse,
  decodeRangeStreamResponse,
  encodeRangeRequest,
  type RangeResponse,
} from '../../proto/index.js';
import { type Caller, type CallOptions, headerOf, method, serverStream } from '../call/index.js';
import { invalidOption, isEtcdError } from '../errors.js';
import { pageKeysDefault } from '../limits.js';
import { type Span, spanOf } from './key-span.js';
import { rangeRequest, rangeResult, type View } from './range-request.js';
import type { KeyInfo, KeyRange, KeyValue, RangeResult, ScanOptions } from './types.js';

/** An entry whose type the caller narrows by the options it passed. */
export type AnyEntry<V> = KeyInfo | KeyValue<V>;

/** A page as it came, and the revision that all pages are of. */
export interface RawPage {
  readonly response: RangeResponse;
  readonly revision: number;
}

/** Page by page. Throws COMPACTED if the revision goes away in between. */
export async function* scanRaw(
  caller: Caller,
  prefix: KeyString,
  range: KeyRange,
  options: ScanOptions,
): AsyncGenerator<RawPage, undefined, void> {
  const limit = options.pageSize ?? pageKeysDefault;
  if (!(Number.isSafeInteger(limit) && limit >= 1)) throw invalidOption('pageSize must be >= 1');
  const kind = options.serializable === true ? 'local' : 'read';
  let span: Span = spanOf(prefix, range);
  let { revision } = options;
  for (;;) {
    const query = { ...queryOf(options), limit, ...(revision === undefined ? {} : { revision }) };
    const request = encodeRangeRequest(rangeRequest(span, query));
    const response = decodeRangeResponse(await caller.call(method.range, kind, request, options));
    // The header has the newest revision, whatever was asked for; the first page was read at it.
    revision ??= headerOf(response.header).revision;
    yield { response, revision };
    const last = response.kvs.at(-1);
    if (!response.more || last === undefined) return;
    span = { key: `${last.key}\0`, rangeEnd: span.rangeEnd };
  }
}

/** {@link scanRaw} with entries. */
export async function* scanPages<V, In>(
  caller: Caller,
  view: View<V, In>,
  range: KeyRange,
  options: ScanOptions,
): AsyncGenerator<RangeResult<AnyEntry<V>>, undefined, void> {
  for await (const { response } of scanRaw(caller, view.prefix, range, options)) {
    yield rangeResult(view, response, options.keysOnly === true);
  }
}

/** Chunks of one RangeStream call; pages where the server does not have it (before 3.7). */
export async function* streamChunks<V, In>(
  caller: Caller,
  view: View<V, In>,
  range: KeyRange,
  options: ScanOptions & CallOptions,
): AsyncGenerator<readonly AnyEntry<V>[], undefined, void> {
  const query = {
    ...queryOf(options),
    ...(options.revision === undefined ? {} : { revision: options.revision }),
  };
  const request = encodeRangeRequest(rangeRequest(spanOf(view.prefix, range), query));
  const kind = options.serializable === true ? 'local' : 'read';
  let seen = false;
  try {
    for await (const chunk of serverStream(caller, method.rangeStream, kind, request, options)) {
      seen = true;
      const response = decodeRangeStreamResponse(chunk);
      if (response.kvs.length > 0) {
        yield rangeResult(view, response, options.keysOnly === true).kvs;
      }
    }
    return;
  } catch (error) {
    if (seen || !isEtcdError(error) || error.code !== 'UNIMPLEMENTED') throw error;
  }
  for await (const page of scanPages(caller, view, range, options)) {
    if (page.kvs.length > 0) yield page.kvs;
  }
}

function queryOf(options: ScanOptions) {
  return {
    serializable: options.serializable ?? false,
    keysOnly: options.keysOnly ?? false,
  };
}
