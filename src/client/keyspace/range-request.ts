/** Requests of the KV service from users' options, and users' results from its replies. */

import type { KeyString } from '../../common/index.js';
import { type RangeRequest, type RangeResponse, SortOrder, SortTarget } from '../../proto/index.js';
import { type CallOptions, type Header, headerOf } from '../call/index.js';
import { invalidOption } from '../errors.js';
import type { Span } from './key-span.js';
import type { Codec, KeyInfo, KeyValue, RangeOptions, RangeResult, Sort } from './types.js';
import { entryOf, infoOf } from './wire-entry.js';

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
