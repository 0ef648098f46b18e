/**
 * The requests of the unary loads. Each is copied from a template and a key and value are written
 * over it: the generator shares the machine with the server, so its own cost matters.
 */

import {
  type Compare,
  compareOf,
  encodeLeaseGrantRequest,
  encodePutRequest,
  encodeRangeRequest,
  encodeTxnRequest,
  type RangeRequest,
  rangeOf,
} from '../../src/proto/index.js';
import { allKeys, fillValue, keyOf, randomInts } from './keys.js';
import type { CallSource } from './loops.js';
import type { LoadSpec } from './types.js';

export const methods = {
  put: '/etcdserverpb.KV/Put',
  range: '/etcdserverpb.KV/Range',
  txn: '/etcdserverpb.KV/Txn',
  deleteRange: '/etcdserverpb.KV/DeleteRange',
  leaseGrant: '/etcdserverpb.Lease/LeaseGrant',
  leaseKeepAlive: '/etcdserverpb.Lease/LeaseKeepAlive',
  watch: '/etcdserverpb.Watch/Watch',
} as const;

/** Keys per reply of the big range. */
export const bigRangeKeys = 10_000;

export function putSource(spec: LoadSpec): CallSource {
  return new TemplateSource(methods.put, spec, true, (key, value) =>
    encodePutRequest({ key, value }),
  );
}

export function rangeSource(spec: LoadSpec, serializable: boolean): CallSource {
  return new TemplateSource(methods.range, spec, false, (key) =>
    encodeRangeRequest({ key, serializable }),
  );
}

/** One range over everything, again and again. */
export function fullRangeSource(spec: LoadSpec, fields: Partial<RangeRequest>): CallSource {
  const request = encodeRangeRequest({ ...allKeys(spec.keyBytes), ...fields });
  return { method: methods.range, next: () => request };
}

/** If the key exists or not: put it. The compare makes it more than a put. */
export function txnPutSource(spec: LoadSpec): CallSource {
  return new TemplateSource(methods.txn, spec, true, (key, value) =>
    encodeTxnRequest({
      compare: [compareOf({ key, targetUnion: 'version', result: 1 } satisfies Partial<Compare>)],
      success: [putOp(key, value)],
      failure: [putOp(key, value)],
    }),
  );
}

/** Every other txn reads one key, the others put one. */
export function txnMixedSource(spec: LoadSpec): CallSource {
  const put = new TemplateSource(methods.txn, spec, true, (key, value) =>
    encodeTxnRequest({ compare: [], success: [putOp(key, value)], failure: [] }),
  );
  const read = new TemplateSource(methods.txn, spec, false, (key) =>
    encodeTxnRequest({
      compare: [],
      success: [{ type: 'range', request: rangeOf(key) }],
      failure: [],
    }),
  );
  let turn = 0;
  return {
    method: methods.txn,
    next() {
      turn ^= 1;
      return turn === 0 ? put.next() : read.next();
    },
  };
}

export function leaseGrantSource(): CallSource {
  const request = encodeLeaseGrantRequest({ ttlSeconds: 600, id: 0n });
  return { method: methods.leaseGrant, next: () => request };
}

function putOp(key: string, value: Buffer) {
  return {
    type: 'put',
    request: { key, value, lease: 0n, prevKv: false, ignoreValue: false, ignoreLease: false },
  } as const;
}

type Build = (key: string, value: Buffer) => Buffer;

class TemplateSource implements CallSource {
  readonly method: string;
  readonly #template: Buffer;
  readonly #keyOffsets: readonly number[];
  readonly #valueOffsets: readonly number[];
  readonly #spec: LoadSpec;
  readonly #random: (n: number) => number;
  #sequence = 0;

  constructor(method: string, spec: LoadSpec, hasValue: boolean, build: Build) {
    this.method = method;
    this.#spec = spec;
    this.#random = randomInts(spec.seed);
    const key = keyOf(0, spec.keyBytes);
    const value = Buffer.alloc(spec.valueBytes, 0xf7);
    this.#template = build(key, value);
    this.#keyOffsets = occurrences(this.#template, Buffer.from(key, 'latin1'));
    this.#valueOffsets = hasValue ? occurrences(this.#template, value) : [];
  }

  next(): Buffer {
    const template = this.#template;
    const spec = this.#spec;
    const request = Buffer.allocUnsafe(template.length);
    template.copy(request);
    const i =
      spec.keyOrder === 'sequential' ? this.#sequence : this.#random(Math.max(1, spec.keyCount));
    this.#sequence += 1;
    for (const offset of this.#keyOffsets) writeDigits(request, offset + spec.keyBytes, i);
    for (const offset of this.#valueOffsets) {
      fillValue(request, offset, spec.valueBytes, this.#random(2 ** 30));
    }
    return request;
  }
}

function occurrences(haystack: Buffer, needle: Buffer): number[] {
  const found: number[] = [];
  for (let at = haystack.indexOf(needle); at >= 0; at = haystack.indexOf(needle, at + 1)) {
    found.push(at);
    at += needle.length - 1;
  }
  return found;
}

/** Overwrites the zeros before `end` with the decimal digits of `n`. */
function writeDigits(into: Buffer, end: number, n: number): void {
  let pos = end - 1;
  for (let rest = n; rest > 0; rest = Math.floor(rest / 10)) {
    into[pos] = 48 + (rest % 10);
    pos -= 1;
  }
}
