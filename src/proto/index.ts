/**
 * etcd's wire format. Hot messages (KV, Watch, Lease) have hand-written codecs; everything else
 * goes through code generated from proto/*.proto. Nothing outside this folder knows protobuf.
 */

export * from './hot/index.js';
export * from './json/index.js';
export * from './table/index.js';
