/** What replies carry, as users see it: headers and entries. */

import { type KeyString, keyToBytes, type LeaseId, safeIntegerMax } from '../../common/index.js';
import type { ResponseHeader, KeyValue as WireKeyValue } from '../../proto/index.js';
import { EtcdClientError } from '../call/errors.js';
import type { Header, KeyInfo, KeyValue } from '../types.js';
import { decodeWith } from './codec.js';
import { keyText } from './keys.js';
import type { Codec, LeaseRef } from './types.js';

const noHeader: Header = { clusterId: 0n, memberId: 0n, revision: 0, raftTerm: 0 };

/** Checks that numbers are exact: the decoder saturates, so the largest one may be another. */
export function headerOf(wire: ResponseHeader | undefined): Header {
  if (wire === undefined) return noHeader;
  safe(wire.revision);
  return wire;
}

/** The number, if it is exact. */
export function safe(n: number): number {
  if (n < safeIntegerMax && n > -safeIntegerMax) return n;
  throw new EtcdClientError({
    code: 'OUT_OF_RANGE',
    reason: 'UNSAFE_INTEGER',
    outcome: 'unknown',
    message: 'the server sent an integer above 2^53 - 1',
  });
}

/**
 * An entry without value. A class only for its getter: the bytes of the key are rarely wanted, and
 * a Buffer for each entry doubles the cost of decoding a range of small values (measured).
 */
class Info implements KeyInfo {
  readonly key: string;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
  readonly #raw: KeyString;

  constructor(wire: WireKeyValue, prefixLength: number) {
    const raw = prefixLength === 0 ? wire.key : wire.key.slice(prefixLength);
    this.#raw = raw;
    this.key = keyText(raw);
    this.createRevision = wire.createRevision;
    this.modRevision = safe(wire.modRevision);
    this.version = wire.version;
    this.lease = wire.lease;
  }

  get keyBytes(): Buffer {
    return keyToBytes(this.#raw);
  }
}

/** {@link Info} with the value. */
class Entry<V> implements KeyValue<V> {
  readonly key: string;
  readonly value: V;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;
  readonly #raw: KeyString;

  constructor(wire: WireKeyValue, prefixLength: number, codec: Codec<V, never>) {
    const raw = prefixLength === 0 ? wire.key : wire.key.slice(prefixLength);
    this.#raw = raw;
    this.key = keyText(raw);
    this.value = decodeWith(codec, this.key, wire.value);
    this.createRevision = wire.createRevision;
    this.modRevision = safe(wire.modRevision);
    this.version = wire.version;
    this.lease = wire.lease;
  }

  get keyBytes(): Buffer {
    return keyToBytes(this.#raw);
  }
}

/** Throws DECODE_FAILED. */
export function entryOf<V, In>(
  wire: WireKeyValue,
  prefixLength: number,
  codec: Codec<V, In>,
): KeyValue<V> {
  return new Entry(wire, prefixLength, codec);
}

export function infoOf(wire: WireKeyValue, prefixLength: number): KeyInfo {
  return new Info(wire, prefixLength);
}

/** 0n for none. */
export function leaseIdOf(lease: LeaseRef | undefined): LeaseId {
  if (lease === undefined) return 0n;
  return typeof lease === 'bigint' ? lease : lease.id;
}
