/** Requests that change something from users' options, and users' results from their replies. */

import type { KeyString, LeaseId } from '../../common/index.js';
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  PutRequest,
  PutResponse,
} from '../../proto/index.js';
import { type Header, headerOf } from '../call/index.js';
import { invalidOption } from '../errors.js';
import {
  encodeWith,
  entryOf,
  fullKey,
  type Key,
  type KeyRange,
  keyText,
  spanOf,
  type View,
} from '../keyspace/index.js';
import { described } from '../strict/index.js';
import { aLease } from './option-shapes.js';
import type { DeleteResult, LeaseChoice, LeaseRef, PutResult } from './write-types.js';

/** 0n for none. */
export function leaseIdOf(lease: LeaseRef | undefined): LeaseId {
  if (lease === undefined) return 0n;
  const expected = aLease(lease);
  if (expected !== undefined) {
    throw invalidOption(`lease must be ${expected}, not ${described(lease)}`);
  }
  return typeof lease === 'bigint' ? lease : lease.id;
}

const noValue = Buffer.alloc(0);

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
  // What was meant to be a part of a name, and is empty, must not mean everything.
  if (range.prefix !== undefined && range.prefix.length === 0) {
    throw invalidOption(
      'an empty prefix would delete all keys: if that is meant, say { all: true }',
    );
  }
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
