/**
 * Every error that a client of one healthy member can provoke, with its exact code and text: both
 * are matched on by clients (contract section 8).
 */

import { Metadata, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytes, failureOf, hasRpc, RawClient } from '../helpers/grpc.js';
import type { RequestOp } from '../helpers/grpc-types.js';
import { useTarget } from '../helpers/server.js';
import { targetMinor, targetTool } from '../helpers/target.js';
import { describeWith } from '../helpers/tools.js';
import { currentRevision } from '../helpers/watching.js';

/** One request that must fail. */
interface Case {
  readonly name: string;
  readonly service: string;
  readonly method: string;
  readonly request: object;
  readonly code: number;
  readonly text: string;
  /** The minor version of etcd from which on this holds. */
  readonly since?: number;
}

const {
  INVALID_ARGUMENT,
  NOT_FOUND,
  OUT_OF_RANGE,
  FAILED_PRECONDITION,
  UNKNOWN,
  UNAUTHENTICATED,
  PERMISSION_DENIED,
} = status;
const key = bytes('e/a');
const much = 1_000_000_000;

function kv(method: string, name: string, request: object, code: number, text: string): Case {
  return { name, service: 'etcdserverpb.KV', method, request, code, text: `etcdserver: ${text}` };
}

const compacted = 'mvcc: required revision has been compacted';
const future = 'mvcc: required revision is a future revision';
const noKey = 'key is not provided';
const tooMany = 'too many operations in txn request';
const gets = (count: number): RequestOp[] =>
  Array.from({ length: count }, () => ({ request_range: { key } }));

const kvCases: readonly Case[] = [
  kv('Range', 'without a key', {}, INVALID_ARGUMENT, noKey),
  kv('Range', 'at a compacted revision', { key, revision: 2 }, OUT_OF_RANGE, compacted),
  kv('Range', 'at a future revision', { key, revision: much }, OUT_OF_RANGE, future),
  {
    ...kv('Range', 'with an unknown order', { key, sort_order: 3 }, INVALID_ARGUMENT, ''),
    text: 'etcdserver: invalid sort option',
    since: 6,
  },
  {
    ...kv('Range', 'with an unknown target', { key, sort_target: 5 }, INVALID_ARGUMENT, ''),
    text: 'etcdserver: invalid sort option',
    since: 6,
  },
  kv('Put', 'without a key', { value: bytes('x') }, INVALID_ARGUMENT, noKey),
  kv(
    'Put',
    'with a value and ignore_value',
    { key, value: bytes('x'), ignore_value: true },
    INVALID_ARGUMENT,
    'value is provided',
  ),
  kv(
    'Put',
    'with a lease and ignore_lease',
    { key, lease: 5, ignore_lease: true },
    INVALID_ARGUMENT,
    'lease is provided',
  ),
  kv(
    'Put',
    'ignore_value of a missing key',
    { key: bytes('none'), ignore_value: true },
    INVALID_ARGUMENT,
    'key not found',
  ),
  kv('Put', 'with an unknown lease', { key, lease: 5 }, NOT_FOUND, 'requested lease not found'),
  kv(
    'Put',
    'above max-request-bytes',
    { key, value: Buffer.alloc(1_572_864) },
    INVALID_ARGUMENT,
    'request is too large',
  ),
  kv('DeleteRange', 'without a key', {}, INVALID_ARGUMENT, noKey),
  kv('Txn', 'with a compare without a key', { compare: [{}] }, INVALID_ARGUMENT, noKey),
  kv(
    'Txn',
    'with a range without a key',
    { success: [{ request_range: {} }] },
    INVALID_ARGUMENT,
    noKey,
  ),
  kv(
    'Txn',
    'with a put without a key',
    { failure: [{ request_put: {} }] },
    INVALID_ARGUMENT,
    noKey,
  ),
  kv(
    'Txn',
    'with a bad put in a nested txn that is not taken',
    {
      failure: [
        {
          request_txn: {
            success: [{ request_put: { key, value: bytes('x'), ignore_value: true } }],
          },
        },
      ],
    },
    INVALID_ARGUMENT,
    'value is provided',
  ),
  kv('Txn', 'with an empty operation', { success: [{}] }, INVALID_ARGUMENT, 'key not found'),
  kv('Txn', 'with 129 operations', { success: gets(129) }, INVALID_ARGUMENT, tooMany),
  kv(
    'Txn',
    'with 129 compares',
    { compare: Array.from({ length: 129 }, () => ({ key })) },
    INVALID_ARGUMENT,
    tooMany,
  ),
  kv(
    'Txn',
    'with a key put twice',
    { success: [{ request_put: { key } }, { request_put: { key } }] },
    INVALID_ARGUMENT,
    'duplicate key given in txn request',
  ),
  kv(
    'Txn',
    'with a range at a compacted revision',
    { success: [{ request_put: { key } }, { request_range: { key, revision: 2 } }] },
    OUT_OF_RANGE,
    compacted,
  ),
  kv(
    'Txn',
    'with a range at a future revision',
    { success: [{ request_put: { key } }, { request_range: { key, revision: much } }] },
    OUT_OF_RANGE,
    future,
  ),
  kv(
    'Txn',
    'with an unknown lease',
    { success: [{ request_put: { key, lease: 5 } }] },
    NOT_FOUND,
    'requested lease not found',
  ),
  kv('Compact', 'at a compacted revision', { revision: 2 }, OUT_OF_RANGE, compacted),
  kv('Compact', 'at a future revision', { revision: much }, OUT_OF_RANGE, future),
  kv('Compact', 'at a negative revision', { revision: -3 }, OUT_OF_RANGE, compacted),
];

function of(
  service: 'Lease' | 'Cluster' | 'Maintenance' | 'Auth',
  method: string,
  name: string,
  request: object,
  code: number,
  text: string,
): Case {
  return { name, service: `etcdserverpb.${service}`, method, request, code, text };
}

const noLease = 'etcdserver: requested lease not found';
const noMember = 'etcdserver: member not found';
const badUrls = 'etcdserver: given member URLs are invalid';

const otherCases: readonly Case[] = [
  of('Lease', 'LeaseRevoke', 'of an unknown lease', { ID: 5 }, NOT_FOUND, noLease),
  of(
    'Lease',
    'LeaseGrant',
    'with an id in use',
    { ID: 41, TTL: 60 },
    FAILED_PRECONDITION,
    'etcdserver: lease already exists',
  ),
  of(
    'Lease',
    'LeaseGrant',
    'with a TTL above 9 billion',
    { TTL: 9_000_000_001 },
    OUT_OF_RANGE,
    'etcdserver: too large lease TTL',
  ),
  of('Cluster', 'MemberAdd', 'without a URL', {}, INVALID_ARGUMENT, badUrls),
  of(
    'Cluster',
    'MemberAdd',
    'with a URL that is none',
    { peerURLs: ['nonsense'] },
    INVALID_ARGUMENT,
    badUrls,
  ),
  of('Cluster', 'MemberRemove', 'of an unknown member', { ID: 5 }, NOT_FOUND, noMember),
  of(
    'Cluster',
    'MemberUpdate',
    'of an unknown member',
    { ID: 5, peerURLs: ['http://127.0.0.1:1'] },
    NOT_FOUND,
    noMember,
  ),
  of('Cluster', 'MemberPromote', 'of an unknown member', { ID: 5 }, NOT_FOUND, noMember),
  of(
    'Maintenance',
    'MoveLeader',
    'to an unknown member',
    { targetID: 5 },
    FAILED_PRECONDITION,
    'etcdserver: bad leader transferee',
  ),
  of(
    'Maintenance',
    'HashKV',
    'at a compacted revision',
    { revision: 1 },
    OUT_OF_RANGE,
    `etcdserver: ${compacted}`,
  ),
  of(
    'Maintenance',
    'HashKV',
    'at a future revision',
    { revision: much },
    OUT_OF_RANGE,
    `etcdserver: ${future}`,
  ),
  {
    ...of('Maintenance', 'Downgrade', 'to a text', { version: 'new' }, INVALID_ARGUMENT, ''),
    text: 'etcdserver: wrong downgrade target version format',
    since: 5,
  },
  {
    ...of('Maintenance', 'Downgrade', 'too far', { version: '3.1' }, INVALID_ARGUMENT, ''),
    text: 'etcdserver: invalid downgrade target version',
    since: 5,
  },
];

const authCases: readonly Case[] = [
  of(
    'Auth',
    'Authenticate',
    'while auth is off',
    { name: 'root', password: 'x' },
    FAILED_PRECONDITION,
    'etcdserver: authentication is not enabled',
  ),
  of(
    'Auth',
    'AuthEnable',
    'without a root user',
    {},
    FAILED_PRECONDITION,
    'etcdserver: root user does not exist',
  ),
  of(
    'Auth',
    'UserAdd',
    'without a name',
    { name: '' },
    INVALID_ARGUMENT,
    'etcdserver: user name is empty',
  ),
  of(
    'Auth',
    'UserAdd',
    'that exists',
    { name: 'u', password: 'p' },
    FAILED_PRECONDITION,
    'etcdserver: user name already exists',
  ),
  ...['UserGet', 'UserDelete'].map((method) =>
    of(
      'Auth',
      method,
      'unknown',
      { name: 'nobody' },
      FAILED_PRECONDITION,
      'etcdserver: user name not found',
    ),
  ),
  of(
    'Auth',
    'UserChangePassword',
    'of an unknown user',
    { name: 'nobody', password: 'x' },
    FAILED_PRECONDITION,
    'etcdserver: user name not found',
  ),
  of(
    'Auth',
    'UserGrantRole',
    'unknown role',
    { user: 'u', role: 'nothing' },
    FAILED_PRECONDITION,
    'etcdserver: role name not found',
  ),
  of(
    'Auth',
    'UserRevokeRole',
    'not held',
    { name: 'u', role: 'r' },
    FAILED_PRECONDITION,
    'etcdserver: role is not granted to the user',
  ),
  of(
    'Auth',
    'RoleAdd',
    'without a name',
    { name: '' },
    INVALID_ARGUMENT,
    'etcdserver: role name is empty',
  ),
  of(
    'Auth',
    'RoleAdd',
    'that exists',
    { name: 'r' },
    FAILED_PRECONDITION,
    'etcdserver: role name already exists',
  ),
  ...['RoleGet', 'RoleDelete'].map((method) =>
    of(
      'Auth',
      method,
      'unknown',
      { role: 'nothing' },
      FAILED_PRECONDITION,
      'etcdserver: role name not found',
    ),
  ),
  {
    // 3.4 crashes here.
    ...of('Auth', 'RoleGrantPermission', 'without one', { name: 'r' }, INVALID_ARGUMENT, ''),
    text: 'etcdserver: permission not given',
    since: 6,
  },
  {
    ...of(
      'Auth',
      'RoleGrantPermission',
      'with a range that is empty',
      { name: 'r', perm: { key: bytes('b'), range_end: bytes('a') } },
      INVALID_ARGUMENT,
      'etcdserver: invalid auth management',
    ),
    since: 5,
  },
  of(
    'Auth',
    'RoleRevokePermission',
    'not held',
    { role: 'r', key: bytes('x') },
    FAILED_PRECONDITION,
    'etcdserver: permission is not granted to the role',
  ),
];

const recipe = { name: bytes('nobody'), key: bytes('nobody/1'), rev: 1 };
const recipeCases: readonly Case[] = [
  {
    name: 'with an unknown lease',
    service: 'v3lockpb.Lock',
    method: 'Lock',
    request: { name: bytes('l'), lease: 5 },
    code: UNKNOWN,
    text: 'etcdserver: requested lease not found',
  },
  ...(
    [
      ['Campaign', 'with an unknown lease', { name: bytes('l'), lease: 5 }, noLease],
      ['Leader', 'with nobody elected', { name: bytes('nobody') }, 'election: no leader'],
      ['Proclaim', 'without a leader', {}, '"leader" field must be provided'],
      ['Proclaim', 'by one who does not lead', { leader: recipe }, 'election: not leader'],
      ['Resign', 'without a leader', {}, '"leader" field must be provided'],
    ] as const
  ).map(([method, name, request, text]) => ({
    name,
    service: 'v3electionpb.Election',
    method,
    request,
    code: UNKNOWN,
    text,
  })),
];

function check(cases: readonly Case[], client: () => RawClient): void {
  for (const one of cases) {
    const missing = !hasRpc(one.service, one.method);
    const early = targetMinor < (one.since ?? 0);
    const why = missing ? ' (skipped: no proto file)' : early ? ' (skipped: newer than etcd)' : '';
    it.skipIf(missing || early)(`${one.method} ${one.name}${why}`, async () => {
      const { service, method, request, code, text } = one;
      expect(await failureOf(client().unary(service, method, request))).toEqual({ code, text });
    });
  }
}

describeWith([targetTool], 'errors', () => {
  const server = useTarget();
  let connected: RawClient | undefined;
  const client = () => {
    connected ??= new RawClient(server());
    return connected;
  };
  beforeAll(async () => {
    for (let i = 0; i < 5; i++) await client().put({ key, value: bytes('x') });
    await client().compact({ revision: await currentRevision(client()), physical: true });
    await client().leaseGrant({ ID: 41, TTL: 600 });
    await client().unary('etcdserverpb.Auth', 'UserAdd', { name: 'u', password: 'p' });
    await client().unary('etcdserverpb.Auth', 'RoleAdd', { name: 'r' });
  });
  afterAll(() => connected?.close());

  describe('KV', () => check(kvCases, client));
  describe('Lease, Cluster and Maintenance', () => check(otherCases, client));
  describe('Lock and Election', () => check(recipeCases, client));
  describe('Auth', () => check(authCases, client));

  it('a refused request changes nothing', async () => {
    const before = await currentRevision(client());
    const success = [
      { request_put: { key: bytes('e/new') } },
      { request_put: { key: bytes('none'), ignore_value: true } },
    ];
    expect((await failureOf(client().txn({ success }))).text).toBe('etcdserver: key not found');
    expect((await client().range({ key: bytes('e/new') })).count).toBe('0');
    expect(await currentRevision(client())).toBe(before);
  });

  it('members: the only voter cannot be removed or promoted', async () => {
    const ID = (await client().status()).header?.member_id ?? '';
    const promote = client().unary('etcdserverpb.Cluster', 'MemberPromote', { ID });
    expect(await failureOf(promote)).toEqual({
      code: FAILED_PRECONDITION,
      text: 'etcdserver: can only promote a learner member',
    });
    const remove = client().unary('etcdserverpb.Cluster', 'MemberRemove', { ID });
    // The intended code is FailedPrecondition; what reaches the wire is Unknown (trap 8).
    expect(await failureOf(remove)).toEqual({
      code: UNKNOWN,
      text: 'etcdserver: re-configuration failed due to not enough started members',
    });
  });

  it('members: learners are limited, unready ones not promoted, URLs not used twice', async () => {
    const cluster = (method: string, request: object) =>
      client().unary<{ readonly member: { readonly ID: string } }>(
        'etcdserverpb.Cluster',
        method,
        request,
      );
    const peerURLs = ['http://127.0.0.1:9'];
    const added = await cluster('MemberAdd', { peerURLs, isLearner: true });
    // The same list in the same second would be the same member id, and another error.
    const overlapping = { peerURLs: [...peerURLs, 'http://127.0.0.1:10'] };
    expect(await failureOf(cluster('MemberAdd', overlapping))).toEqual({
      code: FAILED_PRECONDITION,
      text: 'etcdserver: Peer URLs already exists',
    });
    const other = { peerURLs: ['http://127.0.0.1:8'], isLearner: true };
    expect(await failureOf(cluster('MemberAdd', other))).toEqual({
      code: FAILED_PRECONDITION,
      text: 'etcdserver: too many learner members in cluster',
    });
    expect(await failureOf(cluster('MemberPromote', { ID: added.member.ID }))).toEqual({
      code: FAILED_PRECONDITION,
      text: 'etcdserver: can only promote a learner member which is in sync with leader',
    });
    await cluster('MemberRemove', { ID: added.member.ID });
    expect(await failureOf(cluster('MemberRemove', { ID: added.member.ID }))).toEqual({
      code: NOT_FOUND,
      text: 'etcdserver: member not found',
    });
  });
});

describeWith([targetTool], 'errors with auth on', () => {
  const server = useTarget();
  let client: RawClient;
  const auth = <T>(method: string, request: object = {}) =>
    client.unary<T>('etcdserverpb.Auth', method, request);
  beforeAll(async () => {
    client = new RawClient(server());
    await auth('UserAdd', { name: 'root', password: 'r' });
    expect(await failureOf(auth('AuthEnable'))).toEqual({
      code: FAILED_PRECONDITION,
      text: 'etcdserver: root user does not have root role',
    });
    await auth('UserGrantRole', { user: 'root', role: 'root' });
    await auth('UserAdd', { name: 'u', password: 'p' });
    await auth('AuthEnable');
  });
  afterAll(() => client.close());

  it('a wrong password', async () => {
    for (const name of ['root', 'nobody']) {
      expect(await failureOf(auth('Authenticate', { name, password: 'wrong' }))).toEqual({
        code: INVALID_ARGUMENT,
        text: 'etcdserver: authentication failed, invalid user ID or password',
      });
    }
  });

  it('a token that is none', async () => {
    const metadata = new Metadata();
    metadata.set('token', 'nonsense');
    expect(await failureOf(client.range({ key }, { metadata }))).toEqual({
      code: UNAUTHENTICATED,
      text: 'etcdserver: invalid auth token',
    });
  });

  it('a user without the permission', async () => {
    const { token } = await auth<{ token: string }>('Authenticate', { name: 'u', password: 'p' });
    const metadata = new Metadata();
    metadata.set('token', token);
    const denied = { code: PERMISSION_DENIED, text: 'etcdserver: permission denied' };
    expect(await failureOf(client.range({ key }, { metadata }))).toEqual(denied);
    expect(await failureOf(client.put({ key }, { metadata }))).toEqual(denied);
    if (targetMinor >= 6) {
      expect(await failureOf(client.compact({ revision: 1 }, { metadata }))).toEqual(denied);
    }
  });
});
