/** Codecs for values: bytes, text, JSON, and JSON held to a schema. */

import { EtcdClientError } from '../errors.js';
import { described, isThenable } from '../strict/index.js';
import type { Bytes, Codec, SchemaIssue, StandardSchema } from './types.js';

/** Values as they are; text is accepted, too, and stored as UTF-8. */
export const bytes: Codec<Buffer, Bytes> = {
  encode(value) {
    if (typeof value === 'string') return Buffer.from(value, 'utf8');
    if (value instanceof Uint8Array) return value;
    throw new TypeError(
      `a value is text or bytes, not ${described(value)}; other kinds have codecs`,
    );
  },
  decode: (value) => value,
};

/** UTF-8; bytes that are not are refused when read. */
export const text: Codec<string> = {
  encode(value) {
    if (typeof value === 'string') return Buffer.from(value, 'utf8');
    throw new TypeError(`a value of this view is text, not ${described(value)}`);
  },
  decode(value) {
    const decoded = value.toString('utf8');
    // What was replaced in decoding does not encode to the same length or bytes.
    if (decoded.includes('\ufffd') && !Buffer.from(decoded, 'utf8').equals(value)) {
      throw new TypeError('the value is not UTF-8 text');
    }
    return decoded;
  },
};

/** JSON; what is read is not checked, so the type is a promise of whoever writes. */
export function json<T>(): Codec<T> {
  return {
    encode(value) {
      // JSON has `{}` for it, and that would be what is stored.
      if (isThenable(value)) throw new TypeError(`a value is no JSON: ${described(value)}`);
      const encoded: string | undefined = JSON.stringify(value);
      if (encoded === undefined) throw new TypeError(`${typeof value} is not a JSON value`);
      return Buffer.from(encoded, 'utf8');
    },
    decode: (value) => JSON.parse(value.toString('utf8')) as T,
  };
}

/**
 * JSON that a Standard Schema (zod, valibot, arktype) checks both ways. The *input* is what is
 * stored, and what is read goes through the schema again: defaults and transformations apply when
 * reading, so `decode(encode(x))` is what the schema makes of x. The schema must be synchronous.
 */
export function typed<In, Out>(
  schema: StandardSchema<In, Out>,
  base: Codec<unknown> = json<unknown>(),
): Codec<Out, In> {
  return {
    encode(value) {
      validated(schema, value);
      return base.encode(value);
    },
    decode: (value) => validated(schema, base.decode(value)),
  };
}

/** What the schema makes of the value; throws with all issues in the message. */
export function validated<In, Out>(schema: StandardSchema<In, Out>, value: unknown): Out {
  const result = schema['~standard'].validate(value);
  if (result instanceof Promise) throw new TypeError('the schema is asynchronous');
  if (result.issues !== undefined) throw new TypeError(result.issues.map(issueText).join('; '));
  return result.value;
}

function issueText(issue: SchemaIssue): string {
  const path = (issue.path ?? []).map((part) =>
    String(typeof part === 'object' && part !== null ? part.key : part),
  );
  return path.length === 0 ? issue.message : `${path.join('.')}: ${issue.message}`;
}

/** Encodes; what the codec throws becomes ENCODE_FAILED. */
export function encodeWith<Out, In>(codec: Codec<Out, In>, key: string, value: In): Buffer {
  let encoded: Uint8Array;
  try {
    encoded = codec.encode(value);
    const unknown: unknown = encoded;
    if (!(unknown instanceof Uint8Array)) {
      throw new TypeError(`the codec gave ${described(unknown)} instead of bytes`);
    }
  } catch (cause) {
    throw codecError('ENCODE_FAILED', key, cause);
  }
  if (Buffer.isBuffer(encoded)) return encoded;
  return Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
}

/** Decodes; what the codec throws becomes DECODE_FAILED. */
export function decodeWith<Out, In>(codec: Codec<Out, In>, key: string, value: Buffer): Out {
  try {
    return codec.decode(value);
  } catch (cause) {
    throw codecError('DECODE_FAILED', key, cause);
  }
}

function codecError(
  reason: 'ENCODE_FAILED' | 'DECODE_FAILED',
  key: string,
  cause: unknown,
): EtcdClientError {
  const what = cause instanceof Error ? cause.message : String(cause);
  const verb = reason === 'ENCODE_FAILED' ? 'encoded' : 'decoded';
  return new EtcdClientError({
    code: 'INVALID_ARGUMENT',
    reason,
    outcome: 'failed',
    key,
    message: `the value of ${JSON.stringify(key)} can't be ${verb}: ${what}`,
    cause,
  });
}
