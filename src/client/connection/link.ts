/**
 * What the client needs of a transport: one connection to one server, with unary calls and streams
 * of encoded messages. It is the client half of src/transport as its types describe it, so that
 * our own HTTP/2 and @grpc/grpc-js are interchangeable.
 *
 * The one thing that every implementation must get right is `RpcStatus.maySent`: false only if it
 * is certain that no byte of the request left. Whether a change may be sent again hangs on it.
 */

import type { GrpcClient } from '../../transport/index.js';
import type { Endpoint } from './endpoint.js';
import type { ClientTls, PingOptions } from './types.js';

export type {
  CallOptions as LinkCallOptions,
  ClientCall as LinkCall,
  ClientStream as LinkStream,
  GrpcClient as Link,
  RpcStatus,
} from '../../transport/index.js';

/** How to connect. */
export interface DialOptions {
  /** Undefined: plain text. */
  readonly tls: ClientTls | undefined;
  readonly connectTimeoutMs: number;
  /** Gives up connecting. */
  readonly signal: AbortSignal;
  /** Undefined: no pings. */
  readonly keepalive: Required<PingOptions> | undefined;
}

/** Connects; rejects, and leaves nothing behind, if there is no connection in time. */
export type Dial = (endpoint: Endpoint, options: DialOptions) => Promise<GrpcClient>;
