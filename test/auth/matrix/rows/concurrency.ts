/** Rows of the Lock and Election services: they do no more than what the caller may do itself. */

import { bytes } from '../../../helpers/grpc.js';
import { type Row, type Step, stream, unary } from '../row.js';
import { leases, type World } from '../world.js';

const Lock = 'v3lockpb.Lock';
const Election = 'v3electionpb.Election';

const free: Step = (world) => world.resetLeases();

/** Of each world, the office that root holds: as Campaign answered. */
const offices = new WeakMap<World, { readonly leader: object; readonly name: Buffer }>();

function office(world: World) {
  const held = offices.get(world);
  if (held === undefined) throw new Error('nobody holds an office');
  return held;
}

/** Root leads under a new name. */
const root: Step = async (world) => {
  await world.resetLeases();
  const name = bytes(world.unique('m/office'));
  const request = { name, lease: leases.free, value: bytes('root') };
  const { leader } = await world.asRoot<{ leader: object }>(Election, 'Campaign', request);
  offices.set(world, { leader, name });
};

export const concurrencyRows: readonly Row[] = [
  unary(`${Lock}/Lock`, 'with a lease of its own', (_, world) => ({
    name: bytes(world.unique('m/lock')),
  })),
  unary(
    `${Lock}/Lock`,
    'with a lease without keys',
    (_, world) => ({ name: bytes(world.unique('m/lock')), lease: leases.free }),
    { before: free },
  ),
  unary(
    `${Lock}/Lock`,
    'with the lease of `n/l`',
    (_, world) => ({ name: bytes(world.unique('m/lock')), lease: leases.outside }),
    { before: free },
  ),
  unary(`${Lock}/Lock`, 'outside', (_, world) => ({ name: bytes(world.unique('n/lock')) })),
  unary(`${Lock}/Unlock`, '`m/lock/1`', { key: bytes('m/lock/1') }),
  unary(`${Lock}/Unlock`, '`n/lock/1`', { key: bytes('n/lock/1') }),

  unary(
    `${Election}/Campaign`,
    'under a name of its own',
    (_, world) => ({ name: bytes(world.unique('m/vote')), lease: leases.free, value: bytes('me') }),
    { before: free },
  ),
  unary(
    `${Election}/Campaign`,
    'outside',
    (_, world) => ({ name: bytes(world.unique('n/vote')), lease: leases.free, value: bytes('me') }),
    { before: free },
  ),
  unary(
    `${Election}/Proclaim`,
    'for root',
    (_, world) => ({ leader: office(world).leader, value: bytes('me') }),
    { before: root },
  ),
  unary(`${Election}/Leader`, '', (_, world) => ({ name: office(world).name }), { before: root }),
  unary(`${Election}/Leader`, 'of no election', { name: bytes('m/none') }),
  stream(`${Election}/Observe`, '', (_, world) => ({ name: office(world).name }), {
    before: root,
  }),
  unary(`${Election}/Resign`, 'for root', (_, world) => ({ leader: office(world).leader }), {
    before: root,
  }),
];
