/** A client of encoded messages, for the command line. No part of the SDK: see raw-client.ts. */
export type { CallKind, CallOptions, Credentials, EndpointOptions } from '../call/index.js';
export { method } from '../call/index.js';
export { prefixEnd } from '../keyspace/index.js';
export type { PlainAnswer, PlainGetOptions, ShownCertificate } from './plain-get.js';
export { RawClient, type RawStream, type RawStreamEvents } from './raw-client.js';
