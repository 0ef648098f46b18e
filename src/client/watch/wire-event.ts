/** Events of the wire as users see them. */

import { keyToBytes } from '../../common/index.js';
import { type Event, EventType, type KeyValue as WireKeyValue } from '../../proto/index.js';
import { safe } from '../call/index.js';
import { type EtcdClientError, isEtcdError } from '../errors.js';
import { bytes, entryOf, type KeyValue, keyText, type View } from '../keyspace/index.js';
import type { DeleteEvent, InvalidEvent, PutEvent } from './types.js';

/** Any event, `prev` if it was asked for; what the options let through is in the caller's type. */
export type AnyEvent<V> =
  | (PutEvent<V> & { readonly prev?: KeyValue<V> | undefined })
  | (DeleteEvent & { readonly prev?: KeyValue<V> | undefined })
  | InvalidEvent;

/** A class only for `toJSON`: the bytes of the key in base64, as entries have them. */
class Deletion implements DeleteEvent {
  readonly type = 'delete';
  readonly key: string;
  readonly keyBytes: Buffer;
  readonly revision: number;

  constructor(key: string, keyBytes: Buffer, revision: number) {
    this.key = key;
    this.keyBytes = keyBytes;
    this.revision = revision;
  }

  toJSON(): Readonly<Record<string, unknown>> {
    const { keyBytes, ...rest } = this;
    return { ...rest, keyBytes: keyBytes.toString('base64') };
  }
}

/** The revision at which the event happened. */
export function revisionOf(event: Event): number {
  return safe(event.kv?.modRevision ?? 0);
}

/**
 * Throws DECODE_FAILED for a value that the codec refuses, or reports it. A previous value that it
 * refuses is left out: it is not news.
 */
export function eventOf<V, In>(
  event: Event,
  view: View<V, In>,
  options: { readonly prev: boolean; readonly reportInvalid: boolean },
): AnyEvent<V> {
  const { kv } = event;
  if (kv === undefined) throw new TypeError('an event without a key');
  const prefixLength = view.prefix.length;
  const revision = kv.modRevision;
  const before = options.prev ? { prev: prevOf(event.prevKv, view) } : {};
  if (event.type === EventType.DELETE) {
    const raw = kv.key.slice(prefixLength);
    return Object.assign(new Deletion(keyText(raw), keyToBytes(raw), revision), before);
  }
  let entry: KeyValue<V>;
  try {
    entry = entryOf(kv, prefixLength, view.codec);
  } catch (error) {
    if (!options.reportInvalid || !isEtcdError(error, 'DECODE_FAILED')) throw error;
    return invalidOf(kv, prefixLength, revision, error);
  }
  return {
    type: 'put',
    key: entry.key,
    kv: entry,
    value: entry.value,
    revision,
    created: kv.createRevision === kv.modRevision,
    ...before,
  };
}

function invalidOf(
  kv: WireKeyValue,
  prefixLength: number,
  revision: number,
  error: EtcdClientError,
): InvalidEvent {
  const raw = entryOf(kv, prefixLength, bytes);
  return { type: 'invalid', key: raw.key, kv: raw, revision, error };
}

function prevOf<V, In>(
  prevKv: WireKeyValue | undefined,
  view: View<V, In>,
): KeyValue<V> | undefined {
  if (prevKv === undefined) return undefined;
  try {
    return entryOf(prevKv, view.prefix.length, view.codec);
  } catch (error) {
    if (isEtcdError(error, 'DECODE_FAILED')) return undefined;
    throw error;
  }
}
