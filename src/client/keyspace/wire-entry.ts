/** What replies carry, as users see it: headers and entries. */

import { keyToBytes } from '../../common/index.js';
import type { KeyValue as WireKeyValue } from '../../proto/index.js';
import { safe } from '../call/index.js';
import { keyText } from './key-span.js';
import type { Codec, KeyInfo, KeyValue } from './types.js';
import { decodeWith } from './value-codec.js';

/**
 * An entry without value. All that its type has are own properties, so that a copy by spread has
 * them, too. A class only for `toJSON`, which JSON needs because it has no bigint.
 */
class Info implements KeyInfo {
  readonly key: string;
  readonly keyBytes: Buffer;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;

  constructor(wire: WireKeyValue, prefixLength: number) {
    const raw = prefixLength === 0 ? wire.key : wire.key.slice(prefixLength);
    this.key = keyText(raw);
    this.keyBytes = keyToBytes(raw);
    this.createRevision = wire.createRevision;
    this.modRevision = safe(wire.modRevision);
    this.version = wire.version;
    this.lease = wire.lease;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(this);
  }
}

/** {@link Info} with the value. */
class Entry<V> implements KeyValue<V> {
  readonly key: string;
  readonly keyBytes: Buffer;
  readonly value: V;
  readonly createRevision: number;
  readonly modRevision: number;
  readonly version: number;
  readonly lease: bigint;

  constructor(wire: WireKeyValue, prefixLength: number, codec: Codec<V, never>) {
    const raw = prefixLength === 0 ? wire.key : wire.key.slice(prefixLength);
    this.key = keyText(raw);
    this.keyBytes = keyToBytes(raw);
    this.value = decodeWith(codec, keyText(wire.key), wire.value);
    this.createRevision = wire.createRevision;
    this.modRevision = safe(wire.modRevision);
    this.version = wire.version;
    this.lease = wire.lease;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return jsonOf(this);
  }
}

/** As protobuf's JSON has them: bytes in base64, 64-bit ids as decimal text. */
function jsonOf(entry: KeyInfo): Readonly<Record<string, unknown>> {
  const { keyBytes, lease, ...rest } = entry;
  const value: unknown = (entry as { readonly value?: unknown }).value;
  const bytes = value instanceof Uint8Array ? { value: Buffer.from(value).toString('base64') } : {};
  return { ...rest, ...bytes, keyBytes: keyBytes.toString('base64'), lease: String(lease) };
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
