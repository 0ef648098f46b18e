/** What every kind of client is made of: connections, and calls on them. */

import { authenticateRequest, authenticateResponse } from '../proto/index.js';
import { Caller, type ClientEvent, callWithCodecs, method } from './call/index.js';
import type { EtcdOptions } from './client.js';
import { dialOf, Pool, parseEndpoints, type Runtime } from './connection/index.js';
import { EtcdClientError, isEtcdError } from './errors.js';
import {
  callTimeoutMsDefault,
  connectTimeoutMsDefault,
  keepaliveIntervalMsDefault,
  keepaliveTimeoutMsDefault,
  retryAttemptsDefault,
  retryDelayMaxMsDefault,
  retryDelayMinMsDefault,
} from './limits.js';

type Listener = (event: ClientEvent) => void;

/** Everybody who wants to be told of events. */
export function listenersOf({ onEvent, hooks = [] }: EtcdOptions): readonly Listener[] {
  return present([onEvent, ...hooks.map((hook) => hook.onEvent)]);
}

/** One listener that tells all of them. */
export function tellAll(listeners: readonly Listener[]): Listener {
  return (event) => {
    for (const listener of listeners) listener(event);
  };
}

function present<T>(list: ReadonlyArray<T | undefined>): readonly T[] {
  return list.filter((each) => each !== undefined);
}

/** The connections to the endpoints; nothing connects yet. */
export function makePool(options: EtcdOptions, runtime: Runtime): Pool {
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

/** Calls on them; they end when `signal` aborts. */
export function makeCaller(
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
