/** The JSON form of messages, in both directions, for any message of proto/*.proto. */

import type { Slice, Steps } from '../../common/index.js';
import type { JsonMessage } from './descriptors.js';
import { JsonReader } from './read.js';

export { type JsonMessage, jsonMessage, jsonRpcs, type RpcDescriptor } from './descriptors.js';
export { JsonError, JsonScanner } from './syntax.js';
export { type FieldValue, type MessageValue, messageBytes, messageValue } from './value.js';
export { writeJson } from './write.js';

/**
 * The message that `source` is: one JSON value, from its first byte to its last, as JsonScanner
 * found it. Throws a JsonError that says what is wrong, and where.
 */
export function readJson(source: Buffer, message: JsonMessage, slice: Slice): Steps<Buffer> {
  return new JsonReader(source, slice).read(message);
}
