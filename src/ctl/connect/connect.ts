/** The client of a command, made of the global flags. */

import { type Credentials, RawClient } from '../../client/raw/index.js';
import { CommandError, type CtlIo, exit, type GlobalValues } from '../command/index.js';
import { failureText, fileReason, type Reader } from '../failure/index.js';

/**
 * A client of what the flags say; connects at its first call. Rejects with CommandError for files
 * that can't be read and flags that contradict each other.
 */
export async function clientOf(
  global: GlobalValues,
  isSet: ReadonlySet<string>,
  io: CtlIo,
): Promise<RawClient> {
  const endpoints = global.endpoints.map((one) => one.trim()).filter((one) => one !== '');
  if (endpoints.length === 0) {
    throw new CommandError('etcdclient: no available endpoints', exit.badConnection);
  }
  const tls = await tlsOf(global, isSet, io);
  const credentials = await credentialsOf(global, io);
  const bounds = {
    requestBytesMax: global['max-request-bytes'] || requestBytesMax,
    answerBytesMax: global['max-recv-bytes'] || answerBytesMax,
  };
  const options = {
    endpoints: endpoints.map((one) => urlOf(one, global)),
    ...(tls === undefined ? {} : { tls }),
    ...(credentials === undefined ? {} : { credentials }),
    ...(global['dial-timeout'] > 0 ? { connectTimeoutMs: global['dial-timeout'] } : {}),
    timeoutMs: global['command-timeout'],
    keepalive: {
      intervalMs: global['keepalive-time'],
      timeoutMs: global['keepalive-timeout'],
    },
    requireLeader: false,
    developmentChecks: false,
  };
  return new RawClient(options, bounds);
}

/** Of etcd's client, if the flags say nothing. */
const requestBytesMax = 2 * 1024 * 1024;
const answerBytesMax = 2 ** 31 - 1;

/** An endpoint says by its scheme whether it has TLS; without one the flags do. */
export function urlOf(endpoint: string, global: GlobalValues): string {
  const trimmed = endpoint.trim();
  if (trimmed.includes('://')) return trimmed;
  return `${wantsTls(global) ? 'https' : 'http'}://${trimmed}`;
}

function wantsTls(global: GlobalValues): boolean {
  const { cert, key, cacert } = global;
  const hasFiles = cert !== '' || key !== '' || cacert !== '';
  return hasFiles || global['insecure-skip-tls-verify'] || !global['insecure-transport'];
}

async function tlsOf(global: GlobalValues, isSet: ReadonlySet<string>, io: CtlIo) {
  for (const name of ['cert', 'key', 'cacert'] as const) {
    if (!isSet.has(name) || global[name] !== '') continue;
    throw new CommandError(`empty string is passed to --${name} option`, exit.badArguments);
  }
  const { cert, key, cacert } = global;
  const insecureSkipVerify = global['insecure-skip-tls-verify'];
  if (!wantsTls(global)) return undefined;
  const read = (path: string) => readPem(path, io);
  return {
    ...(cacert === '' ? {} : { ca: await read(cacert) }),
    ...(cert === '' ? {} : { cert: await read(cert) }),
    ...(key === '' ? {} : { key: await read(key) }),
    ...(insecureSkipVerify ? { insecureSkipVerify } : {}),
  };
}

async function readPem(path: string, io: CtlIo): Promise<Uint8Array> {
  try {
    return await io.readFile(path);
  } catch (error) {
    const reason = fileReason(error);
    throw new CommandError(`open ${path}: ${reason}`, exit.badArguments);
  }
}

async function credentialsOf(global: GlobalValues, io: CtlIo): Promise<Credentials | undefined> {
  const { password } = global;
  const token = global['auth-jwt-token'];
  if (token !== '') return { token };
  if (global.user === '') return undefined;
  if (password !== '') return { user: global.user, password };
  const at = global.user.indexOf(':');
  const named =
    at < 0
      ? { user: global.user, password: await io.askSecret('Password: ') }
      : { user: global.user.slice(0, at), password: global.user.slice(at + 1) };
  // As etcdctl: half of them is nobody.
  return named.user === '' || named.password === '' ? undefined : named;
}

/**
 * Fetches the token, if there are a user and a password, in the time of a connection: who is not
 * let in is told so before anything is asked, with a status of its own.
 */
export async function signedIn(
  client: RawClient,
  global: GlobalValues,
  reader: Reader,
): Promise<RawClient> {
  if (global.user === '' || global['auth-jwt-token'] !== '') return client;
  try {
    await client.signIn({ timeoutMs: global['dial-timeout'] });
    return client;
  } catch (error) {
    await client.close();
    const message = failureText(error, reader);
    throw new CommandError(message, exit.badConnection, { cause: error });
  }
}
