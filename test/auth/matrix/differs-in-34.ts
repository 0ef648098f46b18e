/**
 * The rows in which etcd 3.4 answers otherwise than 3.7, with the reason: mostly what advisories
 * closed since, so where only a 3.4 is at hand it also shows that the matrix would find the holes.
 */

import { nameOf } from './page.js';
import type { Row } from './row.js';

const reasons: readonly (readonly [rows: RegExp, reason: string])[] = [
  [/RangeStream|Health\/List|Downgrade|AuthStatus/, '3.4 has no such rpc'],
  [/^etcdserverpb\.(Lease|Maintenance|Cluster\/MemberList)/, 'CVE-2026-33413: nobody is asked'],
  [/^etcdserverpb\.KV\/Compact/, 'who is nobody is told in another way'],
  [
    /^etcdserverpb\.KV\/Txn: nested 3 deep: /,
    'CVE-2026-33343: inner transactions are not looked at',
  ],
  [/^etcdserverpb\.KV\/Txn: .* put .* with prev_kv$/, 'CVE-2026-44283: prev_kv is not looked at'],
  [/^etcdserverpb\.KV\/Txn: .* to the lease of/, 'CVE-2026-44283: leases are not looked at'],
  [/^etcdserverpb\.Watch\/Watch: from/, 'GHSA-xg4h-6gfc-h4m8: a watch of one key is allowed all'],
  [/^v3(lock|election)pb\..*(with the lease of `n\/l`|Proclaim: for root)$/, 'CVE-2026-44283'],
  [/^etcdserverpb\.Auth\/(RoleRevokePermission|RoleGrantPermission: nothing)/, 'other checks'],
  [/^etcdserverpb\.Auth\/Authenticate: the right/, 'a bad token is looked at'],
];

/** Why 3.4 answers otherwise to this row; undefined: it does not. */
export function differsIn34(row: Row): string | undefined {
  return reasons.find(([rows]) => rows.test(nameOf(row)))?.[1];
}
