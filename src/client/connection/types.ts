/** How a client is connected to its servers. */

import type { Clock, Random } from '../../common/index.js';

/** TLS towards the servers; PEM texts or bytes, not paths. */
export interface ClientTls {
  /** Authorities that the servers' certificates must come from; the system's if left out. */
  readonly ca?: string | Uint8Array;
  /** Client certificate and key (mTLS); both or none. */
  readonly cert?: string | Uint8Array;
  readonly key?: string | Uint8Array;
  /** Name in the server's certificate, if it is not the host of the endpoint. */
  readonly serverName?: string;
  /** Do not verify the server. For tests and tools. */
  readonly insecureSkipVerify?: boolean;
}

/** Fixed, or asked for before each connection is made: for certificates that are renewed. */
export type TlsSource = ClientTls | (() => ClientTls | Promise<ClientTls>);

/** Pings while calls or watches are running, to find out that the other side is gone. */
export interface PingOptions {
  /** Silence after which a ping is sent. Default 10 s. */
  readonly intervalMs?: number;
  /** Time for its answer, after which the connection is closed. Default 3 s. */
  readonly timeoutMs?: number;
}

/** `native`: kvorum's own HTTP/2. `grpc-js`: @grpc/grpc-js, at ten times the cost. */
export type TransportName = 'native' | 'grpc-js';

/** The only doors to time and chance. */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
}

/** What happens to the connections of a client. */
export type ConnectionEvent =
  | { readonly type: 'connecting'; readonly endpoint: string }
  | { readonly type: 'connected'; readonly endpoint: string }
  | {
      readonly type: 'connectFailed';
      readonly endpoint: string;
      readonly error: Error;
      /** Trying again will not help: a certificate that is refused, a server of another kind. */
      readonly permanent: boolean;
    }
  | { readonly type: 'disconnected'; readonly endpoint: string }
  | { readonly type: 'endpoints'; readonly endpoints: readonly string[] }
  /** There is a new token. */
  | { readonly type: 'authenticated' }
  /** The server has auth switched off; calls go without a token. */
  | { readonly type: 'authNotEnabled' }
  /** A transaction was begun at `stack`, and never committed: it did nothing. */
  | { readonly type: 'forgottenCommit'; readonly stack: string }
  /** No token could be had. */
  | { readonly type: 'authFailed'; readonly error: Error };
