/** Calls: sent, sent again, and what it means that they failed. */

export type { TokenEvent } from './auth-token.js';
export { asError, Caller, type OpenedStream } from './caller.js';
export { callWithCodecs } from './codec-call.js';
export { checkCredentials } from './credentials.js';
export type {
  CallEvent,
  ClientEvent,
  LeaseEvent,
  StreamEvent,
  WatchStateEvent,
} from './events.js';
export {
  abortedError,
  type CallKind,
  callError,
  worthRepeating,
} from './failed-call.js';
export { type Header, headerOf, safe } from './header.js';
export { checkMetadata } from './metadata.js';
export { method } from './method-names.js';
export { callOptionsOf, callShape, endpointShape } from './option-shapes.js';
export { serverStream } from './server-stream.js';
export type {
  CallOptions,
  Credentials,
  EndpointOptions,
  Hooks,
  Interceptor,
  Metadata,
  OutgoingCall,
  OutgoingStream,
  RetryOptions,
  StreamInterceptor,
} from './types.js';
