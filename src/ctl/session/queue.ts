/** The queue of locks and elections: keys below a prefix, and the oldest of them has it. */

import { method, prefixEnd, type RawClient } from '../../client/raw/index.js';
import type { KeyString } from '../../common/index.js';
import {
  decodeRangeResponse,
  EventType,
  encodeRangeRequest,
  type RangeRequest,
  SortOrder,
  SortTarget,
} from '../../proto/index.js';
import { Watch } from '../watching/index.js';

/** Asks for the key below `prefix` that was created first, or last. */
export function firstBelow(prefix: KeyString, order: 'first' | 'last'): Partial<RangeRequest> {
  return {
    ...{ key: prefix, rangeEnd: prefixEnd(prefix), limit: 1, sortTarget: SortTarget.CREATE },
    sortOrder: order === 'first' ? SortOrder.ASCEND : SortOrder.DESCEND,
  };
}

/**
 * Resolves once no key below `prefix` is older than the revision `before`. Rejects with
 * EtcdClientError, also when `signal` is aborted.
 */
export async function waitForOlder(
  client: RawClient,
  prefix: KeyString,
  before: number,
  signal: AbortSignal,
): Promise<void> {
  const request = { ...firstBelow(prefix, 'last'), maxCreateRevision: before - 1 };
  for (;;) {
    const bytes = await client.call(method.range, 'read', encodeRangeRequest(request), {
      signal,
      timeoutMs: Number.POSITIVE_INFINITY,
    });
    const { kvs, header } = decodeRangeResponse(bytes);
    const [oldest] = kvs;
    if (oldest === undefined) return;
    await waitForDelete(client, oldest.key, header?.revision ?? 0, signal);
  }
}

/** Also resolves when the watch ends: whoever waits looks again. */
async function waitForDelete(
  client: RawClient,
  key: KeyString,
  startRevision: number,
  signal: AbortSignal,
): Promise<void> {
  const watch = new Watch(client, { key, startRevision }, signal);
  for await (const { response } of watch.answers()) {
    if (response.events.some(({ type }) => type === EventType.DELETE)) return;
  }
}
