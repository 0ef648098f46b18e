/** Random requests for any method, made from the proto files, and ways to break them. */

import fc from 'fast-check';
import type protobuf from 'protobufjs';
import { reference } from '../proto/reference.js';

/** A method as the server lists it in its metrics. */
export interface Method {
  readonly path: string;
  readonly kind: 'unary' | 'server_stream' | 'bidi_stream';
}

/** Every registered method, read from the text of /metrics. */
export function methodsOf(metrics: string): Method[] {
  const row =
    /^grpc_server_started_total\{grpc_type="(\w+)",grpc_service="([\w.]+)",grpc_method="(\w+)"\}/gm;
  return [...metrics.matchAll(row)].map(([, kind, service, name]) => ({
    path: `/${service}/${name}`,
    kind: kind as Method['kind'],
  }));
}

/** Bytes of a well-formed request of the method, mostly about a few short keys. */
export function validRequest(method: Method): fc.Arbitrary<Buffer> {
  const type = requestType(method);
  return message(type, 3).map((plain) => Buffer.from(type.encode(plain).finish()));
}

/** The same, cut off, with bytes changed, or with bytes put in. */
export function brokenRequest(method: Method): fc.Arbitrary<Buffer> {
  const place = fc.nat({ max: 400 });
  const changes = fc.array(fc.tuple(place, fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 });
  const inserted = fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 12 }));
  return fc.oneof(
    fc.tuple(validRequest(method), place).map(([bytes, at]) => {
      return bytes.subarray(0, at % (bytes.length + 1));
    }),
    fc.tuple(validRequest(method), changes).map(([bytes, list]) => {
      for (const [at, value] of list) if (bytes.length > 0) bytes[at % bytes.length] = value;
      return bytes;
    }),
    fc.tuple(validRequest(method), inserted).map(([bytes, [at, extra]]) => {
      const where = at % (bytes.length + 1);
      return Buffer.concat([bytes.subarray(0, where), extra, bytes.subarray(where)]);
    }),
  );
}

/** Anything. */
export const randomBytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));

/** True if the reference decoder finds a message in it. */
export function isMessage(method: Method, bytes: Buffer): boolean {
  try {
    requestType(method).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function requestType(method: Method): protobuf.Type {
  const [, service = '', name = ''] = method.path.split('/');
  const { root } = reference('etcdserverpb.PutRequest');
  const found = root.lookupService(service).methods[name];
  if (found === undefined) throw new Error(`the proto files have no ${method.path}`);
  found.resolve();
  return reference(found.resolvedRequestType?.fullName.slice(1) ?? '');
}

const smallInt = fc.constantFrom(0, 1, 2, 3, 7, -1, 2 ** 31 - 1, -(2 ** 31));
const wideInt = fc.oneof(smallInt, fc.maxSafeInteger());
const shortBytes = fc.oneof(
  fc.constantFrom('', 'a', 'b', 'c', '\0').map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 12 }).map((array) => Buffer.from(array)),
);

function message(type: protobuf.Type, depth: number): fc.Arbitrary<protobuf.Message> {
  const fields: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    const one = fieldValue(field.resolve(), depth);
    if (one === undefined) continue;
    const some = field.repeated ? fc.array(one, { maxLength: 3 }) : one;
    fields[field.name] = fc.option(some, { nil: undefined, freq: 2 });
  }
  return fc.record(fields).map((values) => {
    const set = Object.entries(values).filter(([, value]) => value !== undefined);
    return type.create(Object.fromEntries(set));
  });
}

function fieldValue(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> | undefined {
  const { resolvedType } = field;
  if (resolvedType !== null && 'fieldsArray' in resolvedType) {
    return depth === 0 ? undefined : message(resolvedType, depth - 1);
  }
  if (resolvedType !== null) return fc.integer({ min: -1, max: 6 });
  if (field.type === 'bytes') return shortBytes;
  if (field.type === 'string') return fc.string({ maxLength: 12 });
  if (field.type === 'bool') return fc.boolean();
  return /64/.test(field.type) ? wideInt : smallInt;
}
