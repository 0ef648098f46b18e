/**
 * JSON web tokens (--auth-token jwt): which flags start, which tokens are taken, and that those of
 * etcd and of kvorum are the same to both.
 */

import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metadata } from '@grpc/grpc-js';
import { type JWTPayload, SignJWT } from 'jose';
import { afterAll, describe, expect, it } from 'vitest';
import type { Caller, TokenClaims } from '../../src/common/index.js';
import { SignedTokenAccess } from '../../src/server/access/index.js';
import {
  buildConfig,
  parseCommandLine,
  type ReadFile,
  UsageError,
} from '../../src/server/index.js';
import type { JwtConfig } from '../../src/server/options/index.js';
import { openSignedTokens } from '../../src/server/platform/signed-tokens-node.js';
import type { ServerCall } from '../../src/transport/index.js';
import { asFailure, bytes, RawClient } from '../helpers/grpc.js';
import { type ServerProcess, startServer } from '../helpers/server.js';
import { describeWith } from '../helpers/tools.js';

interface Pair {
  readonly private: string;
  readonly public: string;
}

function pem({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): Pair {
  return {
    private: privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
    public: publicKey.export({ type: 'spki', format: 'pem' }) as string,
  };
}

const rsa = pem(generateKeyPairSync('rsa', { modulusLength: 2048 }));
const ec = (namedCurve: string): Pair => pem(generateKeyPairSync('ec', { namedCurve }));
const pairs: Readonly<Record<string, Pair>> = {
  RS256: rsa,
  RS512: rsa,
  PS256: rsa,
  PS384: rsa,
  ES256: ec('prime256v1'),
  ES384: ec('secp384r1'),
  ES512: ec('secp521r1'),
  EdDSA: pem(generateKeyPairSync('ed25519')),
};
const secret = randomBytes(64).toString('hex');
const methods = [...Object.keys(pairs), 'HS256', 'HS512'];

/** What --auth-token comes to; files have the names of what is in them. */
function configOf(text: string): JwtConfig {
  const files: Record<string, string> = { secret, empty: '', noise: 'no key' };
  for (const [name, pair] of Object.entries(pairs)) {
    files[`${name}.pem`] = pair.private;
    files[`${name}.pub`] = pair.public;
  }
  files.small = pem(generateKeyPairSync('rsa', { modulusLength: 1024 })).private;
  const readFile: ReadFile = (path) => {
    const file = files[path];
    if (file === undefined) throw Object.assign(new Error('none'), { code: 'ENOENT' });
    return file;
  };
  const line = parseCommandLine([`--auth-token=${text}`], {}, readFile);
  if (line.kind !== 'run') throw new Error('it starts nothing');
  const { authToken } = buildConfig(line.flags, readFile);
  if (authToken.kind !== 'jwt') throw new Error('it is no jwt');
  return authToken;
}

const keysOf = (method: string): string =>
  method.startsWith('HS') ? 'priv-key=secret' : `priv-key=${method}.pem,pub-key=${method}.pub`;

describe('--auth-token jwt', () => {
  it.each(methods)('takes keys for %s', (method) => {
    const config = configOf(`jwt,sign-method=${method},${keysOf(method)},ttl=10m`);
    expect(config).toMatchObject({ method, ttlMs: 600_000 });
    expect(configOf(`jwt,sign-method=${method},${keysOf(method)}`).ttlMs).toBe(300_000);
  });

  it('takes a public key alone, to check tokens with', () => {
    const config = configOf('jwt,sign-method=RS256,pub-key=RS256.pub');
    expect(config.signKey).toBeUndefined();
    expect(openSignedTokens(config, { wallMs: Date.now }).sign).toBeUndefined();
  });

  it.each([
    ['jwt', 'sign-method "" must be'],
    ['jwt,sign-method=none,pub-key=RS256.pub', 'sign-method "none" must be'],
    ['jwt,sign-method=RS256', 'needs pub-key or priv-key'],
    ['jwt,sign-method=HS256,pub-key=RS256.pub', 'needs priv-key'],
    ['jwt,sign-method=HS256,priv-key=empty', 'needs priv-key'],
    ['jwt,sign-method=RS256,priv-key=missing', "can't be read"],
    ['jwt,sign-method=RS256,priv-key=noise', 'holds no unencrypted PEM key'],
    ['jwt,sign-method=RS256,priv-key=RS256.pub', 'holds no unencrypted PEM key'],
    ['jwt,sign-method=RS256,priv-key=ES256.pem', 'not one for sign-method RS256'],
    ['jwt,sign-method=ES256,priv-key=ES384.pem', 'not one for sign-method ES256'],
    ['jwt,sign-method=EdDSA,priv-key=RS256.pem', 'not one for sign-method EdDSA'],
    ['jwt,sign-method=ES256,priv-key=ES256.pem,pub-key=ES384.pub', 'is not the public key of'],
    ['jwt,sign-method=RS256,priv-key=small', '2048 bits'],
    ['jwt,sign-method=RS256,priv-key=RS256.pem,ttl=soon', 'ttl "soon"'],
    ['jwt,sign-method=RS256,priv-key=RS256.pem,ttl=-1s', 'ttl "-1s"'],
    ['jwt,sign-method', 'name=value'],
    ['jwt,ttl=1m=2m', 'name=value'],
    ['jwt,ttl=1m,ttl=2m', 'given twice'],
    ['magic', 'unknown type of token'],
  ])('is refused as %s, with a message that names the flag', (text, message) => {
    const build = (): JwtConfig => configOf(text);
    expect(build).toThrow(UsageError);
    expect(build).toThrow(/--auth-token/);
    expect(build).toThrow(message);
  });
});

// ----------------------------------------------------------------------------------- tokens

const call = { peer: { address: '10.0.0.1:1' }, cancelled: false } as unknown as ServerCall;

/** Tokens of a method on a clock that stands still. */
function tokensOf(method: string) {
  const wall = { nowMs: Date.now(), wallMs: () => wall.nowMs };
  const config = configOf(`jwt,sign-method=${method},${keysOf(method)},ttl=60s`);
  const access = new SignedTokenAccess(openSignedTokens(config, wall), wall);
  /** Made with the right key, whatever is in it. */
  const forged = (claims: object, header: object = { alg: method }): Promise<string> =>
    new SignJWT(claims as JWTPayload)
      .setProtectedHeader(header as { alg: string })
      .sign(config.signKey as KeyObject);
  return { access, forged, wall };
}

const claims: TokenClaims = { username: 'u', revision: 7 };
const invalid = { refusal: 'INVALID_AUTH_TOKEN', name: '', authRevision: 0 };

describe('a signed token', () => {
  it.each(methods)('of %s says who shows it, until it ends', async (method) => {
    const { access, wall } = tokensOf(method);
    const token = await access.issue('u', 7);
    const first = access.identify(token, call);
    expect(first).toBeInstanceOf(Promise);
    const caller = { name: 'u', authRevision: 7, refusal: undefined, isMember: false };
    expect(await first).toMatchObject(caller);
    // From then on at once.
    expect(access.identify(token, call)).toMatchObject(caller);
    expect(access.identifyAgain(token, undefined)).toMatchObject(caller);
    const known = (await first) as Caller;
    wall.nowMs += 61_000;
    expect(access.identify(token, call)).toMatchObject(invalid);
    expect(access.identifyAgain(token, known)).toMatchObject(invalid);
    expect(await access.identify(token, call)).toMatchObject(invalid);
    expect(access.size).toBe(0);
  });

  it('may be older than what is remembered, if its call showed it before', async () => {
    const { access } = tokensOf('ES256');
    const token = await access.issue('u', 7);
    const known = (await access.identify(token, call)) as Caller;
    const other = tokensOf('ES256').access;
    expect(other.identifyAgain(token, known)).toMatchObject({ name: 'u' });
    expect(other.identifyAgain(token, undefined)).toMatchObject(invalid);
  });

  it.each([
    ['no name', { revision: 7 }],
    ['a name that is none', { username: 7, revision: 7 }],
    ['names', { username: ['root'], revision: 7 }],
    ['no revision', { username: 'root' }],
    ['a revision in words', { username: 'root', revision: '7' }],
    ['a revision below zero', { username: 'root', revision: -1 }],
    ['a revision of the far future', { username: 'root', revision: 1e300 }],
    ['an end that is past', { ...claims, exp: 1 }],
    ['an end that is none', { ...claims, exp: 'never' }],
    ['a begin that is not yet', { ...claims, nbf: 1e11 }],
  ])('is none with %s', async (_what, wrong) => {
    const { access, forged } = tokensOf('ES256');
    expect(await access.identify(await forged(wrong), call)).toMatchObject(invalid);
  });

  it('is taken without an end, as by etcd', async () => {
    const { access, forged } = tokensOf('ES256');
    expect(await access.identify(await forged(claims), call)).toMatchObject({ name: 'u' });
  });

  it('is none with another key, method or signature', async () => {
    const { access, forged } = tokensOf('RS256');
    const part = (text: string | undefined): string =>
      Buffer.from(text ?? '').toString('base64url');
    const body = part(JSON.stringify({ ...claims, revision: 8 }));
    const right = await forged(claims);
    const [header = '', payload = '', signature = ''] = right.split('.');
    // The public key, which everybody may have, as a secret.
    const confused = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'HS256' })
      .sign(Buffer.from(rsa.public));
    const otherKey = tokensOf('ES256');
    const wrong = [
      ...[confused, await otherKey.forged(claims), await forged(claims, { alg: 'PS256' })],
      ...[`${part('{"alg":"none"}')}.${body}.`, `${part('{"alg":"None"}')}.${body}.${signature}`],
      ...[`${part('{"alg":"RS256","crit":["x"],"x":1}')}.${body}.${signature}`],
      ...[`${header}.${body}.${signature}`, `${header}.${payload}.`, `${header}.${payload}`],
      ...[`${header}..${signature}`, '..', '.', '', 'a', 'abcdefghijklmnop.1', `${right}.${right}`],
      ...[`${part('{')}.${body}.${signature}`, `${part('[]')}.${body}.${signature}`],
      ...[`${part('null')}.${part('null')}.`, `${right}\0`, ` ${right}`, 'ü.ü.ü'],
    ];
    for (const token of wrong) {
      expect([token, await access.identify(token, call)]).toMatchObject([token, invalid]);
    }
    // Any byte of it.
    for (let i = 0; i < right.length; i += 7) {
      const changed = right.slice(0, i) + (right[i] === 'A' ? 'B' : 'A') + right.slice(i + 1);
      expect(await access.identify(changed, call)).toMatchObject(invalid);
    }
    expect(await access.identify(right, call)).toMatchObject({ name: 'u' });
  });

  it('is made by nobody who has only the public key', async () => {
    const config = configOf('jwt,sign-method=RS256,pub-key=RS256.pub');
    const access = new SignedTokenAccess(openSignedTokens(config, { wallMs: Date.now }), {
      wallMs: Date.now,
    });
    await expect(access.issue('u', 1)).rejects.toMatchObject({ reason: 'TOKEN_VERIFY_ONLY' });
    const { forged } = tokensOf('RS256');
    expect(await access.identify(await forged(claims), call)).toMatchObject({ name: 'u' });
  });
});

// -------------------------------------------------------------------------------- with etcd

describeWith(['etcd37', 'kvorum'], 'signed tokens of etcd 3.7 and kvorum', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-jwt-'));
  const servers: ServerProcess[] = [];
  const clients: RawClient[] = [];
  afterAll(async () => {
    for (const client of clients) client.close();
    await Promise.all(servers.map((server) => server.dispose()));
    rmSync(dir, { recursive: true, force: true });
  });

  const timeout = 120_000;
  it.each(['RS256', 'PS384', 'ES256', 'EdDSA', 'HS256'])(
    'of %s are taken by both',
    { timeout },
    async (method) => {
      const file = (name: string, text: string): string => {
        const path = join(dir, `${method}-${name}`);
        writeFileSync(path, text);
        return path;
      };
      const keys = method.startsWith('HS')
        ? `priv-key=${file('secret', secret)}`
        : `priv-key=${file('key', pairs[method]?.private ?? '')},` +
          `pub-key=${file('pub', pairs[method]?.public ?? '')}`;
      const args = [`--auth-token=jwt,sign-method=${method},${keys}`];
      const tokens: string[] = [];
      const both: RawClient[] = [];
      for (const kind of ['etcd', 'kvorum'] as const) {
        const server = await startServer(kind, { args });
        const client = new RawClient(server);
        servers.push(server);
        clients.push(client);
        both.push(client);
        const auth = (name: string, request: object = {}) =>
          client.unary<{ token: string }>('etcdserverpb.Auth', name, request);
        await auth('UserAdd', { name: 'root', password: 'p' });
        await auth('UserGrantRole', { user: 'root', role: 'root' });
        await auth('AuthEnable');
        tokens.push((await auth('Authenticate', { name: 'root', password: 'p' })).token);
      }
      for (const client of both) {
        for (const token of tokens) {
          const metadata = new Metadata();
          metadata.set('token', token);
          const o = { metadata };
          expect(await client.put({ key: bytes('k'), value: bytes('v') }, o)).toMatchObject({});
        }
        // Any change of users makes both of them old.
        const metadata = new Metadata();
        metadata.set('authorization', `Bearer ${tokens[0]}`);
        await client.unary('etcdserverpb.Auth', 'RoleAdd', { name: 'r' }, { metadata });
        const failure = await client.range({ key: bytes('k') }, { metadata }).catch(asFailure);
        expect(failure).toEqual({ code: 3, text: 'etcdserver: revision of auth store is old' });
      }
    },
  );
});
