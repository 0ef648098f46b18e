/** Rows of the Auth service. */

import { bytes, prefixEnd } from '../../../helpers/grpc.js';
import { type Request, type Row, type Step, unary } from '../row.js';
import { roleOf } from '../world.js';

const auth = (method: string, form: string, request: Request, around = {}): Row =>
  unary(`etcdserverpb.Auth/${method}`, form, request, around);

const perm = { permType: 0, key: bytes('s/'), range_end: prefixEnd('s/') };

/** A user and a role that nobody else is, without each other, without a permission. */
const scratch: Step = async (world) => {
  await world.auth('UserDelete', { name: 'scratch' }).catch(() => undefined);
  await world.auth('RoleDelete', { role: 'scratch' }).catch(() => undefined);
  await world.auth('UserAdd', { name: 'scratch', password: 'x' });
  await world.auth('RoleAdd', { name: 'scratch' });
};
const joined: Step = async (world) => {
  await scratch(world);
  await world.auth('UserGrantRole', { user: 'scratch', role: 'scratch' });
  await world.auth('RoleGrantPermission', { name: 'scratch', perm });
};
const again: Step = (world) => world.enableAgain();

export const authRows: readonly Row[] = [
  auth('AuthStatus', '', {}),
  auth('AuthEnable', 'while it is on', {}),
  auth('AuthDisable', '', {}, { after: again }),
  auth('Authenticate', 'the right password', { name: 'full', password: 'secret-of-full' }),
  auth('Authenticate', 'a wrong password', { name: 'full', password: 'wrong' }),
  auth('Authenticate', 'no such user', { name: 'absent', password: 'wrong' }),

  auth('UserAdd', 'a new one', (_, world) => ({ name: world.unique('u'), password: 'x' })),
  auth('UserAdd', 'one that is there', { name: 'full', password: 'x' }),
  auth('UserAdd', 'without a name', { password: 'x' }),
  auth('UserAdd', 'without a password to sign in with', (_, world) => ({
    name: world.unique('u'),
    options: { no_password: true },
  })),
  auth('UserGet', 'oneself', ({ user }) => ({ name: user })),
  auth('UserGet', 'another', { name: 'root' }),
  auth('UserGet', 'no such user', { name: 'absent' }),
  auth('UserGet', 'without a name', {}),
  auth('UserList', '', {}),
  auth('UserDelete', 'another', { name: 'scratch' }, { before: scratch }),
  auth('UserDelete', 'root', { name: 'root' }),
  auth('UserDelete', 'no such user', { name: 'absent' }),
  auth('UserChangePassword', 'of another', { name: 'scratch', password: 'y' }, { before: scratch }),
  auth('UserChangePassword', 'its own', ({ user }) => ({ name: user, password: 'y' }), {
    after: (world: Parameters<Step>[0]) => world.restoreRoot('y'),
  }),
  auth('UserGrantRole', 'a role', { user: 'scratch', role: 'scratch' }, { before: scratch }),
  auth('UserGrantRole', 'root to oneself', ({ user }) => ({ user, role: 'root' })),
  auth('UserGrantRole', 'no such role', { user: 'full', role: 'absent' }),
  auth('UserRevokeRole', 'a role', { name: 'scratch', role: 'scratch' }, { before: joined }),
  auth('UserRevokeRole', 'root from root', { name: 'root', role: 'root' }),
  auth(
    'UserRevokeRole',
    'what it has not',
    { name: 'scratch', role: 'scratch' },
    { before: scratch },
  ),

  auth('RoleAdd', 'a new one', (_, world) => ({ name: world.unique('r') })),
  auth('RoleAdd', 'one that is there', { name: roleOf('full') }),
  auth('RoleGet', 'its own', ({ user }) => ({ role: user === 'root' ? 'root' : roleOf(user) })),
  auth('RoleGet', 'of another', { role: 'scratch' }, { before: scratch }),
  auth('RoleGet', 'no such role', { role: 'absent' }),
  auth('RoleList', '', {}),
  auth('RoleDelete', 'a role', { role: 'scratch' }, { before: joined }),
  auth('RoleDelete', 'root', { role: 'root' }),
  auth('RoleGrantPermission', 'a range', { name: 'scratch', perm }, { before: scratch }),
  auth('RoleGrantPermission', 'to its own role', ({ user }) => ({
    name: user === 'root' ? 'root' : roleOf(user),
    perm,
  })),
  auth('RoleGrantPermission', 'nothing', { name: 'scratch' }, { before: scratch }),
  auth(
    'RoleRevokePermission',
    'a range',
    { role: 'scratch', key: perm.key, range_end: perm.range_end },
    { before: joined },
  ),
  auth(
    'RoleRevokePermission',
    'what it has not',
    { role: 'scratch', key: perm.key },
    { before: joined },
  ),
];
