/**
 * JSON as Go's encoding/json writes it, which is what etcdctl prints: messages with their fields in
 * order and those left out that are zero, 64-bit integers whole, bytes as base64, enums as numbers,
 * and `<`, `>` and `&` as escapes.
 */

import { jsonMessage, type MessageValue, messageValue } from '../../proto/index.js';

/**
 * The JSON of a value. Besides what JSON has it takes bigints, which are integers, and bytes, which
 * become base64. What is undefined is left out; keys keep their order, if they are no numbers.
 */
export function goJson(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return value.toString();
    case 'string':
      return goJsonString(value);
    case 'number':
    case 'boolean':
      return String(value);
    default:
  }
  if (value === null || value === undefined) return 'null';
  if (value instanceof Uint8Array) return `"${Buffer.from(value).toString('base64')}"`;
  if (Array.isArray(value)) return `[${value.map(goJson).join(',')}]`;
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .map(([name, member]) => `${goJsonString(name)}:${goJson(member)}`);
  return `{${members.join(',')}}`;
}

/** A message as {@link goJson} takes it, which is how Go has it: see the head of this file. */
export function messageJson(bytes: Uint8Array, type: string): Readonly<Record<string, unknown>> {
  const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return goFields(messageValue(source, jsonMessage(type)), type);
}

/** Go has a oneof as one field, which holds what is set. */
function goFields(value: MessageValue, type: string): Readonly<Record<string, unknown>> {
  const message = jsonMessage(type);
  const fields: Record<string, unknown> = {};
  for (const field of message.fields) {
    // It is there even if nothing in it is set.
    const oneof = field.oneof.slice(field.oneof.lastIndexOf('.') + 1);
    const into = oneof === '' ? fields : inner(fields, capitalized(oneof));
    const found = value[field.name];
    if (found === undefined) continue;
    const of = field.message?.name;
    if (of === undefined) into[field.name] = found;
    else if (Array.isArray(found)) {
      into[field.name] = found.map((one) => goFields(one as MessageValue, of));
    } else into[field.name] = goFields(found as MessageValue, of);
  }
  return fields;
}

function inner(fields: Record<string, unknown>, name: string): Record<string, unknown> {
  const known = fields[name] as Record<string, unknown> | undefined;
  if (known !== undefined) return known;
  const made = {};
  fields[name] = made;
  return made;
}

function capitalized(name: string): string {
  return name
    .split('_')
    .map((part) => part.charAt(0).toUpperCase() + part.slice(1))
    .join('');
}

function goJsonString(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
