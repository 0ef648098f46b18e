/**
 * A message as plain data, by its descriptor: for tools that show what was said. Fields are under
 * the names of the .proto file and in its order; those with their zero value are left out, as
 * after any way over the wire, and 64-bit integers are bigints.
 */

import { ProtoError, WireReader } from '../hot/index.js';
import type { JsonField, JsonMessage } from './descriptors.js';

/** What a field holds. Lists hold one kind of value. */
export type FieldValue =
  | bigint
  | number
  | boolean
  | string
  | Buffer
  | MessageValue
  | readonly FieldValue[];

/** The fields of a message that are there. */
export interface MessageValue {
  readonly [name: string]: FieldValue | undefined;
}

/** Reads `bytes`; what it holds of bytes is borrowed from there. Throws ProtoError. */
export function messageValue(bytes: Buffer, message: JsonMessage): MessageValue {
  return readMessage(new WireReader(bytes), message);
}

function readMessage(reader: WireReader, message: JsonMessage): MessageValue {
  const found = new Map<JsonField, FieldValue | FieldValue[]>();
  while (reader.more()) {
    const tag = reader.tag();
    const field = message.byNumber.get(tag >>> 3);
    if (field !== undefined && tag === field.tag) {
      const value = readOne(reader, field, found.get(field));
      if (field.repeated) listOf(found, field).push(value);
      else if (field.oneof === '' && isZero(value)) found.delete(field);
      else found.set(field, value);
    } else if (field?.repeated === true && tag === field.packedTag) {
      const outer = reader.enter();
      while (reader.more()) listOf(found, field).push(readOne(reader, field, undefined));
      reader.leave(outer);
    } else reader.skip(tag);
  }
  const fields = message.fields.filter((field) => found.has(field));
  return Object.fromEntries(fields.map((field) => [field.name, found.get(field)]));
}

function listOf(found: Map<JsonField, FieldValue | FieldValue[]>, field: JsonField): FieldValue[] {
  const known = found.get(field);
  if (Array.isArray(known)) return known;
  const made: FieldValue[] = [];
  found.set(field, made);
  return made;
}

function readOne(reader: WireReader, field: JsonField, before: FieldValue | undefined): FieldValue {
  switch (field.kind) {
    case 'bool':
      return reader.bool();
    case 'int32':
    case 'enum':
      return reader.int32();
    case 'uint32':
      return reader.uint32();
    case 'int64':
      return reader.signedId();
    case 'uint64':
      return reader.unsignedId();
    case 'string':
      return reader.text();
    case 'bytes':
      return reader.value();
    default: {
      if (field.message === undefined) throw new ProtoError(`no message for ${field.name}`);
      const outer = reader.enter();
      const value = readMessage(reader, field.message);
      reader.leave(outer);
      // A message that comes in two pieces is one.
      return field.repeated || before === undefined
        ? value
        : { ...(before as MessageValue), ...value };
    }
  }
}

function isZero(value: FieldValue): boolean {
  if (typeof value === 'object') return Buffer.isBuffer(value) && value.length === 0;
  return value === 0 || value === 0n || value === false || value === '';
}

/** The inverse: `value` as a message, its fields in the order of their numbers, as Go has them. */
export function messageBytes(value: MessageValue, message: JsonMessage): Buffer {
  const fields = [...message.fields].sort((a, b) => a.number - b.number);
  return Buffer.concat(fields.flatMap((field) => fieldBytes(value[field.name], field)));
}

function fieldBytes(value: FieldValue | undefined, field: JsonField): Buffer[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return [varint(BigInt(field.tag)), oneBytes(value, field)];
  const parts = value.map((one) => oneBytes(one, field));
  if (field.tag === field.packedTag) {
    return parts.flatMap((part) => [varint(BigInt(field.tag)), part]);
  }
  const packed = Buffer.concat(parts);
  if (packed.length === 0) return [];
  return [varint(BigInt(field.packedTag)), varint(BigInt(packed.length)), packed];
}

/** A value without its tag; with its length, if it has one. */
function oneBytes(value: FieldValue, field: JsonField): Buffer {
  if (typeof value === 'boolean') return varint(value ? 1n : 0n);
  if (typeof value === 'bigint' || typeof value === 'number') return varint(BigInt(value));
  const bytes =
    typeof value === 'string' || Buffer.isBuffer(value)
      ? Buffer.from(value as string)
      : messageBytes(value as MessageValue, field.message as JsonMessage);
  return Buffer.concat([varint(BigInt(bytes.length)), bytes]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
