/** Requests to services that stand on others: locks, elections, users. */

import type { GatewayStep } from './exchange.js';
import { b64 } from './form-requests.js';

const text = (value: object): string => JSON.stringify(value);
const grant = (id: number): GatewayStep => ({
  path: '/v3/lease/grant',
  body: text({ ID: id, TTL: 600 }),
});

export const lockRequests: readonly GatewayStep[] = [
  grant(0x101),
  grant(0x102),
  { path: '/v3/lock/lock', body: text({ name: b64('lock'), lease: 0x101 }) },
  {
    path: '/v3/lock/lock',
    body: text({ name: b64('lock'), lease: 0x102 }),
    headers: { 'grpc-timeout': '300m' },
  },
  { path: '/v3/lock/unlock', body: text({ key: b64('lock/101') }) },
  { path: '/v3/lock/lock', body: text({ name: b64('lock'), lease: 0x102 }) },
  { path: '/v3/lock/unlock', body: text({ key: b64('lock/102') }) },
  { path: '/v3/lock/unlock', body: text({ key: b64('nothing') }) },
  { path: '/v3/lock/lock', body: text({ name: b64('lock'), lease: 0x999 }) },
  { path: '/v3/lock/lock', body: '{"name":1}' },
];

const leader = (rev: number): object => ({
  name: b64('e'),
  key: b64('e/201'),
  rev,
  lease: 0x201,
});

export const electionRequests: readonly GatewayStep[] = [
  { path: '/v3/election/leader', body: text({ name: b64('e') }) },
  grant(0x201),
  { path: '/v3/election/campaign', body: text({ name: b64('e'), lease: 0x201, value: b64('v') }) },
  { path: '/v3/election/leader', body: text({ name: b64('e') }) },
  { path: '/v3/election/observe', body: text({ name: b64('e') }), lines: 1 },
  { path: '/v3/election/proclaim', body: text({ leader: leader(1), value: b64('w') }) },
  { path: '/v3/election/proclaim', body: '{}' },
  { path: '/v3/election/resign', body: text({ leader: leader(1) }) },
  { path: '/v3/election/resign', body: '{}' },
  { path: '/v3/election/campaign', body: text({ name: b64('e'), lease: 0x999 }) },
];

const role = '/v3/auth/role';
const user = '/v3/auth/user';
const read = text({ key: b64('open') });

export const authRequests: readonly GatewayStep[] = [
  { path: '/v3/auth/status', body: '{}' },
  { path: '/v3/auth/authenticate', body: text({ name: 'root', password: 'pw' }) },
  { path: '/v3/auth/enable', body: '{}' },
  { path: `${user}/add`, body: text({ name: '', password: 'pw' }) },
  { path: `${user}/add`, body: text({ name: 'root', password: 'pw' }) },
  { path: `${user}/add`, body: text({ name: 'root', password: 'pw' }) },
  { path: `${user}/add`, body: text({ name: 'ann', password: 'pw' }) },
  { path: `${user}/add`, body: text({ name: 'bob', options: { no_password: true } }) },
  { path: `${role}/add`, body: text({ name: 'root' }) },
  { path: `${role}/add`, body: text({ name: 'reader' }) },
  { path: `${role}/add`, body: text({ name: '' }) },
  {
    path: `${role}/grant`,
    body: text({ name: 'reader', perm: { permType: 'READ', key: b64('open') } }),
  },
  {
    path: `${role}/grant`,
    body: text({
      name: 'reader',
      perm: { permType: 2, key: b64('dir/'), range_end: b64('dir0') },
    }),
  },
  { path: `${role}/grant`, body: text({ name: 'none', perm: { key: b64('x') } }) },
  { path: `${role}/get`, body: text({ role: 'reader' }) },
  { path: `${role}/get`, body: text({ role: 'none' }) },
  { path: `${role}/list`, body: '{}' },
  { path: `${user}/grant`, body: text({ user: 'root', role: 'root' }) },
  { path: `${user}/grant`, body: text({ user: 'ann', role: 'reader' }) },
  { path: `${user}/grant`, body: text({ user: 'ann', role: 'none' }) },
  { path: `${user}/get`, body: text({ name: 'ann' }) },
  { path: `${user}/list`, body: '{}' },
  { path: '/v3/kv/put', body: text({ key: b64('open'), value: b64('1') }) },
  { path: '/v3/auth/enable', body: '{}' },
  { path: '/v3/kv/range', body: read },
  { path: '/v3/kv/range', body: read, headers: { authorization: 'nonsense' } },
  { path: '/v3/auth/authenticate', body: text({ name: 'ann', password: 'wrong' }) },
  { path: '/v3/auth/authenticate', body: text({ name: 'nobody', password: 'pw' }) },
  { path: '/v3/auth/authenticate', body: text({ name: 'bob', password: '' }) },
  { path: '/v3/auth/authenticate', body: text({ name: 'ann', password: 'pw' }), keeps: 'ann' },
  { path: '/v3/auth/authenticate', body: text({ name: 'root', password: 'pw' }), keeps: 'root' },
  { path: '/v3/kv/range', body: read, as: 'ann' },
  { path: '/v3/kv/range', body: text({ key: b64('closed') }), as: 'ann' },
  { path: '/v3/kv/put', body: text({ key: b64('open') }), as: 'ann' },
  { path: '/v3/kv/put', body: text({ key: b64('closed') }), as: 'root' },
  { path: '/v3/watch', body: text({ create_request: { key: b64('open') } }), as: 'ann', lines: 1 },
  { path: '/v3/watch', body: text({ create_request: { key: b64('no') } }), as: 'ann', lines: 1 },
  { path: '/v3/watch', body: text({ create_request: { key: b64('open') } }), lines: 1 },
  { path: '/v3/lease/leases', body: '{}' },
  { path: '/v3/lease/keepalive', body: '{"ID":1}' },
  { path: '/v3/maintenance/status', body: '{}' },
  { path: '/v3/maintenance/snapshot', body: '{}', as: 'ann' },
  { path: '/v3/maintenance/defragment', body: '{}', as: 'ann' },
  { path: '/v3/cluster/member/list', body: '{}', as: 'ann' },
  { path: `${user}/list`, body: '{}', as: 'ann' },
  { path: `${user}/get`, body: text({ name: 'ann' }), as: 'ann' },
  { path: `${user}/changepw`, body: text({ name: 'ann', password: 'new' }), as: 'root' },
  { path: '/v3/kv/range', body: read, as: 'ann' },
  { path: `${user}/revoke`, body: text({ name: 'ann', role: 'reader' }), as: 'root' },
  { path: `${role}/revoke`, body: text({ role: 'reader', key: b64('open') }), as: 'root' },
  { path: `${role}/delete`, body: text({ role: 'reader' }), as: 'root' },
  { path: `${user}/delete`, body: text({ name: 'bob' }), as: 'root' },
  { path: `${user}/delete`, body: text({ name: 'root' }), as: 'root' },
  { path: '/v3/auth/status', body: '{}', as: 'root' },
  { path: '/v3/auth/disable', body: '{}', as: 'root' },
  { path: '/v3/kv/range', body: read },
];
