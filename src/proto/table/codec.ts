/**
 * Codecs of the messages that are not on a hot path: a table of fields for each, over the code
 * that pbjs generates from proto/*.proto. One table gives the codec and its TypeScript type, and
 * the generated declarations check the table's wire names.
 *
 * The same rules as in message-types.ts: ids are bigints, other 64-bit integers saturated numbers,
 * and no `Long` leaves this folder.
 */

import { emptyBytes, type KeyString, keyFromBytes, keyToBytes } from '../../common/index.js';
import { type EncodedHeader, ProtoError } from '../hot/index.js';

/**
 * A 64-bit integer of the generated code. It hands out objects of the package `long`, but takes
 * anything of this shape, so that package is not loaded a second time for us.
 */
interface Wide {
  readonly low: number;
  readonly high: number;
  readonly unsigned: boolean;
}

/** How one field goes from the generated object to ours and back. */
export interface Field<T, Name extends string = string> {
  /** Field name in the .proto file. */
  readonly name: Name;
  fromWire(raw: unknown): T;
  /** `undefined` leaves the field out. */
  toWire(value: T): unknown;
}

/** The data that a table of fields describes. */
export type Decoded<F> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

/** Encodes and decodes one message type. */
export interface Codec<T> {
  /**
   * Fields left out have their zero value. `header`, if given, is the message's encoded `header`
   * field from HeaderEncoder.
   */
  encode(message: Partial<T>, header?: EncodedHeader): Buffer;
  /** Throws ProtoError. Buffers are borrowed from `bytes`. */
  decode(bytes: Uint8Array): T;
}

/** The data of a codec: `type Member = MessageOf<typeof member>`. */
export type MessageOf<C> = C extends Codec<infer T> ? T : never;

interface Generated<Properties> {
  encode(message: Properties): { finish(): Uint8Array };
  decode(bytes: Uint8Array): Properties;
}

type Fields<Properties> = Readonly<
  Record<string, Field<unknown, Extract<keyof Properties, string>>>
>;

/** A codec whose message can be a field of another. */
export interface FieldCodec<T> extends Codec<T> {
  fromWire(raw: object): T;
  toWire(message: Partial<T>): object;
}

/** Binds a table of fields to its generated type. */
export function message<Properties extends object, F extends Fields<Properties>>(
  generated: Generated<Properties>,
  fields: F,
): FieldCodec<Decoded<F>> {
  type T = Decoded<F>;
  const entries = Object.entries(fields);
  const fromWire = (raw: object): T => {
    const into: Record<string, unknown> = {};
    for (const [key, field] of entries) into[key] = field.fromWire(Reflect.get(raw, field.name));
    return into as T;
  };
  const toWire = (value: Partial<T>): Properties => {
    const into: Record<string, unknown> = {};
    for (const [key, field] of entries) {
      const given: unknown = Reflect.get(value, key);
      const wire = given === undefined ? undefined : field.toWire(given);
      if (wire !== undefined) into[field.name] = wire;
    }
    return into as Properties;
  };
  return {
    fromWire,
    toWire,
    encode(value, header) {
      const bytes = generated.encode(toWire(value)).finish();
      // Concatenated messages are merged, so the header goes in front as it is.
      if (header !== undefined) return Buffer.concat([header, bytes]);
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    },
    decode(bytes) {
      let raw: Properties;
      try {
        raw = generated.decode(bytes);
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause);
        throw new ProtoError(text, { cause });
      }
      return fromWire(raw);
    },
  };
}

export function text<N extends string>(name: N): Field<string, N> {
  return {
    name,
    fromWire: (raw) => (typeof raw === 'string' ? raw : ''),
    toWire: (value) => (value === '' ? undefined : value),
  };
}

export function texts<N extends string>(name: N): Field<readonly string[], N> {
  return {
    name,
    fromWire: (raw) => (raw as readonly string[] | undefined) ?? [],
    toWire: (value) => (value.length === 0 ? undefined : value),
  };
}

export function flag<N extends string>(name: N): Field<boolean, N> {
  return { name, fromWire: (raw) => raw === true, toWire: (value) => value || undefined };
}

/** An enum or a 32-bit integer. */
export function int32<N extends string>(name: N): Field<number, N> {
  return {
    name,
    fromWire: (raw) => (typeof raw === 'number' ? raw : 0),
    toWire: (value) => (value === 0 ? undefined : value),
  };
}

/** An int64 or uint64 that is a count, size, revision, index or term; saturates. */
export function int64<N extends string>(name: N): Field<number, N> {
  return {
    name,
    fromWire(raw) {
      if (!isWide(raw)) return typeof raw === 'number' ? raw : 0;
      const high = raw.unsigned ? raw.high >>> 0 : raw.high;
      const max = Number.MAX_SAFE_INTEGER;
      return Math.min(max, Math.max(-max, high * 2 ** 32 + (raw.low >>> 0)));
    },
    toWire: (value) => (value === 0 ? undefined : wideOf(BigInt(value), false)),
  };
}

/** A uint64 id. */
export function unsignedId<N extends string>(name: N): Field<bigint, N> {
  return {
    name,
    fromWire: (raw) => BigInt.asUintN(64, bigintOf(raw)),
    toWire: (value) => (value === 0n ? undefined : wideOf(value, true)),
  };
}

/** An int64 id. */
export function signedId<N extends string>(name: N): Field<bigint, N> {
  return {
    name,
    fromWire: (raw) => BigInt.asIntN(64, bigintOf(raw)),
    toWire: (value) => (value === 0n ? undefined : wideOf(value, false)),
  };
}

/** Bytes that are a key. */
export function key<N extends string>(name: N): Field<KeyString, N> {
  return {
    name,
    fromWire: (raw) => (raw instanceof Uint8Array ? keyFromBytes(raw) : ''),
    toWire: (value) => (value === '' ? undefined : keyToBytes(value)),
  };
}

export function bytes<N extends string>(name: N): Field<Buffer, N> {
  return {
    name,
    fromWire: (raw) =>
      raw instanceof Uint8Array
        ? Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
        : emptyBytes,
    toWire: (value) => (value.length === 0 ? undefined : value),
  };
}

/** A submessage; `undefined` if it is absent. */
export function submessage<N extends string, T>(
  name: N,
  codec: FieldCodec<T>,
): Field<T | undefined, N> {
  return {
    name,
    fromWire: (raw) => (isObject(raw) ? codec.fromWire(raw) : undefined),
    toWire: (value) => (value === undefined ? undefined : codec.toWire(value)),
  };
}

export function submessages<N extends string, T>(
  name: N,
  codec: FieldCodec<T>,
): Field<readonly T[], N> {
  return {
    name,
    fromWire: (raw) =>
      Array.isArray(raw) ? raw.filter(isObject).map((each) => codec.fromWire(each)) : [],
    toWire: (value) => value.map((each) => codec.toWire(each)),
  };
}

/** A map<string, Message>. */
export function messageMap<N extends string, T>(
  name: N,
  codec: FieldCodec<T>,
): Field<ReadonlyMap<string, T>, N> {
  return {
    name,
    fromWire(raw) {
      const into = new Map<string, T>();
      if (!isObject(raw)) return into;
      for (const [entryKey, entry] of Object.entries(raw)) {
        if (isObject(entry)) into.set(entryKey, codec.fromWire(entry));
      }
      return into;
    },
    toWire: (value) =>
      Object.fromEntries([...value].map(([entryKey, entry]) => [entryKey, codec.toWire(entry)])),
  };
}

function isObject(raw: unknown): raw is object {
  return typeof raw === 'object' && raw !== null;
}

function bigintOf(raw: unknown): bigint {
  if (!isWide(raw)) return typeof raw === 'number' ? BigInt(raw) : 0n;
  return (BigInt(raw.high) << 32n) | BigInt(raw.low >>> 0);
}

function wideOf(id: bigint, unsigned: boolean): Wide {
  const low = Number(BigInt.asIntN(32, id));
  return { low, high: Number(BigInt.asIntN(32, id >> 32n)), unsigned };
}

function isWide(raw: unknown): raw is Wide {
  return isObject(raw) && 'low' in raw && 'high' in raw;
}
