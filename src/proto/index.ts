/**
 * etcd's wire format. Hot messages (KV, Watch, Lease) have hand-written codecs; everything else
 * goes through code generated from proto/*.proto. Nothing outside this folder knows protobuf.
 */

export { decodeKeyValue, encodeKeyValue, HeaderEncoder } from './codec-common.js';
export {
  decodeCompactionRequest,
  decodeDeleteRangeRequest,
  decodePutRequest,
  decodeRangeRequest,
  encodeCompactionRequest,
  encodeDeleteRangeRequest,
  encodePutRequest,
  encodeRangeRequest,
} from './codec-kv-requests.js';
export * from './codec-kv-responses.js';
export * from './codec-lease.js';
export * from './codec-txn-requests.js';
export * from './codec-watch.js';
export type { Codec, FieldCodec, MessageOf } from './cold.js';
export * from './cold-auth.js';
export * from './cold-cluster.js';
export { keyValue, responseHeader } from './cold-common.js';
export * from './cold-concurrency.js';
export * from './cold-maintenance.js';
export * from './decode-kv-responses.js';
export * from './messages.js';
export { nestingMax, TooManyMessagesError } from './wire-reader.js';
