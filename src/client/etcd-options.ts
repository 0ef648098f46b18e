/**
 * What a client is made with, looked at before it is made: a client that was given `hosts` must not
 * go on to talk to the default endpoint.
 */

import { callShape, checkCredentials, checkMetadata, type Hooks } from './call/index.js';
import type { EtcdOptions } from './client.js';
import { checkTls } from './connection/index.js';
import { invalidOption } from './errors.js';
import {
  aFunction,
  aList,
  anObject,
  anything,
  aSecretObject,
  atLeast,
  type Check,
  checkOptions,
  described,
  flag,
  oneOf,
  positive,
  type Shape,
  wholeNumber,
} from './strict/index.js';

const aTextOrList: Check = (value) =>
  typeof value === 'string' || Array.isArray(value) ? undefined : 'text or an array of texts';

const falseOrObject: Check = (value) =>
  value === false || anObject(value) === undefined
    ? undefined
    : '{ intervalMs, timeoutMs } or false';

const shape: Shape<EtcdOptions> = {
  endpoints: aTextOrList,
  tls: (value) =>
    typeof value === 'function' || anObject(value) === undefined
      ? undefined
      : 'an object { ca, cert, key }, or a function that gives one',
  credentials: aSecretObject,
  metadata: callShape.metadata,
  timeoutMs: positive,
  connectTimeoutMs: positive,
  retry: anObject,
  keepalive: falseOrObject,
  syncIntervalMs: positive,
  requireLeader: flag,
  interceptors: aList,
  streamInterceptors: aList,
  hooks: aList,
  onEvent: aFunction,
  transport: oneOf('native', 'grpc-js'),
  developmentChecks: flag,
  runtime: anObject,
};

const retryShape: Shape<NonNullable<EtcdOptions['retry']>> = {
  attemptsMax: wholeNumber(1),
  delayMinMs: atLeast(0),
  delayMaxMs: atLeast(0),
};

const keepaliveShape: Shape<Exclude<EtcdOptions['keepalive'], false | undefined>> = {
  intervalMs: positive,
  timeoutMs: positive,
};

const hooksShape: Shape<Hooks> = {
  interceptor: aFunction,
  streamInterceptor: aFunction,
  onEvent: aFunction,
};

const runtimeShape = { clock: anything, random: anything } as const;

/** What was given, as options. Throws INVALID_OPTION. */
export function etcdOptionsOf(
  given: string | readonly string[] | EtcdOptions | undefined,
): EtcdOptions {
  const value: unknown = given;
  if (typeof value === 'string' || Array.isArray(value)) {
    return checked({ endpoints: value as string | readonly string[] });
  }
  if (typeof value !== 'object' || value === null) {
    throw invalidOption(
      `new Etcd: endpoints or options are ${described(value)}; ` +
        'for the default, 127.0.0.1:2379, give no argument at all',
    );
  }
  return checked(value as EtcdOptions);
}

function checked(options: EtcdOptions): EtcdOptions {
  const { retry, keepalive, tls, runtime, credentials, metadata, interceptors } = options;
  checkOptions('new Etcd', options, shape);
  checkOptions('new Etcd: retry', retry, retryShape);
  if (keepalive !== false) checkOptions('new Etcd: keepalive', keepalive, keepaliveShape);
  checkOptions('new Etcd: runtime', runtime, runtimeShape);
  // A variable of the environment that is not set must not mean the default.
  if ('endpoints' in options && options.endpoints === undefined) {
    throw invalidOption(
      'new Etcd: endpoints is undefined; leave it out for the default, 127.0.0.1:2379',
    );
  }
  if (typeof tls === 'object') checkTls(tls);
  checkCredentials(credentials);
  if (metadata !== undefined) checkMetadata(metadata);
  for (const hook of options.hooks ?? []) checkOptions('new Etcd: a hook', hook, hooksShape);
  for (const interceptor of [...(interceptors ?? []), ...(options.streamInterceptors ?? [])]) {
    if (typeof interceptor !== 'function') {
      throw invalidOption(`new Etcd: an interceptor is a function, not ${described(interceptor)}`);
    }
  }
  return options;
}
