/** What the tables of docs/benchmarks.md are made of: one group, one table, one run. */

import type { Sweep } from '../options.js';

/** Measured by `npm run bench -- --vs etcd --table ID`; stands between markers of that id. */
export interface Group {
  readonly id: string;
  /** What the table is of, in the words before it. */
  readonly what: string;
  readonly only: readonly string[];
  readonly members?: number;
  readonly tls?: boolean;
  readonly auth?: boolean;
  readonly sweep?: Sweep;
  /** Not among `all`. */
  readonly onlyWhenNamed?: boolean;
}

export const groups: readonly Group[] = [
  {
    id: 'writes',
    what: 'Writes, one member',
    only: ['put', 'put-8b', 'put-64', 'put-one', 'txn-put', 'txn-mixed', 'lease-grant'],
  },
  {
    id: 'reads',
    what: 'Reads of keys in memory, one member',
    only: ['range', 'range-serializable', 'range-10k', 'count', 'keys-only'],
  },
  {
    id: 'streams',
    what: 'Watches and keep-alives, one member',
    only: ['watch-1', 'watch-100', 'watch-10k', 'watch-latency', 'lease-keepalive'],
  },
  {
    id: 'kubernetes',
    what: "Kubernetes' profile, one member",
    only: ['kubernetes', 'kubernetes-100', 'kubernetes-1000'],
  },
  {
    id: 'cold',
    what: 'Reads of more than is in memory, one member',
    only: ['cold-range', 'cold-range-serializable', 'cold-range-cgroup'],
  },
  {
    id: 'members-3',
    what: 'Three members on this machine',
    only: ['put', 'put-64', 'put-one', 'range'],
    members: 3,
  },
  { id: 'tls', what: 'Mutual TLS, one member', only: ['put', 'put-one', 'range'], tls: true },
  {
    id: 'tls-auth',
    what: 'Mutual TLS and auth on, one member; the role of the caller has a hundred grants',
    only: ['put', 'range'],
    tls: true,
    auth: true,
  },
  {
    id: 'starts',
    what: 'Starts, one member',
    only: ['start', 'memory', 'hot-start', 'cold-start'],
  },
  {
    id: 'crowds',
    what: 'Many at once, and one far behind; one member',
    only: ['connection-storm', 'slow-watcher'],
  },
  {
    id: 'sweep-value-bytes',
    what: 'Puts of values of 16 B to 1 MiB, one member',
    only: ['put'],
    sweep: { option: 'value-bytes', values: [16, 256, 3072, 65_536, 1_048_576] },
  },
  {
    id: 'sweep-clients',
    what: 'Puts and ranges of 1 to 1000 clients, one member',
    only: ['put', 'range'],
    sweep: { option: 'clients', values: [1, 4, 16, 64, 1000] },
  },
  {
    id: 'sweep-members',
    what: 'Puts into one, three and five members on this machine',
    only: ['put'],
    sweep: { option: 'members', values: [1, 3, 5] },
  },
  {
    id: 'large',
    what: 'What takes long or much, one member',
    only: ['connections-10k', 'watchers-100k', 'leases-1m', 'keys-10m'],
    onlyWhenNamed: true,
  },
];

/** Those that `all` means. */
export const usualGroupIds = groups
  .filter(({ onlyWhenNamed }) => onlyWhenNamed !== true)
  .map(({ id }) => id);
/** Every one. */
export const groupIds = groups.map(({ id }) => id);

/** Throws if there is none of that id. */
export function groupOf(id: string): Group {
  const found = groups.find((group) => group.id === id);
  if (found === undefined) throw new Error(`no table "${id}"`);
  return found;
}
