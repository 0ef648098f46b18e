/** Rows of the Lease service. */

import { duplex, type Row, type Step, unary } from '../row.js';
import { leases } from '../world.js';

const Lease = 'etcdserverpb.Lease';
const before: Step = (world) => world.resetLeases();
const around = { before };

const forms = [
  ['a lease without keys', leases.free],
  ['the lease of `m/l`', leases.inside],
  ['the lease of `n/l`', leases.outside],
  ['a lease of `m/k` and `n/k`', leases.both],
  ['no such lease', leases.none],
] as const;

const revokeGranted: Step = (world) => world.tryAsRoot(Lease, 'LeaseRevoke', { ID: 555 });

/** 0 is how it says that there is no such lease (any more). */
const isThere = ({ TTL }: { readonly TTL: string }): string =>
  Number(TTL) > 0 ? 'ok' : 'ok: gone';

/** Without one that has keys of others. */
const onlyLeasesInside: Step = async (world) => {
  for (const ID of [leases.outside, leases.both])
    await world.tryAsRoot(Lease, 'LeaseRevoke', { ID });
};

export const leaseRows: readonly Row[] = [
  unary(`${Lease}/LeaseGrant`, 'an id of its own', { ID: 555, TTL: 600 }, { after: revokeGranted }),
  unary(`${Lease}/LeaseGrant`, 'an id that is taken', { ID: leases.inside, TTL: 600 }, around),
  ...forms.map(([form, ID]) => unary(`${Lease}/LeaseRevoke`, form, { ID }, around)),
  ...forms.map(([form, ID]) => duplex(`${Lease}/LeaseKeepAlive`, form, { ID }, isThere, around)),
  ...forms.map(([form, ID]) => unary(`${Lease}/LeaseTimeToLive`, form, { ID }, around)),
  ...forms.map(([form, ID]) =>
    unary(`${Lease}/LeaseTimeToLive`, `keys of ${form}`, { ID, keys: true }, around),
  ),
  unary(`${Lease}/LeaseLeases`, 'while some have keys outside', {}, around),
  unary(
    `${Lease}/LeaseLeases`,
    'while none has keys outside',
    {},
    {
      before: async (world) => {
        await before(world);
        await onlyLeasesInside(world);
      },
    },
  ),
];
