/**
 * The client as its users see it: what it is made with, and what it offers. Types only; the data
 * that all of them describe is plain and read-only.
 *
 * Revisions, versions and counts are safe integers in a `number` (checked on arrival); lease,
 * member and cluster ids use all 64 bits and are `bigint`.
 */

import type { AuthAdmin, Cluster, Maintenance } from './admin/index.js';
import type {
  CallOptions,
  ClientEvent,
  Credentials,
  Hooks,
  Interceptor,
  Metadata,
  RetryOptions,
  StreamInterceptor,
} from './call/index.js';
import type { PingOptions, Runtime, TlsSource, TransportName } from './connection/index.js';
import type { Bytes } from './keyspace/index.js';
import type { Kv } from './kv/index.js';
import type { Leases } from './lease/index.js';

/** What a client is made with. Everything has a default. */
export interface EtcdOptions {
  /** `host:port` or `http(s)://host:port`, one or more. Default `127.0.0.1:2379`. */
  readonly endpoints?: string | readonly string[];
  /** Turns TLS on, as `https://` does. A function is asked before each connection is made. */
  readonly tls?: TlsSource;
  readonly credentials?: Credentials;
  /** Sent with every call. */
  readonly metadata?: Metadata;
  /** Deadline of a call that names none, connecting included. Default 10 s. */
  readonly timeoutMs?: number;
  /** Time for TCP, TLS and HTTP/2 to one endpoint before the next is tried. Default 3 s. */
  readonly connectTimeoutMs?: number;
  readonly retry?: RetryOptions;
  /** `false`: no pings. */
  readonly keepalive?: PingOptions | false;
  /** Learns endpoints from the member list this often. Default: never. */
  readonly syncIntervalMs?: number;
  /** Refuse calls at members that see no leader, instead of letting them wait. Default true. */
  readonly requireLeader?: boolean;
  /** Outermost first. */
  readonly interceptors?: readonly Interceptor[];
  /** Wrap the opening of streams, of watches and kept leases too; outermost first. */
  readonly streamInterceptors?: readonly StreamInterceptor[];
  /**
   * Told what happens to connections, calls, streams, watches and leases; must not throw. See
   * `hooks` for several listeners.
   */
  readonly onEvent?: (event: ClientEvent) => void;
  /** Loggers, metrics, traces: each sees everything. Their interceptors are inside the others. */
  readonly hooks?: readonly Hooks[];
  /** What the HTTP/2 is done by. Default `native`. */
  readonly transport?: TransportName;
  /**
   * Remembers where each transaction was begun, and warns of those that are never committed.
   * Default: unless NODE_ENV is `production`.
   */
  readonly developmentChecks?: boolean;
  /** Clock and randomness; for tests. */
  readonly runtime?: Partial<Runtime>;
}

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
