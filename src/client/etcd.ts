/**
 * `new Etcd(...)`: makes a client of connections, calls and services, and closes it again. Nothing
 * connects, and no timer runs, before the first call; after `close` nothing is left that keeps a
 * process alive.
 */

import type { Timer } from '../common/index.js';
import { authenticateRequest, authenticateResponse } from '../proto/index.js';
import {
  type AuthAdmin,
  authOf,
  type Cluster,
  clusterOf,
  type Maintenance,
  maintenanceOf,
} from './admin/index.js';
import {
  Caller,
  type CallOptions,
  type ClientEvent,
  callWithCodecs,
  method,
} from './call/index.js';
import type { EtcdClient, EtcdOptions } from './client.js';
import {
  backgroundClock,
  closedError,
  dialOf,
  isProduction,
  nodeRuntime,
  onExit,
  Pool,
  parseEndpoints,
  type Runtime,
  warn,
} from './connection/index.js';
import { EtcdClientError, isEtcdError } from './errors.js';
import { etcdOptionsOf } from './etcd-options.js';
import { type Bytes, bytes } from './keyspace/index.js';
import { Forgotten, type Kv, KvView } from './kv/index.js';
import { LeaseClient, type Leases } from './lease/index.js';
import {
  callTimeoutMsDefault,
  connectTimeoutMsDefault,
  keepaliveIntervalMsDefault,
  keepaliveTimeoutMsDefault,
  retryAttemptsDefault,
  retryDelayMaxMsDefault,
  retryDelayMinMsDefault,
} from './limits.js';
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

type Listener = (event: ClientEvent) => void;

function listenersOf({ onEvent, hooks = [] }: EtcdOptions): readonly Listener[] {
  return present([onEvent, ...hooks.map((hook) => hook.onEvent)]);
}

function tellAll(listeners: readonly Listener[]): Listener {
  return (event) => {
    for (const listener of listeners) listener(event);
  };
}

function present<T>(list: ReadonlyArray<T | undefined>): readonly T[] {
  return list.filter((each) => each !== undefined);
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

function makePool(options: EtcdOptions, runtime: Runtime): Pool {
  const { keepalive, tls } = options;
  return new Pool({
    endpoints: parseEndpoints(options.endpoints ?? '127.0.0.1:2379'),
    dial: dialOf(options.transport ?? 'native'),
    tls,
    dialOptions: {
      connectTimeoutMs: options.connectTimeoutMs ?? connectTimeoutMsDefault,
      keepalive:
        keepalive === false
          ? undefined
          : {
              intervalMs: keepalive?.intervalMs ?? keepaliveIntervalMsDefault,
              timeoutMs: keepalive?.timeoutMs ?? keepaliveTimeoutMsDefault,
            },
    },
    clock: runtime.clock,
    random: runtime.random,
    onEvent: tellAll(listenersOf(options)),
  });
}

function makeCaller(
  options: EtcdOptions,
  runtime: Runtime,
  pool: Pool,
  signal: AbortSignal,
): Caller {
  const { retry, hooks = [] } = options;
  const listeners = listenersOf(options);
  const onEvent = tellAll(listeners);
  return new Caller({
    pool,
    clock: runtime.clock,
    random: runtime.random,
    timeoutMs: options.timeoutMs ?? callTimeoutMsDefault,
    retry: {
      attemptsMax: retry?.attemptsMax ?? retryAttemptsDefault,
      delayMinMs: retry?.delayMinMs ?? retryDelayMinMsDefault,
      delayMaxMs: retry?.delayMaxMs ?? retryDelayMaxMsDefault,
    },
    metadata: options.metadata ?? {},
    requireLeader: options.requireLeader ?? true,
    credentials: options.credentials,
    interceptors: [...(options.interceptors ?? []), ...present(hooks.map((h) => h.interceptor))],
    streamInterceptors: [
      ...(options.streamInterceptors ?? []),
      ...present(hooks.map((h) => h.streamInterceptor)),
    ],
    tellsCalls: listeners.length > 0,
    authenticate,
    onEvent,
    signal,
  });
}

/** Undefined if the server has auth switched off: then no token is needed. */
async function authenticate(
  caller: Caller,
  name: string,
  password: string,
): Promise<string | undefined> {
  const codecs = [authenticateRequest, authenticateResponse] as const;
  try {
    const request = { name, password };
    return (await callWithCodecs(caller, method.authenticate, 'read', codecs, request, {})).token;
  } catch (error) {
    if (isEtcdError(error, 'AUTH_NOT_ENABLED')) return undefined;
    if (isEtcdError(error, 'UNIMPLEMENTED')) throw noAuthService(error);
    throw error;
  }
}

function noAuthService(error: EtcdClientError): EtcdClientError {
  const { code, reason, outcome, method, endpoint, attempts } = error;
  const message = 'a user and a password were given, but the server has no Auth service';
  return new EtcdClientError({
    ...{ code, reason, outcome, method, endpoint, attempts, message },
    cause: error,
  });
}
