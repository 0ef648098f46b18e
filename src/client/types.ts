/**
 * What everything in the client is described by: connection options, options of a call, keys,
 * ranges and what comes back. Types only; the data here is plain and read-only.
 *
 * Revisions, versions and counts are safe integers in a `number` (checked on arrival); lease,
 * member and cluster ids use all 64 bits and are `bigint`.
 */

import type { Clock, LeaseId, Random, Revision } from '../common/index.js';
import type { AuthAdmin, Cluster, Maintenance } from './admin/types.js';
import type { Bytes, Kv } from './kv/types.js';
import type { Leases } from './lease/types.js';

export type { Clock, LeaseId, MemberId, Random, Revision, Timer } from '../common/index.js';

// ------------------------------------------------------------------------------- connection

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

/** Who the client is: a password that is exchanged for tokens, or a token made elsewhere (JWT). */
export type Credentials =
  | { readonly user: string; readonly password: string; readonly token?: never }
  | {
      /** Asked again each time the server refuses the last one. */
      readonly token: string | (() => string | Promise<string>);
      readonly user?: never;
      readonly password?: never;
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

/** Pings while calls or watches are running, to find out that the other side is gone. */
export interface KeepaliveOptions {
  /** Silence after which a ping is sent. Default 10 s. */
  readonly intervalMs?: number;
  /** Time for its answer, after which the connection is closed. Default 3 s. */
  readonly timeoutMs?: number;
}

/** What a client is made with. Everything has a default. */
export interface EtcdOptions {
  /** `host:port` or `http(s)://host:port`, one or more. Default `127.0.0.1:2379`. */
  readonly endpoints?: string | readonly string[];
  /** Turns TLS on, as `https://` does. */
  readonly tls?: ClientTls;
  readonly credentials?: Credentials;
  /** Sent with every call. */
  readonly metadata?: Metadata;
  /** Deadline of a call that names none, connecting included. Default 10 s. */
  readonly timeoutMs?: number;
  /** Time for TCP, TLS and HTTP/2 to one endpoint before the next is tried. Default 3 s. */
  readonly connectTimeoutMs?: number;
  readonly retry?: RetryOptions;
  /** `false`: no pings. */
  readonly keepalive?: KeepaliveOptions | false;
  /** Learns endpoints from the member list this often. Default: never. */
  readonly syncIntervalMs?: number;
  /** Refuse calls at members that see no leader, instead of letting them wait. Default true. */
  readonly requireLeader?: boolean;
  /** Outermost first. */
  readonly interceptors?: readonly Interceptor[];
  /** Told what happens to connections; must not throw. */
  readonly onEvent?: (event: ConnectionEvent) => void;
  /** What the HTTP/2 is done by. Default `native`. */
  readonly transport?: TransportName;
  /** Clock and randomness; for tests. */
  readonly runtime?: Partial<Runtime>;
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
  | { readonly type: 'connectFailed'; readonly endpoint: string; readonly error: Error }
  | { readonly type: 'disconnected'; readonly endpoint: string }
  | { readonly type: 'endpoints'; readonly endpoints: readonly string[] }
  | { readonly type: 'authenticated' };

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

// --------------------------------------------------------------------------- keys and ranges

/** A key: text (UTF-8) or bytes. Not empty. */
export type Key = string | Uint8Array;

/** Which keys: one, all with a prefix, `[from, to)`, or all. Relative to the namespace. */
export type KeyRange =
  | {
      readonly key: Key;
      readonly prefix?: never;
      readonly from?: never;
      readonly to?: never;
      readonly all?: never;
    }
  | {
      readonly prefix: Key;
      readonly key?: never;
      readonly from?: never;
      readonly to?: never;
      readonly all?: never;
    }
  | {
      readonly from: Key;
      /** Exclusive; to the end of the namespace if left out. */
      readonly to?: Key;
      readonly key?: never;
      readonly prefix?: never;
      readonly all?: never;
    }
  | {
      readonly all: true;
      readonly key?: never;
      readonly prefix?: never;
      readonly from?: never;
      readonly to?: never;
    };

/** Where and when a reply was made. */
export interface Header {
  readonly clusterId: bigint;
  /** The member that answered. */
  readonly memberId: bigint;
  /** The store's revision when the reply was made. */
  readonly revision: Revision;
  readonly raftTerm: number;
}

/** A key with its history numbers, without the value. */
export interface KeyInfo {
  /** Relative to the namespace; text. Not valid UTF-8 is replaced: then use `keyBytes`. */
  readonly key: string;
  /** Relative to the namespace; exact. */
  readonly keyBytes: Buffer;
  /** Revision of the put that created the key. */
  readonly createRevision: Revision;
  /** Revision of the last put. */
  readonly modRevision: Revision;
  /** Puts since it was created; the first is 1. */
  readonly version: number;
  /** 0n: none. */
  readonly lease: LeaseId;
}

/** A key with its value. */
export interface KeyValue<V> extends KeyInfo {
  readonly value: V;
}

// -------------------------------------------------------------------------------- the client

/** A client of one cluster. Connects when it is first used. */
export interface EtcdClient extends AsyncDisposable {
  /** The whole key space, values as bytes. Namespaces and codecs start here. */
  readonly kv: Kv<Buffer, Bytes>;
  readonly leases: Leases;
  readonly cluster: Cluster;
  readonly maintenance: Maintenance;
  readonly auth: AuthAdmin;
  /** Endpoints now in use, as `host:port`. */
  readonly endpoints: readonly string[];
  /** For what is built on the client: its clock and randomness. */
  readonly runtime: Runtime;
  /** Aborted when the client is closed. */
  readonly signal: AbortSignal;
  /** Rejects if no endpoint answers within the connect timeout. Not needed before calls. */
  connect(options?: CallOptions): Promise<void>;
  /** Replaces the endpoints by the members' client URLs. */
  syncEndpoints(options?: CallOptions): Promise<readonly string[]>;
  /** Ends all calls, watches and keepalives, and closes the connections. Leases stay. */
  close(): Promise<void>;
}
