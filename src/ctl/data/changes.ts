/** What differs between two revisions of a range, key by key, without holding either of them. */

import type { KeyString } from '../../common/index.js';
import type { KeyValue } from '../../proto/index.js';
import type { Span } from './span.js';
import type { Store } from './store.js';

/** A key that is not the same in both; one of them is there. */
export interface Change {
  readonly key: KeyString;
  readonly before: KeyValue | undefined;
  readonly after: KeyValue | undefined;
}

/**
 * The keys of `span` whose value or lease differs, in order. What was put again as it had been is
 * no difference. `seen` is told of keys that were compared.
 */
export async function* changesBetween(
  store: Store,
  span: Span,
  [before, after]: readonly [number, number],
  seen: (keys: number) => void = () => undefined,
): AsyncGenerator<Change, undefined, void> {
  const left = entriesOf(store, span, before);
  const right = entriesOf(store, span, after);
  try {
    let a = await left.next();
    let b = await right.next();
    while (!a.done || !b.done) {
      const old = a.done ? undefined : a.value;
      const now = b.done ? undefined : b.value;
      const order = compared(old, now);
      const change = {
        key: (order <= 0 ? old : now)?.key ?? '',
        before: order <= 0 ? old : undefined,
        after: order >= 0 ? now : undefined,
      };
      if (!isSame(change.before, change.after)) yield change;
      seen(1);
      if (order <= 0) a = await left.next();
      if (order >= 0) b = await right.next();
    }
  } finally {
    await left.return(undefined);
    await right.return(undefined);
  }
}

/** True if nobody who reads them could tell them apart, but for their revisions. */
export function isSame(a: KeyValue | undefined, b: KeyValue | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  if (a.modRevision === b.modRevision) return true;
  return a.lease === b.lease && a.value.equals(b.value);
}

/** Below 0: the first is to be looked at alone; above: the second; 0: they have the same key. */
function compared(a: KeyValue | undefined, b: KeyValue | undefined): number {
  if (a === undefined) return 1;
  if (b === undefined || a.key < b.key) return -1;
  return a.key === b.key ? 0 : 1;
}

async function* entriesOf(
  store: Store,
  span: Span,
  revision: number,
): AsyncGenerator<KeyValue, undefined, void> {
  for await (const { kvs } of store.pages(span, { revision })) yield* kvs;
}
