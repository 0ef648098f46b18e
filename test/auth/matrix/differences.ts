/** Where kvorum's auth matrix differs from that of etcd 3.7.3, and why. */

import type { Outcome } from './outcome.js';
import type { CallerName } from './world.js';

/** Cells of one row in which kvorum differs. */
export interface MatrixDifference {
  readonly rpc: string;
  readonly form: string;
  readonly callers: readonly CallerName[];
  readonly etcd: Outcome;
  readonly kvorum: Outcome;
  readonly reason: string;
}

const keyFirst = {
  form: 'no key',
  callers: ['wrong token', 'old token'],
  etcd: 'INVALID_ARGUMENT etcdserver: key is not provided',
  kvorum: 'UNAUTHENTICATED etcdserver: invalid auth token',
  reason: 'a bad token is refused before anybody looks at the request',
} as const;

const observed = {
  rpc: 'v3electionpb.Election/Observe',
  form: '',
  etcd: 'the stream ended',
  reason: 'etcd ends the stream as if all was well; who is refused should know it',
} as const;

/** All of them; what is not listed is equal. */
export const matrixDifferences: readonly MatrixDifference[] = [
  { rpc: 'etcdserverpb.KV/Range', ...keyFirst },
  { rpc: 'etcdserverpb.KV/Put', ...keyFirst },
  { ...observed, callers: ['no token'], kvorum: 'UNKNOWN etcdserver: user name is empty' },
  {
    ...observed,
    callers: ['wrong token', 'old token'],
    kvorum: 'UNKNOWN etcdserver: invalid auth token',
  },
  {
    ...observed,
    callers: ['no role', 'part', 'writes', 'certificate of nobody'],
    kvorum: 'UNKNOWN etcdserver: permission denied',
  },
  {
    rpc: 'etcdserverpb.KV/Txn',
    form: 'nothing',
    callers: ['no token'],
    etcd: 'ok',
    kvorum: 'INVALID_ARGUMENT etcdserver: user name is empty',
    reason:
      'a transaction is for somebody, even if it asks for nothing: its answer has the revision',
  },
];
