/**
 * Where kvorum's gateway answers something else than etcd 3.7.3's, and why. What is not listed here
 * must be equal, but for what masks.ts takes away.
 */

import type { GatewayAnswer } from './exchange.js';

/** One known difference. */
export interface GatewayDifference {
  /** Path of the request, and what its note begins with. */
  readonly path: string;
  readonly note: string;
  readonly reason: string;
  /** What kvorum must answer, given what etcd did. */
  readonly expected: (etcd: GatewayAnswer) => GatewayAnswer;
}

export const differences: readonly GatewayDifference[] = [
  {
    path: '/v3/kv/put',
    note: 'value of 6 MiB',
    reason: 'kvorum reads no more of a body than twice the largest message (docs/limits.md)',
    expected: (etcd) => ({ ...etcd, body: etcd.body.replace(/\(\d+ vs/, '(4194304 vs') }),
  },
  {
    path: '/v3/watch',
    note: 'deadline',
    reason: 'etcd says one or the other, by who was faster: its gateway or its server',
    expected: (etcd) => ({
      ...etcd,
      body: etcd.body.replace(
        'stream terminated by RST_STREAM with error code: CANCEL',
        'context deadline exceeded',
      ),
    }),
  },
];
