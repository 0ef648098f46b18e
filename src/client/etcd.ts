/**
 * `new Etcd(...)`: makes a client of connections, calls and services, and closes it again. Nothing
 * connects, and no timer runs, before the first call; after `close` nothing is left that keeps a
 * process alive.
 */

import type { Timer } from '../common/index.js';
import {
  type AuthAdmin,
  authOf,
  type Cluster,
  clusterOf,
  type Maintenance,
  maintenanceOf,
} from './admin/index.js';
import type { Caller, CallOptions } from './call/index.js';
import type { EtcdClient, EtcdOptions } from './client.js';
import {
  backgroundClock,
  closedError,
  isProduction,
  nodeRuntime,
  onExit,
  type Pool,
  parseEndpoints,
  type Runtime,
  warn,
} from './connection/index.js';
import { etcdOptionsOf } from './etcd-options.js';
import { type Bytes, bytes } from './keyspace/index.js';
import { Forgotten, type Kv, KvView } from './kv/index.js';
import { LeaseClient, type Leases } from './lease/index.js';
import { callTimeoutMsDefault } from './limits.js';
import { listenersOf, makeCaller, makePool, tellAll } from './parts.js';
import { WatchMux } from './watch/index.js';

/** A client of one etcd or kvorum cluster. */
export class Etcd implements EtcdClient {
  readonly kv: Kv<Buffer, Bytes>;
  readonly leases: Leases;
  readonly cluster: Cluster;
  readonly maintenance: Maintenance;
  readonly auth: AuthAdmin;
  readonly runtime: Runtime;
  readonly signal: AbortSignal;
  readonly #options: EtcdOptions;
  readonly #pool: Pool;
  readonly #caller: Caller;
  readonly #watches: WatchMux;
  readonly #leases: LeaseClient;
  readonly #forgotten: Forgotten;
  readonly #closing = new AbortController();
  #syncTimer: Timer | undefined;

  /** Of the default endpoint, 127.0.0.1:2379. */
  constructor();
  /** Endpoints alone, or all options. Throws INVALID_OPTION. */
  constructor(given: string | readonly string[] | EtcdOptions);
  constructor(...given: [(string | readonly string[] | EtcdOptions)?]) {
    const options = given.length === 0 ? {} : etcdOptionsOf(given[0]);
    this.#options = options;
    this.signal = this.#closing.signal;
    this.runtime = { ...nodeRuntime, ...options.runtime };
    this.#pool = makePool(options, this.runtime);
    this.#caller = makeCaller(options, this.runtime, this.#pool, this.signal);
    this.#watches = new WatchMux(this.#caller);
    this.#leases = new LeaseClient(this.#caller);
    this.leases = this.#leases;
    this.#forgotten = new Forgotten(forgottenOptions(options));
    this.kv = new KvView(
      {
        ...{ caller: this.#caller, watches: this.#watches, forgotten: this.#forgotten },
        client: { runtime: this.runtime, signal: this.signal },
      },
      '',
      bytes,
    );
    this.cluster = clusterOf(this.#caller);
    this.maintenance = maintenanceOf(this.#caller);
    this.auth = authOf(this.#caller);
    this.#armSync();
  }

  get endpoints(): readonly string[] {
    return this.#pool.endpoints.map(({ address }) => address);
  }

  async connect(options: CallOptions = {}): Promise<void> {
    const timeoutMs = this.#options.timeoutMs ?? callTimeoutMsDefault;
    const until = this.#caller.until(options, timeoutMs);
    await this.#pool.connectOnce(until);
    await this.#caller.tokenReady(until);
  }

  async syncEndpoints(options?: CallOptions): Promise<readonly string[]> {
    const members = await this.cluster.members({ ...options, serializable: true });
    // A learner serves next to nothing; a member that has not started has no URLs.
    const urls = members.filter(({ isLearner }) => !isLearner).flatMap((m) => m.clientUrls);
    if (urls.length > 0) this.#pool.replaceEndpoints(parseEndpoints(urls));
    return this.endpoints;
  }

  close(): Promise<void> {
    if (this.#closing.signal.aborted) return Promise.resolve();
    this.#syncTimer?.cancel();
    this.#forgotten.tellAll();
    this.#closing.abort(closedError());
    this.#watches.close();
    this.#leases.close();
    this.#caller.close();
    this.#pool.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #armSync(): void {
    const { syncIntervalMs } = this.#options;
    if (syncIntervalMs === undefined || this.signal.aborted) return;
    // Nobody waits for it, so it must not keep the process alive.
    const clock = this.#options.runtime?.clock ?? backgroundClock;
    this.#syncTimer = clock.after(syncIntervalMs, () => {
      this.syncEndpoints().then(
        () => this.#armSync(),
        () => this.#armSync(), // the endpoints that are known stay
      );
    });
  }
}

/** Transactions that are never committed: told on stderr, and as an event. */
function forgottenOptions(options: EtcdOptions) {
  const { developmentChecks } = options;
  const onEvent = tellAll(listenersOf(options));
  if (!(developmentChecks ?? !isProduction)) return undefined;
  return {
    onExit,
    tell: (stack: string) => {
      warn('KVORUM_FORGOTTEN_COMMIT', 'a transaction was never committed: it did nothing', stack);
      onEvent({ type: 'forgottenCommit', stack });
    },
  };
}
