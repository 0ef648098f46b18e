/** What calls are described by: who calls, options, retries and interceptors. */

import type { ClientEvent } from './events.js';

/**
 * Who the client is: a password that is exchanged for tokens, or a token made elsewhere (JWT).
 * Without credentials a server may know the client by its certificate. They are in no error, no
 * event and no inspection of the client.
 */
export type Credentials =
  | {
      readonly user: string;
      /** A function is asked for it each time a token is needed: for passwords that change. */
      readonly password: string | (() => string | Promise<string>);
      /**
       * At a server that has auth switched off: `proceed` (the default, as etcd's Go client does)
       * sends no token, and asks for one when auth is switched on; `fail` rejects calls with
       * AUTH_NOT_ENABLED.
       */
      readonly ifAuthOff?: 'proceed' | 'fail';
      readonly token?: never;
    }
  | {
      /** A function is asked again each time the server refuses the last one. */
      readonly token: string | (() => string | Promise<string>);
      readonly user?: never;
      readonly password?: never;
      readonly ifAuthOff?: never;
    };

/** Request metadata (HTTP headers); names in lower case. */
export type Metadata = Readonly<Record<string, string>>;

/** How a failed call is tried again. Only reads, and writes that were provably not sent. */
export interface RetryOptions {
  /** Attempts in all; 1 turns retries off. Default 10. */
  readonly attemptsMax?: number;
  /** First pause; doubles each time, with full jitter. Default 25 ms. */
  readonly delayMinMs?: number;
  /** Longest pause. Default 2 s. */
  readonly delayMaxMs?: number;
}

/** A unary call on its way, as an {@link Interceptor} sees it. */
export interface OutgoingCall {
  /** Full method, `/etcdserverpb.KV/Put`. */
  readonly method: string;
  readonly request: Uint8Array;
  readonly metadata: Metadata;
}

/** Wraps every unary call, retries included (it runs once a call). */
export type Interceptor = (
  call: OutgoingCall,
  next: (call: OutgoingCall) => Promise<Buffer>,
) => Promise<Buffer>;

/** A stream that is about to be opened, as a {@link StreamInterceptor} sees it. */
export interface OutgoingStream {
  /** Full method, `/etcdserverpb.Watch/Watch`. */
  readonly method: string;
  readonly metadata: Metadata;
}

/**
 * Wraps the opening of every stream: the one of all watches, the one of all kept leases, and those
 * of large answers; again when a stream broke and is opened anew. May change the metadata.
 */
export type StreamInterceptor = (
  stream: OutgoingStream,
  next: (stream: OutgoingStream) => Promise<{ readonly endpoint: string }>,
) => Promise<{ readonly endpoint: string }>;

/** What sees everything that a client does: for logs, metrics and traces. */
export interface Hooks {
  readonly interceptor?: Interceptor;
  readonly streamInterceptor?: StreamInterceptor;
  /** Must not throw. */
  readonly onEvent?: (event: ClientEvent) => void;
}

/** What every call takes. */
export interface CallOptions {
  /** Ends the call; a change that had been sent then is of unknown outcome. */
  readonly signal?: AbortSignal;
  /** Deadline of the whole call, retries included; `Infinity`: none. */
  readonly timeoutMs?: number;
  /** Beside the client's. */
  readonly metadata?: Metadata;
}

/** A call that may be sent to one server of choice. */
export interface EndpointOptions extends CallOptions {
  /** One of `Etcd.endpoints`, or any other `host:port`; any healthy one if left out. */
  readonly endpoint?: string;
}
