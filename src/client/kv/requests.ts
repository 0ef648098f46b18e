/** Requests of the KV service from users' options, and users' results from its replies. */

import type { KeyString } from '../../common/index.js';
import {
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  SortOrder,
  SortTarget,
} from '../../proto/index.js';
import { invalidOption } from '../call/outcome.js';
import type { CallOptions, Header, Key, KeyInfo, KeyRange, KeyValue } from '../types.js';
import { encodeWith } from './codec.js';
import { entryOf, headerOf, infoOf, leaseIdOf } from './entries.js';
import { fullKey, keyText, type Span, spanOf } from './keys.js';
import type {
  Codec,
  DeleteResult,
  LeaseChoice,
  LeaseRef,
  PutResult,
  RangeOptions,
  RangeResult,
  Sort,
} from './types.js';

/** What keys and values of one view are made with. */
export interface View<V, In> {
  readonly prefix: KeyString;
  readonly codec: Codec<V, In>;
}

const sortTargets = {
  key: SortTarget.KEY,
  version: SortTarget.VERSION,
  createRevision: SortTarget.CREATE,
  modRevision: SortTarget.MOD,
  value: SortTarget.VALUE,
} as const satisfies Record<Sort['by'], number>;

/** Range options without those of the call. */
export type RangeQuery = Omit<RangeOptions, keyof CallOptions>;

/** Everything written out, so that all requests have one shape. */
export function rangeRequest(span: Span, query: RangeQuery): RangeRequest {
  const { sort, limit } = query;
  if (limit !== undefined && !(limit >= 1)) throw invalidOption('limit must be at least 1');
  return {
    key: span.key,
    rangeEnd: span.rangeEnd,
    limit: limit ?? 0,
    revision: revisionOption(query.revision),
    // Never NONE with a target: that would sort after limiting (C-1.5.8).
    sortOrder:
      sort === undefined
        ? SortOrder.NONE
        : sort.order === 'descending'
          ? SortOrder.DESCEND
          : SortOrder.ASCEND,
    sortTarget: sort === undefined ? SortTarget.KEY : sortTargets[sort.by],
    serializable: query.serializable ?? false,
    keysOnly: query.keysOnly ?? false,
    countOnly: false,
    minModRevision: query.modRevisionMin ?? 0,
    maxModRevision: query.modRevisionMax ?? 0,
    minCreateRevision: query.createRevisionMin ?? 0,
    maxCreateRevision: query.createRevisionMax ?? 0,
  };
}

/** Just the number of keys. */
export function countRequest(span: Span, query: RangeQuery): RangeRequest {
  return { ...rangeRequest(span, query), countOnly: true };
}

/** 0 for the newest state, so that 0 itself is not a revision somebody can ask for. */
export function revisionOption(revision: number | undefined): number {
  if (revision === undefined) return 0;
  if (Number.isSafeInteger(revision) && revision >= 1) return revision;
  throw invalidOption(`not a revision: ${revision}`);
}

/** The reply to a range; entries have values unless `keysOnly`. */
export function rangeResult<V, In>(
  view: View<V, In>,
  response: RangeResponse,
  keysOnly: boolean,
  outer?: Header,
): RangeResult<KeyInfo | KeyValue<V>> {
  const header = outer ?? headerOf(response.header);
  const { length } = view.prefix;
  return {
    header,
    revision: header.revision,
    kvs: response.kvs.map((kv) =>
      keysOnly ? infoOf(kv, length) : entryOf(kv, length, view.codec),
    ),
    count: response.count,
    more: response.more,
  };
}

/** What a put takes beside key and value. */
export type PutQuery = { readonly prev?: boolean } & LeaseChoice;

export function putRequest<V, In>(
  view: View<V, In>,
  key: Key,
  value: In,
  query: PutQuery,
): PutRequest {
  const full = fullKey(view.prefix, key);
  return {
    key: full,
    value: encodeWith(view.codec, keyText(full), value),
    lease: leaseIdOf(query.lease),
    prevKv: query.prev ?? false,
    ignoreValue: false,
    ignoreLease: query.keepLease ?? false,
  };
}

const noValue = Buffer.alloc(0);

export function touchRequest(
  prefix: KeyString,
  key: Key,
  query: { readonly lease?: LeaseRef; readonly prev?: boolean },
): PutRequest {
  return {
    key: fullKey(prefix, key),
    value: noValue,
    lease: leaseIdOf(query.lease),
    prevKv: query.prev ?? false,
    ignoreValue: true,
    ignoreLease: false,
  };
}

/** `prev` is a property exactly if it was asked for. */
export function putResult<V, In>(
  view: View<V, In>,
  response: PutResponse,
  prev: boolean,
  outer?: Header,
): PutResult<V, { readonly prev: true }> {
  const header = outer ?? headerOf(response.header);
  const result = { header, revision: header.revision };
  if (!prev) return result as PutResult<V, { readonly prev: true }>;
  const { prevKv } = response;
  return {
    ...result,
    prev: prevKv === undefined ? undefined : entryOf(prevKv, view.prefix.length, view.codec),
  };
}

export function deleteRequest(
  prefix: KeyString,
  range: KeyRange,
  query: { readonly prev?: boolean },
): DeleteRangeRequest {
  const span = spanOf(prefix, range);
  return { key: span.key, rangeEnd: span.rangeEnd, prevKv: query.prev ?? false };
}

/** `prevs` is a property exactly if it was asked for. */
export function deleteResult<V, In>(
  view: View<V, In>,
  response: DeleteRangeResponse,
  prev: boolean,
  outer?: Header,
): DeleteResult<V, { readonly prev: true }> {
  const header = outer ?? headerOf(response.header);
  const result = { header, revision: header.revision, deleted: response.deleted };
  if (!prev) return result as DeleteResult<V, { readonly prev: true }>;
  const { length } = view.prefix;
  return { ...result, prevs: response.prevKvs.map((kv) => entryOf(kv, length, view.codec)) };
}
