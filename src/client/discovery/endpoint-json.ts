/**
 * The value of an instance: the JSON that Go's `naming/endpoints` writes, `{"Op":0,"Addr":...,
 * "Metadata":...}`. Like Go, it takes the names in any case and ignores others.
 */

import { EtcdClientError } from '../errors.js';
import { type KeyValue, type StandardSchema, validated } from '../keyspace/index.js';
import type { Instance, InvalidInstance, ServiceSnapshot } from './types.js';

/** Go's code of "this endpoint is there"; nothing else is ever stored. */
const opAdd = 0;

/** Throws ENCODE_FAILED if the metadata are not what they must be. */
export function encodeInstance<In, Out>(
  schema: StandardSchema<In, Out> | undefined,
  id: string,
  address: string,
  metadata: In,
): Buffer {
  try {
    if (schema !== undefined) validated(schema, metadata);
    return Buffer.from(JSON.stringify({ Op: opAdd, Addr: address, Metadata: metadata ?? null }));
  } catch (cause) {
    throw formError('ENCODE_FAILED', id, cause);
  }
}

/** Splits entries into those that can be used and those that can't. */
export function snapshotOf<In, Out>(
  schema: StandardSchema<In, Out> | undefined,
  service: string,
  prefix: string,
  revision: number,
  entries: Iterable<KeyValue<Buffer>>,
): ServiceSnapshot<Out> {
  const instances: Instance<Out>[] = [];
  const invalid: InvalidInstance[] = [];
  for (const entry of entries) {
    const id = entry.key.slice(prefix.length);
    const { value, lease, createRevision, modRevision } = entry;
    try {
      const { address, metadata } = decode(schema, value);
      instances.push({ service, id, address, metadata, lease, createRevision, modRevision });
    } catch (cause) {
      invalid.push({ service, id, value, error: formError('DECODE_FAILED', id, cause) });
    }
  }
  instances.sort((a, b) => (a.id < b.id ? -1 : 1));
  return { service, revision, instances, invalid };
}

function decode<In, Out>(
  schema: StandardSchema<In, Out> | undefined,
  value: Buffer,
): { readonly address: string; readonly metadata: Out } {
  const parsed: unknown = JSON.parse(value.toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null) throw new TypeError('it is not an object');
  const fields = new Map(Object.entries(parsed).map(([name, of]) => [name.toLowerCase(), of]));
  const address: unknown = fields.get('addr');
  if (typeof address !== 'string') throw new TypeError('Addr is missing');
  const metadata: unknown = fields.get('metadata');
  if (schema === undefined) return { address, metadata: metadata as Out };
  // Go has no way to leave metadata out but null.
  return { address, metadata: validated(schema, metadata === null ? undefined : metadata) };
}

function formError(
  reason: 'ENCODE_FAILED' | 'DECODE_FAILED',
  id: string,
  cause: unknown,
): EtcdClientError {
  return new EtcdClientError({
    code: 'INVALID_ARGUMENT',
    reason,
    outcome: 'failed',
    message: `instance ${JSON.stringify(id)}: ${cause instanceof Error ? cause.message : cause}`,
    cause,
  });
}
