/**
 * What a value of Kubernetes' API server is. It stores objects as protobuf behind four bytes, in an
 * envelope `runtime.Unknown` {1: TypeMeta {1: apiVersion, 2: kind}, 2: raw}; the object's first
 * field is its ObjectMeta {1: name, 3: namespace} (k8s.io/apimachinery, generated.proto).
 */

import { ProtoError, WireReader } from '../../proto/index.js';

const magic = Buffer.from('k8s\0', 'latin1');

/** What is in the object's head. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  /** '' for those outside of namespaces. */
  readonly namespace: string;
  readonly name: string;
}

/** Undefined if `value` is no such object. */
export function kubernetesObject(value: Buffer): KubernetesObject | undefined {
  if (!value.subarray(0, magic.length).equals(magic)) return undefined;
  try {
    const envelope = longFields(value.subarray(magic.length));
    const typeMeta = longFields(envelope.get(1) ?? Buffer.alloc(0));
    const object = longFields(envelope.get(2) ?? Buffer.alloc(0));
    const metadata = longFields(object.get(1) ?? Buffer.alloc(0));
    const text = (fields: ReadonlyMap<number, Buffer>, number: number): string =>
      fields.get(number)?.toString('utf8') ?? '';
    return {
      apiVersion: text(typeMeta, 1),
      kind: text(typeMeta, 2),
      namespace: text(metadata, 3),
      name: text(metadata, 1),
    };
  } catch (error) {
    if (error instanceof ProtoError) return undefined;
    throw error;
  }
}

/** The fields of a message that are texts, bytes or messages; of several the last. */
function longFields(bytes: Buffer): ReadonlyMap<number, Buffer> {
  const fields = new Map<number, Buffer>();
  const reader = new WireReader(bytes);
  while (reader.more()) {
    const tag = reader.tag();
    if ((tag & 7) === 2) fields.set(tag >>> 3, reader.value());
    else reader.skip(tag);
  }
  return fields;
}
