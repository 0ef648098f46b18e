/** Ranges of the model: which keys, in which order, and how many (C-1.5). */

import type { ModelKv, RangeOp } from './model-types.js';

/** All keys and values of one revision. */
export type State = ReadonlyMap<string, ModelKv>;

/** True if the key lies in the range that key and range_end name. */
export function inRange(candidate: string, key: string, rangeEnd: string | undefined): boolean {
  if (rangeEnd === undefined || rangeEnd === '') return candidate === key;
  if (rangeEnd === '\0') return candidate >= key;
  return candidate >= key && candidate < rangeEnd;
}

/** The records in a range, in key order. */
export function select(state: State, key: string, rangeEnd: string | undefined): ModelKv[] {
  return [...state.values()]
    .filter((kv) => inRange(kv.key, key, rangeEnd))
    .sort((a, b) => order(a.key, b.key));
}

/** A range's kvs, count and more, from the state it reads. */
export function evaluateRange(
  state: State,
  request: RangeOp,
  minor: number,
): { readonly kvs: readonly ModelKv[]; readonly count: number; readonly more: boolean } {
  const all = select(state, request.key, request.range_end);
  const count = all.length;
  if (request.count_only) return { kvs: [], count, more: false };
  const limit = request.limit ?? 0;
  const target = request.sort_target ?? 0;
  const sortOrder = request.sort_order ?? 0;
  let kvs = all;
  if (sortOrder === 0 && target !== 0 && !hasFilters(request) && limit > 0) {
    // No order given: the limit is applied in key order, one key more than asked for, and only
    // then are the keys sorted.
    kvs = kvs.slice(0, limit + 1);
  }
  kvs = kvs.filter((kv) => passesFilters(kv, request));
  if (target !== 0 || sortOrder === 2) {
    const direction = sortOrder === 2 ? -1 : 1;
    kvs = [...kvs].sort(
      (a, b) => direction * order(sortKey(a, target), sortKey(b, target)) || order(a.key, b.key),
    );
  }
  const more = limit > 0 && kvs.length > limit;
  if (more) kvs = kvs.slice(0, limit);
  if (request.keys_only) kvs = kvs.map((kv) => withoutValue(kv, target, minor));
  return { kvs, count, more };
}

/** What a sort target compares. */
export function sortKey(kv: ModelKv, target: number): string | number {
  return [kv.key, kv.version, kv.create_revision, kv.mod_revision, kv.value][target] ?? kv.key;
}

function withoutValue(kv: ModelKv, target: number, minor: number): ModelKv {
  // Since 3.7 the answer comes from the index, which has no lease; by value it cannot.
  const lease = minor >= 7 && target !== 4 ? 0 : kv.lease;
  return { ...kv, value: '', lease };
}

function hasFilters(request: RangeOp): boolean {
  return Boolean(
    request.min_mod_revision ||
      request.max_mod_revision ||
      request.min_create_revision ||
      request.max_create_revision,
  );
}

function passesFilters(kv: ModelKv, request: RangeOp): boolean {
  const { min_mod_revision, max_mod_revision, min_create_revision, max_create_revision } = request;
  if (max_mod_revision && kv.mod_revision > max_mod_revision) return false;
  if (min_mod_revision && kv.mod_revision < min_mod_revision) return false;
  if (max_create_revision && kv.create_revision > max_create_revision) return false;
  return !(min_create_revision && kv.create_revision < min_create_revision);
}

/** Order of latin1 texts is the order of their bytes. */
export function order<T extends string | number>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
