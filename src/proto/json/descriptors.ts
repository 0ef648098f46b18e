/** The descriptors of proto/*.proto as linked objects: what the JSON codecs walk over. */

import { descriptors, type FieldDescriptor } from '../generated/descriptors.js';

/** One field of a message. */
export interface JsonField {
  /** As in the .proto file, and in lowerCamelCase; both are read, the first is written. */
  readonly name: string;
  readonly jsonName: string;
  readonly number: number;
  readonly kind: FieldDescriptor['kind'];
  readonly repeated: boolean;
  /** Place among the fields of the message. */
  readonly index: number;
  /** Name of its oneof, with that of the message; '' for none. */
  readonly oneof: string;
  /** For messages. */
  readonly message: JsonMessage | undefined;
  /** For enums. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly names: ReadonlyMap<number, string>;
  /** Field number and wire type as on the wire, of one value; and of packed ones. */
  readonly tag: number;
  readonly packedTag: number;
}

/** A message type; its fields in the order of the file. */
export interface JsonMessage {
  readonly name: string;
  readonly fields: readonly JsonField[];
  /** By either name. */
  readonly byName: ReadonlyMap<string, JsonField>;
  readonly byNumber: ReadonlyMap<number, JsonField>;
}

/** A method that a .proto file declares. */
export interface RpcDescriptor {
  /** `/package.Service/Method` */
  readonly name: string;
  readonly request: JsonMessage;
  readonly response: JsonMessage;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
}

/** Bits of `seen` in the reader: no message has more fields, and the build says if one will. */
const fieldsMax = 31;

const messages = new Map<string, JsonMessage>();

/** The message type of that full name; throws if the files have none, or one with other fields. */
export function jsonMessage(name: string): JsonMessage {
  const known = messages.get(name);
  if (known !== undefined) return known;
  const rows = descriptors.messages[name];
  if (rows === undefined) throw new Error(`no message ${name}, or one with maps or fractions`);
  if (rows.length > fieldsMax) throw new Error(`${name} has more than ${fieldsMax} fields`);
  const fields: JsonField[] = [];
  const byName = new Map<string, JsonField>();
  const byNumber = new Map<number, JsonField>();
  const made = { name, fields, byName, byNumber };
  // Before its fields: some messages are inside of themselves.
  messages.set(name, made);
  for (const row of rows) {
    const field = jsonField(name, row, fields.length);
    fields.push(field);
    byName.set(field.name, field);
    byName.set(field.jsonName, field);
    byNumber.set(field.number, field);
  }
  return made;
}

function jsonField(owner: string, row: FieldDescriptor, index: number): JsonField {
  const isLong = row.kind === 'string' || row.kind === 'bytes' || row.kind === 'message';
  const numbers = row.kind === 'enum' ? (descriptors.enums[row.type] ?? {}) : {};
  return {
    name: row.name,
    jsonName: row.jsonName,
    number: row.number,
    kind: row.kind,
    repeated: row.repeated,
    index,
    oneof: row.oneof === '' ? '' : `${owner}.${row.oneof}`,
    message: row.kind === 'message' ? jsonMessage(row.type) : undefined,
    numbers,
    names: new Map(Object.entries(numbers).map(([name, number]) => [number, name])),
    tag: row.number * 8 + (isLong ? 2 : 0),
    packedTag: row.number * 8 + 2,
  };
}

/** All methods of services whose messages have a JSON form. */
export function jsonRpcs(): readonly RpcDescriptor[] {
  return descriptors.methods
    .filter(
      ({ request, response }) =>
        request in descriptors.messages && response in descriptors.messages,
    )
    .map((row) => ({
      name: row.name,
      request: jsonMessage(row.request),
      response: jsonMessage(row.response),
      requestStream: row.requestStream,
      responseStream: row.responseStream,
    }));
}
