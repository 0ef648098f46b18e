/**
 * etcd's wire format. Hot messages (KV, Watch, Lease) have hand-written codecs; everything else
 * goes through code generated from proto/*.proto. Nothing outside this folder knows protobuf.
 */

export { decodeKeyValue, encodeKeyValue, HeaderEncoder } from './hot/header-and-key-value.js';
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
} from './hot/kv-requests.js';
export * from './hot/kv-responses.js';
export * from './hot/kv-responses-decode.js';
export * from './hot/lease.js';
export * from './hot/messages.js';
export * from './hot/txn-requests.js';
export * from './hot/watch.js';
export { nestingMax, TooManyMessagesError } from './hot/wire-reader.js';
export * from './table/auth.js';
export * from './table/cluster.js';
export type { Codec, FieldCodec, MessageOf } from './table/codec.js';
export * from './table/concurrency.js';
export { keyValue, responseHeader } from './table/header-and-key-value.js';
export * from './table/maintenance.js';
