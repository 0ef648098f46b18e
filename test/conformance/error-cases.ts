/** The requests of errors.test.ts with the error that each must be answered with. */

import { status } from '@grpc/grpc-js';
import { bytes } from '../helpers/grpc.js';
import type { RequestOp } from '../helpers/grpc-types.js';

/** One request that must fail. */
export interface Case {
  readonly name: string;
  readonly service: string;
  readonly method: string;
  readonly request: object;
  readonly code: number;
  readonly text: string;
  /** The minor version of etcd from which on this holds. */
  readonly since?: number;
}

const { INVALID_ARGUMENT, NOT_FOUND, OUT_OF_RANGE, FAILED_PRECONDITION, UNKNOWN } = status;
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

/** See the title of its describe block. */
export const kvCases: readonly Case[] = [
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

/** See the title of its describe block. */
export const otherCases: readonly Case[] = [
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

/** See the title of its describe block. */
export const authCases: readonly Case[] = [
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
/** See the title of its describe block. */
export const recipeCases: readonly Case[] = [
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
