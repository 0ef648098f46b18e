/** What replies carry, as users see it: headers and entries. */

import { type KeyString, keyToBytes } from '../../common/index.js';
import type { KeyValue as WireKeyValue } from '../../proto/index.js';
import { safe } from '../call/index.js';
import { keyText } from './key-span.js';
import type { Codec, KeyInfo, KeyValue } from './types.js';
import { decodeWith } from './value-codec.js';

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
