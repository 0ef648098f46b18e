/** Hand-written codecs of what every request meets: the KV, Watch and Lease services. */

export { decodeKeyValue, encodeKeyValue } from './key-value.js';
export {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
  rangeOf,
} from './kv-requests.js';
export * from './kv-response-decoding.js';
export * from './kv-response-encoding.js';
export * from './lease-messages.js';
export * from './message-types.js';
export { HeaderEncoder } from './response-header.js';
export { revisionOfResponse } from './response-revision.js';
export * from './txn-requests.js';
export * from './watch-messages.js';
export { nestingMax, TooManyMessagesError, WireReader } from './wire-reader.js';
