/**
 * What --auth-token asks for (etcd server/auth, facts only): `simple`, or `jwt` with its keys,
 * which are read and checked here, where the message can name the flag.
 */

import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { parseGoDuration } from './flag-value.js';
import { bytesOf, type Flags, type ReadFile } from './flags.js';
import { fileProblem, quote, UsageError } from './usage-error.js';

export type AuthTokenConfig =
  | { readonly kind: 'simple' }
  /** etcd's empty --auth-token: nobody gets a token, only certificates say who calls. */
  | { readonly kind: 'none' }
  | JwtConfig;

/** Signed tokens. */
export interface JwtConfig {
  readonly kind: 'jwt';
  /** The algorithm, as in the header of tokens: 'RS256'. */
  readonly method: string;
  readonly verifyKey: KeyObject;
  /** Undefined: tokens are made elsewhere. */
  readonly signKey: KeyObject | undefined;
  readonly ttlMs: number;
}

const flag = '--auth-token';
const knownOptions = new Set(['sign-method', 'pub-key', 'priv-key', 'ttl']);
/** etcd's. */
const ttlMsDefault = 300_000;
/** Below it no key is safe, and the library refuses it. */
const rsaBitsMin = 2048;

/** Elliptic curve of each method that has one. */
const curves: Readonly<Record<string, string>> = {
  ES256: 'prime256v1',
  ES384: 'secp384r1',
  ES512: 'secp521r1',
};

/** Throws {@link UsageError}. */
export function readAuthToken(
  flags: Flags,
  readFile: ReadFile,
  warnings: string[],
): AuthTokenConfig {
  const text = flags.text('auth-token');
  const { kind, options } = parse(text);
  if (kind === '') return { kind: 'none' };
  if (kind === 'simple') return { kind };
  if (kind !== 'jwt') {
    throw new UsageError(`${flag} ${quote(text)}: unknown type of token, must be simple or jwt`);
  }
  const unknown = [...options.keys()].filter((name) => !knownOptions.has(name));
  if (unknown.length > 0) {
    warnings.push(`${flag} jwt has unknown options: ${unknown.map(quote).join(', ')}`);
  }
  const method = options.get('sign-method') ?? '';
  return { kind, method, ...keysOf(method, options, readFile), ttlMs: ttlOf(options) };
}

/** A comma list; the first word is the kind. Keys must not be secrets: they name files. */
function parse(text: string) {
  const [kind = '', ...pairs] = text.split(',');
  const options = new Map<string, string>();
  for (const pair of pairs) {
    const parts = pair.split('=');
    const [name = '', value] = parts;
    if (value === undefined || parts.length !== 2) {
      throw new UsageError(`${flag}: option ${quote(pair)} must be of the form name=value`);
    }
    if (options.has(name)) throw new UsageError(`${flag}: option ${quote(name)} is given twice`);
    options.set(name, value);
  }
  return { kind, options };
}

function ttlOf(options: ReadonlyMap<string, string>): number {
  const text = options.get('ttl') ?? '';
  if (text === '') return ttlMsDefault;
  const ttlMs = parseGoDuration(text);
  if (ttlMs === undefined || ttlMs <= 0) {
    throw new UsageError(`${flag}: ttl ${quote(text)} must be a duration such as '10m', above 0`);
  }
  return ttlMs;
}

type Keys = Pick<JwtConfig, 'verifyKey' | 'signKey'>;

function keysOf(method: string, options: ReadonlyMap<string, string>, readFile: ReadFile): Keys {
  const [, family = ''] = /^(RS|PS|ES|HS)(?:256|384|512)$/.exec(method) ?? [];
  if (family === '' && method !== 'EdDSA') {
    throw new UsageError(
      `${flag}: sign-method ${quote(method)} must be EdDSA, or ` +
        'RS, PS, ES or HS with 256, 384 or 512',
    );
  }
  const privateBytes = readKey('priv-key', options, readFile);
  if (family === 'HS') {
    if (privateBytes === undefined || privateBytes.length === 0) throw missingKey('priv-key');
    const secret = createSecretKey(privateBytes);
    return { verifyKey: secret, signKey: secret };
  }
  const publicBytes = readKey('pub-key', options, readFile);
  const signKey = privateBytes && pemKey('priv-key', privateBytes, createPrivateKey);
  const given = publicBytes && pemKey('pub-key', publicBytes, createPublicKey);
  const verifyKey = signKey === undefined ? given : createPublicKey(signKey);
  if (verifyKey === undefined) throw missingKey('pub-key or priv-key');
  if (given !== undefined && !areSame(given, verifyKey)) {
    throw new UsageError(`${flag}: pub-key is not the public key of priv-key`);
  }
  checkKind(method, verifyKey);
  return { verifyKey, signKey };
}

function readKey(
  option: string,
  options: ReadonlyMap<string, string>,
  readFile: ReadFile,
): Uint8Array | undefined {
  const path = options.get(option) ?? '';
  if (path === '') return undefined;
  try {
    return bytesOf(readFile(path));
  } catch (cause) {
    throw new UsageError(`${flag}: ${option} ${quote(path)} can't be read: ${fileProblem(cause)}`);
  }
}

function pemKey(
  option: string,
  pem: Uint8Array,
  create: (key: { readonly key: Buffer; readonly format: 'pem' }) => KeyObject,
): KeyObject {
  try {
    return create({ key: Buffer.from(pem), format: 'pem' });
  } catch {
    // The cause may quote the key.
    throw new UsageError(`${flag}: ${option} holds no unencrypted PEM key`);
  }
}

function areSame(a: KeyObject, b: KeyObject): boolean {
  const bytes = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' });
  return bytes(a).equals(bytes(b));
}

function checkKind(method: string, key: KeyObject): void {
  const { asymmetricKeyDetails: details, asymmetricKeyType: type } = key;
  const curve = curves[method];
  const isRight =
    method === 'EdDSA'
      ? type === 'ed25519'
      : curve === undefined
        ? type === 'rsa'
        : type === 'ec' && details?.namedCurve === curve;
  if (!isRight) throw new UsageError(`${flag}: the key is not one for sign-method ${method}`);
  if (type === 'rsa' && (details?.modulusLength ?? 0) < rsaBitsMin) {
    throw new UsageError(`${flag}: an RSA key must have ${rsaBitsMin} bits or more`);
  }
}

function missingKey(option: string): UsageError {
  return new UsageError(`${flag}: jwt needs ${option}`);
}
