/**
 * Advisories of etcd about who may do what, each as the attack that it describes. The matrix
 * (matrix.test.ts) shows what such calls are answered; here it is seen that they did nothing, and
 * told nothing. With KVORUM_TEST_TARGET=etcd an etcd is attacked.
 */

import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pem } from '../e2e/certificates.js';
import { bytes, prefixEnd, RawClient } from '../helpers/grpc.js';
import type { LeaseTimeToLiveResponse, RangeResponse } from '../helpers/grpc-types.js';
import { startTarget } from '../helpers/server.js';
import { targetKind, targetTool } from '../helpers/target.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { createWatch, describeEvent, readEvents } from '../helpers/watching.js';
import { type Outcome, outcomeOf } from './matrix/outcome.js';
import { type Guest, leases, World, withToken } from './matrix/world.js';

const denied = 'PERMISSION_DENIED etcdserver: permission denied';
const badToken = 'UNAUTHENTICATED etcdserver: invalid auth token';
const nobody = 'INVALID_ARGUMENT etcdserver: user name is empty';
const zero = Buffer.from([0]);

describeWith([targetTool, 'openssl'], 'with authentication on', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.start(targetKind, toolPath(targetTool));
    await world.resetKeys();
    await world.resetLeases();
  });
  afterAll(() => world.dispose());

  /** What root finds at a key. */
  const found = async (key: string) => {
    const { kvs } = await world.asRoot<RangeResponse>('etcdserverpb.KV', 'Range', {
      key: bytes(key),
    });
    return kvs[0];
  };

  describe('CVE-2026-33413: calls that nobody looked at', () => {
    it('tell no stranger of members and alarms, and let none raise one', async () => {
      const { client, metadata } = world.caller('no token');
      expect(await outcomeOf(client.memberList({ metadata }))).toBe(nobody);
      expect(await outcomeOf(client.alarm({}, { metadata }))).toBe(nobody);
      const raise = { action: 1, memberID: 9, alarm: 1 };
      expect(await outcomeOf(client.alarm(raise, { metadata }))).toBe(nobody);
      const { alarms } = await world.asRoot<{ alarms: readonly object[] }>(
        'etcdserverpb.Maintenance',
        'Alarm',
        {},
      );
      expect(alarms).toEqual([]);
    });

    it('do not let leases be ended or kept by those who may not write their keys', async () => {
      const { client, metadata } = world.caller('full');
      expect(await outcomeOf(client.leaseRevoke({ ID: leases.outside }, { metadata }))).toBe(
        denied,
      );
      expect(await outcomeOf(client.leaseRevoke({ ID: leases.both }, { metadata }))).toBe(denied);
      expect(await found('n/l')).toBeDefined();
      expect(await found('m/k')).toBeDefined();
    });

    it('do not let history be compacted away', async () => {
      const before = (await found('m/a'))?.mod_revision ?? '';
      await world.resetKeys();
      const revision = (await found('m/a'))?.mod_revision ?? '';
      for (const name of ['no token', 'full', 'certificate'] as const) {
        const { client, metadata } = world.caller(name);
        const outcome = await outcomeOf(client.compact({ revision }, { metadata }));
        expect(outcome).toBe(name === 'no token' ? nobody : denied);
      }
      const { client, metadata } = world.caller('root');
      const then = { key: bytes('m/a'), revision: before };
      expect((await client.range(then, { metadata })).kvs).toHaveLength(1);
    });
  });

  describe('CVE-2026-33343: what stands in a nested transaction', () => {
    const nest = (op: object, depth: number): object => {
      const inner = depth === 0 ? op : { request_txn: nest(op, depth - 1) };
      return depth % 2 === 0 ? { success: [inner] } : { failure: [inner] };
    };
    it.each([1, 2, 3, 10])('is looked at, %i deep', async (depth) => {
      const before = await found('n/a');
      const { client, metadata } = world.caller('full');
      for (const op of [
        { request_put: { key: bytes('n/a'), value: bytes('stolen') } },
        { request_delete_range: { key: bytes('n/a') } },
        { request_range: { key: bytes('n/a') } },
        { request_range: { key: bytes('m/'), range_end: zero } },
      ]) {
        expect(await outcomeOf(client.txn(nest(op, depth), { metadata }))).toBe(denied);
      }
      expect(await found('n/a')).toEqual(before);
    });

    it('is decided as the same operations alone (property)', { timeout: 600_000 }, async () => {
      await nestedIsFlat(world);
    });
  });

  describe('CVE-2026-44283: a put that reads, or takes a lease', () => {
    it('does not show the previous value to who may only write', async () => {
      const { client, metadata } = world.caller('writes');
      const put = { key: bytes('m/a'), value: bytes('x'), prev_kv: true };
      const before = await found('m/a');
      expect(await outcomeOf(client.put(put, { metadata }))).toBe(denied);
      const inTxn = { success: [{ request_put: put }] };
      expect(await outcomeOf(client.txn(inTxn, { metadata }))).toBe(denied);
      const remove = { key: bytes('m/a'), prev_kv: true };
      expect(await outcomeOf(client.deleteRange(remove, { metadata }))).toBe(denied);
      expect(await found('m/a')).toEqual(before);
    });

    it('binds no key to a lease of keys that the caller may not write', async () => {
      await world.resetKeys();
      const { client, metadata } = world.caller('full');
      for (const lease of [leases.outside, leases.both]) {
        const put = { key: bytes('m/a'), value: bytes('x'), lease };
        expect(await outcomeOf(client.put(put, { metadata }))).toBe(denied);
        const inTxn = { success: [{ request_put: put }] };
        expect(await outcomeOf(client.txn(inTxn, { metadata }))).toBe(denied);
      }
      expect((await found('m/a'))?.lease).toBe('0');
    });
  });

  describe('GHSA-xg4h-6gfc-h4m8: a watch of more than may be read', () => {
    it('is refused to who may read one key, from it on', async () => {
      const guest = await world.newUser([{ permType: 0, key: bytes('w/one') }]);
      for (const range_end of [zero, bytes('w/onf'), bytes('w/z'), prefixEnd('w/')]) {
        expect(await watchOutcome(guest, bytes('w/one'), range_end)).toBe(denied);
      }
      expect(await watchOutcome(guest, bytes('w/two'))).toBe(denied);
      expect(await watchOutcome(guest, Buffer.alloc(0), zero)).toBe(denied);
      expect(await watchOutcome(guest, bytes('w/one'))).toBe('ok');
    });

    it('receives events of its key, and none of others', async () => {
      const guest = await world.newUser([{ permType: 0, key: bytes('w/one') }]);
      const stream = guest.client.watch({ metadata: guest.metadata });
      await createWatch(stream, { key: bytes('w/one') });
      const put = (key: string) => world.asRoot('etcdserverpb.KV', 'Put', { key: bytes(key) });
      for (const key of ['w/one', 'w/onf', 'w/one0', 'w/on', 'w/two', 'w/one']) await put(key);
      const events = (await readEvents(stream, 2)).map(describeEvent);
      expect(events.map((event) => event.replace(/@\d+/, ''))).toEqual([
        'put w/one= ',
        'put w/one= ',
      ]);
      stream.reader.cancel();
    });

    it('takes the permission that a range takes (property)', { timeout: 600_000 }, async () => {
      await watchIsRange(world);
    });
  });

  describe('CVE-2023-32082: the keys of a lease', () => {
    it('are not named to who may not read them', async () => {
      for (const name of ['no role', 'writes', 'part'] as const) {
        const { client, metadata } = world.caller(name);
        const ask = { ID: leases.both, keys: true };
        expect(await outcomeOf(client.leaseTimeToLive(ask, { metadata }))).toBe(denied);
        const answer = await client.leaseTimeToLive({ ID: leases.both }, { metadata });
        expect(answer.keys).toEqual([]);
      }
      const { client, metadata } = world.caller('reads');
      const ask = { ID: leases.inside, keys: true };
      const answer: LeaseTimeToLiveResponse = await client.leaseTimeToLive(ask, { metadata });
      expect(answer.keys.map(String)).toEqual(['m/l']);
    });
  });

  describe('CVE-2018-16886: the certificate of who speaks to the gateway', () => {
    it('makes nobody of a call through it', async () => {
      const answer = await postWithCertificate(world, '/v3/kv/range', '{"key":"bS9h"}');
      // etcd's gateway refuses all who bring a name of their own.
      expect(answer).toMatch(/etcdserver: user name is empty|CommonName of client sending/);
      expect(answer).not.toContain('kvs');
    });

    it('does of a call of its own', async () => {
      const { client, metadata } = world.caller('certificate');
      expect((await client.range({ key: bytes('m/a') }, { metadata })).kvs).toHaveLength(1);
    });
  });

  describe('CVE-2020-15115: what password opens', () => {
    const tryPassword = (name: string, password: string): Promise<Outcome> => {
      const { client } = world.caller('no token');
      return outcomeOf(client.unary('etcdserverpb.Auth', 'Authenticate', { name, password }));
    };

    it('no user without a password, whatever is said', async () => {
      await world.auth('UserAdd', { name: 'closed', options: { no_password: true } });
      for (const password of ['', 'x', '\0']) {
        expect(await tryPassword('closed', password)).toMatch(/authentication failed/);
      }
      await world.auth('UserChangePassword', { name: 'closed', password: 'opened' });
      expect(await tryPassword('closed', 'opened')).toMatch(/authentication failed/);
    });

    it('no user by its hash, nor by less or more than the password', async () => {
      const name = 'hashed';
      const hashedPassword = '$2a$04$abcdefghijklmnopqrstuuBv3J5bSOkMFmXpBQ3cLjhhOYDbfl2tC';
      await world.auth('UserAdd', { name, hashedPassword });
      await world.auth('UserAdd', { name: 'long', password: 'correct horse' });
      expect(await tryPassword(name, hashedPassword)).toMatch(/authentication failed/);
      for (const wrong of ['', 'correct', 'correct horse ', 'Correct horse', 'correct horse\0']) {
        expect(await tryPassword('long', wrong), wrong).toMatch(/authentication failed/);
      }
      expect(await tryPassword('long', 'correct horse')).toBe('ok');
    });

    it('says of a user that is not there what it says of a wrong password', async () => {
      expect(await tryPassword('absent', 'x')).toBe(await tryPassword('full', 'x'));
    });
  });

  describe('tokens that nobody gave out', () => {
    it('are refused, whatever they are (property)', { timeout: 600_000 }, async () => {
      const letters = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 200 });
      const likeReal = fc
        .tuple(fc.stringMatching(/^[A-Za-z]{16}$/), fc.integer({ min: 0, max: 3 }))
        .map(([text, index]) => `${text}.${index}`);
      const token = fc.oneof(letters, likeReal, fc.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]*$/));
      const { client } = world.caller('no token');
      const check = async (text: string): Promise<void> => {
        const range = client.range({ key: bytes('m/a') }, { metadata: withToken(text.trim()) });
        // An empty one as well: etcd looks at what is there, not at what is in it.
        expect(await outcomeOf(range)).toBe(badToken);
      };
      await fc.assert(fc.asyncProperty(token, check), { numRuns: 150 });
    });

    it('are found under both names, and with the word before it that OAuth has', async () => {
      const { client, metadata } = world.caller('full');
      const token = String(metadata.get('token')[0]);
      for (const [name, value] of [
        ['token', token],
        ['token', `Bearer ${token}`],
        ['authorization', token],
        ['authorization', `Bearer ${token}`],
      ] as const) {
        const other = new grpc.Metadata();
        other.set(name, value);
        const range = client.range({ key: bytes('m/a') }, { metadata: other });
        expect(await outcomeOf(range), `${name} ${value.slice(0, 7)}`).toBe('ok');
      }
    });
  });
});

/** Whether this watch may be. */
async function watchOutcome(guest: Guest, key: Buffer, range_end?: Buffer): Promise<Outcome> {
  const stream = guest.client.watch({ metadata: guest.metadata });
  stream.send({ create_request: { key, ...(range_end === undefined ? {} : { range_end }) } });
  const { canceled, cancel_reason } = await stream.reader.next();
  stream.reader.cancel();
  // An empty range is refused for what it is, after it was allowed.
  if (!canceled || cancel_reason === 'mvcc: watcher range is empty') return 'ok';
  return /permission denied/.test(cancel_reason) ? denied : cancel_reason;
}

/** Keys of a small world in which ranges meet, overlap and leave gaps. */
const someKey = fc.constantFrom('a', 'aa', 'b', 'ba', 'c', 'd').map(bytes);
const someEnd = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.constant(zero),
  fc.constantFrom('a', 'aa', 'b', 'ba', 'c', 'd', 'e').map(bytes),
);
const someRange = fc.record({ key: someKey, range_end: someEnd });
/** What RoleGrantPermission takes: no range that is empty. */
const someGrant = fc
  .record({ permType: fc.constantFrom(0, 1, 2), key: someKey, range_end: someEnd })
  .filter(({ key, range_end }) => {
    return range_end.length === 0 || range_end.equals(zero) || Buffer.compare(key, range_end) < 0;
  });

/** Every range that may be read may be watched, and no other. */
async function watchIsRange(world: World): Promise<void> {
  const property = fc.asyncProperty(
    fc.array(someGrant, { minLength: 1, maxLength: 3 }),
    fc.array(someRange, { minLength: 5, maxLength: 10 }),
    async (grants, ranges) => {
      const guest = await world.newUser(grants);
      const { client, metadata } = guest;
      for (const range of ranges) {
        const ranged = await outcomeOf(client.range(range, { metadata }));
        expect(await watchOutcome(guest, range.key, range.range_end)).toBe(ranged);
      }
    },
  );
  await fc.assert(property, { numRuns: 25 });
}

const opsOf = (place: string, i: number): readonly object[] => [
  { request_range: { key: bytes(`${place}/r${i}`) } },
  { request_range: { key: bytes(`${place}/r${i}`), range_end: prefixEnd(`${place}/`) } },
  { request_range: { key: bytes(`${place}/r${i}`), range_end: zero } },
  { request_put: { key: bytes(`${place}/p${i}`) } },
  { request_put: { key: bytes(`${place}/p${i}`), prev_kv: true } },
  { request_put: { key: bytes(`${place}/p${i}`), lease: leases.free } },
  { request_put: { key: bytes(`${place}/p${i}`), lease: leases.outside } },
  { request_delete_range: { key: bytes(`${place}/d${i}`) } },
  { request_delete_range: { key: bytes(`${place}/d${i}`), prev_kv: true } },
];

/** A transaction: where each operation stands, and what is compared beside it. */
interface Tree {
  readonly ops: readonly (readonly [kind: number, place: string, inFailure: boolean])[];
  readonly compare: string | undefined;
  readonly inner: readonly Tree[];
}

const someTree = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.record({
    ops: fc.array(fc.tuple(fc.nat({ max: 8 }), fc.constantFrom('m', 'm', 'm', 'n'), fc.boolean()), {
      maxLength: 2,
    }),
    compare: fc.option(fc.constantFrom('m', 'n'), { nil: undefined, freq: 3 }),
    inner: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'tree' },
      fc.constant([]),
      fc.array(tie('tree'), { minLength: 1, maxLength: 2 }),
    ),
  }),
})).tree;

/** Built with keys that no other operation of the same transaction has: those may not meet. */
function build(tree: Tree, flat: object[]): object {
  const branches: { success: object[]; failure: object[] } = { success: [], failure: [] };
  for (const [kind, place, inFailure] of tree.ops) {
    const op = opsOf(place, flat.length)[kind] ?? {};
    flat.push({ success: [op] });
    branches[inFailure ? 'failure' : 'success'].push(op);
  }
  for (const inner of tree.inner) branches.success.push({ request_txn: build(inner, flat) });
  if (tree.compare === undefined) return branches;
  const compare = [{ key: bytes(`${tree.compare}/c`), target: 0, version: 0 }];
  flat.push({ compare });
  return { ...branches, compare };
}

/** A tree of transactions is refused if, and only if, one of its operations alone is. */
async function nestedIsFlat(world: World): Promise<void> {
  const property = fc.asyncProperty(
    someTree,
    fc.constantFrom('full' as const, 'writes' as const, 'reads' as const),
    async (tree, name) => {
      await world.resetLeases();
      const { client, metadata } = world.caller(name);
      const flat: object[] = [];
      const nested = build(tree, flat);
      const whole = await outcomeOf(client.txn(nested, { metadata }));
      const alone: Outcome[] = [];
      for (const one of flat) alone.push(await outcomeOf(client.txn(one, { metadata })));
      expect(whole).toBe(alone.find((outcome) => outcome !== 'ok') ?? 'ok');
    },
  );
  await fc.assert(property, { numRuns: 60 });
}

/** POSTs to the gateway over TLS with alice's certificate; the body of the answer. */
function postWithCertificate(world: World, path: string, body: string): Promise<string> {
  const { ca, alice } = world.certificates;
  const [host = '', port = ''] = world.secureEndpoint.split(':');
  const tls = { ca: pem(ca), cert: pem(alice.cert), key: pem(alice.key) };
  return new Promise((resolve, reject) => {
    const options = { host, port, path, method: 'POST', agent: false, ...tls };
    const request = httpsRequest(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.once('end', () => resolve(text));
    });
    request.once('error', reject);
    request.end(body);
  });
}

describeWith([targetTool], 'etcd 3.6.14: a JWT without what it must say', () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvorum-jwt-'));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  const key = 'a-key-that-only-this-test-knows-0123456789';

  const encode = (part: object | string): string =>
    Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url');
  const sign = (header: object | string, claims: object | string, by = key): string => {
    const text = `${encode(header)}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', by).update(text).digest('base64url')}`;
  };

  it('is refused, and ends nobody', async () => {
    writeFileSync(join(dir, 'key'), key);
    const how = `jwt,priv-key=${join(dir, 'key')},sign-method=HS256,ttl=5m`;
    const server = await startTarget({ args: ['--auth-token', how, '--bcrypt-cost', '4'] });
    const client = new RawClient(server);
    try {
      const auth = <T>(method: string, request: object): Promise<T> =>
        client.unary('etcdserverpb.Auth', method, request);
      await auth('UserAdd', { name: 'root', password: 'x' });
      await auth('UserGrantRole', { user: 'root', role: 'root' });
      await auth('AuthEnable', {});
      const range = (token: string): Promise<Outcome> =>
        outcomeOf(client.range({ key: bytes('a') }, { metadata: withToken(token) }));
      const signIn = { name: 'root', password: 'x' };
      const { token } = await auth<{ token: string }>('Authenticate', signIn);
      expect(await range(token)).toBe('ok');
      const [, given = ''] = token.split('.');
      const claims = JSON.parse(Buffer.from(given, 'base64url').toString()) as {
        readonly revision: number;
        readonly exp: number;
      };
      const header = { alg: 'HS256', typ: 'JWT' };
      const { revision, exp } = claims;
      expect(await range(sign(header, { username: 'root', revision, exp }))).toBe('ok');
      for (const wrong of [
        sign(header, { revision, exp }),
        sign(header, { username: 7, revision, exp }),
        sign(header, { username: ['root'], revision, exp }),
        sign(header, { username: null, revision, exp }),
        sign(header, { username: 'root', exp }),
        sign(header, { username: 'root', revision: 'x', exp }),
        sign(header, { username: 'root', revision, exp: 1000 }),
        sign(header, 'no claims'),
        sign(header, '[]'),
        sign('no header', { username: 'root', revision, exp }),
        sign({ alg: 'none' }, { username: 'root', revision, exp }),
        `${encode({ alg: 'none' })}.${encode({ username: 'root', revision, exp })}.`,
        sign({ alg: 'HS384' }, { username: 'root', revision, exp }),
        sign({ alg: 'RS256' }, { username: 'root', revision, exp }),
        sign(header, { username: 'root', revision, exp }, 'another key'),
        token.slice(0, -3),
        `${token}.${token}`,
        '..',
      ]) {
        expect(await range(wrong), wrong).toBe(badToken);
      }
      expect(await range(token)).toBe('ok');
    } finally {
      client.close();
      await server.dispose();
    }
  });
});
