/** Table-driven codecs of the other services, over code generated from proto/*.proto. */

export * from './auth.js';
export * from './cluster.js';
export type { Codec, FieldCodec, MessageOf } from './codec.js';
export * from './concurrency.js';
export * from './health.js';
export { keyValue } from './key-value.js';
export * from './maintenance.js';
export * from './reflection.js';
export { responseHeader } from './response-header.js';
