/** Requests about what calls do: one after the other, so that both servers have one history. */

import type { GatewayStep } from './exchange.js';
import { b64 } from './form-requests.js';

const put = (key: string, value: string, more = ''): GatewayStep => ({
  path: '/v3/kv/put',
  body: `{"key":"${b64(key)}","value":"${b64(value)}"${more}}`,
});
const text = (value: object): string => JSON.stringify(value);

export const kvRequests: readonly GatewayStep[] = [
  put('k/1', 'one'),
  put('k/2', 'two'),
  put('k/1', 'uno', ',"prev_kv":true'),
  put('k/3', '', ',"lease":"0"'),
  put('k/4', 'x', ',"lease":"99"'),
  put('k/1', 'x', ',"ignore_value":true'),
  put('k/none', '', ',"ignoreValue":true'),
  put('k/none', '', ',"ignoreLease":true'),
  { path: '/v3/kv/range', body: text({ key: b64('k/'), range_end: b64('k0') }) },
  { path: '/v3/kv/range', body: text({ key: b64('k/'), rangeEnd: b64('k0'), count_only: true }) },
  { path: '/v3/kv/range', body: text({ key: b64('k/'), rangeEnd: b64('k0'), keysOnly: true }) },
  { path: '/v3/kv/range', body: text({ key: b64('k/'), rangeEnd: b64('k0'), limit: '1' }) },
  {
    path: '/v3/kv/range',
    body: text({ key: 'AA==', range_end: 'AA==', sort_order: 'DESCEND', sort_target: 'MOD' }),
  },
  { path: '/v3/kv/range', body: text({ key: b64('k/1'), revision: 2 }) },
  { path: '/v3/kv/range', body: text({ key: b64('k/1'), revision: 99 }) },
  { path: '/v3/kv/range', body: text({ key: b64('none') }) },
  {
    path: '/v3/kv/txn',
    body: text({
      compare: [{ key: b64('k/1'), result: 'EQUAL', target: 'VALUE', value: b64('uno') }],
      success: [
        { request_put: { key: b64('t/1'), value: b64('v') } },
        { requestRange: { key: b64('t/1') } },
        { request_delete_range: { key: b64('k/3'), prev_kv: true } },
        { request_txn: { success: [{ request_range: { key: b64('k/2') } }] } },
      ],
    }),
  },
  {
    path: '/v3/kv/txn',
    body: text({
      compare: [{ key: b64('k/1'), target: 'CREATE', create_revision: 0 }],
      failure: [{ request_range: { key: b64('k/1') } }],
    }),
  },
  {
    path: '/v3/kv/txn',
    body: text({
      compare: [{ key: b64('k/1'), target: 'VERSION', version: '2', mod_revision: 1 }],
    }),
  },
  {
    path: '/v3/kv/txn',
    body: text({ success: [{ request_put: { key: 'YQ==' }, request_range: { key: 'YQ==' } }] }),
  },
  {
    path: '/v3/kv/txn',
    body: text({ success: [{ request_put: null, request_range: { key: 'YQ==' } }] }),
  },
  {
    path: '/v3/kv/txn',
    body: text({
      success: [{ request_put: { key: 'YQ==' } }, { request_put: { key: 'YQ==' } }],
    }),
  },
  { path: '/v3/kv/txn', body: text({ success: [null] }) },
  { path: '/v3/kv/txn', body: text({ success: [{}] }) },
  { path: '/v3/kv/txn', body: text({ success: {} }) },
  { path: '/v3/kv/txn', body: '{}' },
  { path: '/v3/kv/deleterange', body: text({ key: b64('k/2'), prev_kv: true }) },
  { path: '/v3/kv/deleterange', body: text({ key: b64('none') }) },
  { path: '/v3/kv/deleterange', body: text({}) },
  { path: '/v3/kv/compaction', body: text({ revision: '3', physical: true }) },
  { path: '/v3/kv/compaction', body: text({ revision: 3 }) },
  { path: '/v3/kv/compaction', body: text({ revision: 999 }) },
  { path: '/v3/kv/range', body: text({ key: b64('k/1'), revision: 2 }) },
  {
    note: 'value of 1 MiB',
    path: '/v3/kv/put',
    body: text({ key: b64('big'), value: Buffer.alloc(1 << 20, 'x').toString('base64') }),
  },
  { note: 'value of 1 MiB', path: '/v3/kv/range', body: text({ key: b64('big') }) },
  {
    note: 'value of 1.8 MiB',
    path: '/v3/kv/put',
    body: text({ key: b64('big'), value: Buffer.alloc(1_800_000, 'x').toString('base64') }),
  },
  {
    note: 'value of 2.5 MiB',
    path: '/v3/kv/put',
    body: text({ key: b64('big'), value: Buffer.alloc(2_500_000, 'x').toString('base64') }),
  },
  {
    note: 'value of 6 MiB',
    path: '/v3/kv/put',
    body: text({ key: b64('big'), value: Buffer.alloc(6 << 20, 'x').toString('base64') }),
  },
  { path: '/v3/kv/deleterange', body: text({ key: b64('big') }) },
];

export const leaseRequests: readonly GatewayStep[] = [
  { path: '/v3/lease/grant', body: text({ ID: 7, TTL: '600' }) },
  { path: '/v3/lease/grant', body: text({ ID: 7, TTL: 600 }) },
  { path: '/v3/lease/grant', body: text({ ID: 8, TTL: 0 }) },
  { path: '/v3/lease/grant', body: text({ TTL: '9999999999999' }) },
  { path: '/v3/lease/grant', body: text({ id: 9, ttl: 600, TTL: 500, ID: 9 }) },
  { path: '/v3/lease/grant', body: text({ ID: -12, TTL: 500 }) },
  put('leased', 'x', ',"lease":"7"'),
  { path: '/v3/lease/timetolive', body: text({ ID: '7', keys: true }) },
  { path: '/v3/kv/lease/timetolive', body: text({ ID: '99' }) },
  { path: '/v3/lease/leases', body: text({}) },
  { path: '/v3/kv/lease/leases', body: text({}) },
  { path: '/v3/lease/keepalive', body: text({ ID: 7 }) },
  { path: '/v3/lease/keepalive', body: '{"ID":7}{"ID":"9"} {"ID":1}' },
  { path: '/v3/lease/keepalive', body: '{"ID":7}\nnonsense\n{"ID":9}' },
  { path: '/v3/lease/keepalive', body: '{"ID":7}{"ID":"x"}{"ID":9}' },
  { path: '/v3/lease/keepalive', body: '' },
  { path: '/v3/lease/keepalive', body: 'null' },
  { path: '/v3/lease/keepalive', body: '{"ID":' },
  { path: '/v3/lease/keepalive', body: text({ ID: 7 }), headers: { 'grpc-timeout': 'x' } },
  { path: '/v3/lease/revoke', body: text({ ID: 7 }) },
  { path: '/v3/kv/lease/revoke', body: text({ ID: 9 }) },
  { path: '/v3/lease/revoke', body: text({ ID: '-12' }) },
  { path: '/v3/lease/revoke', body: text({}) },
];

const create = (more: object): string => text({ create_request: { key: b64('w'), ...more } });

export const watchRequests: readonly GatewayStep[] = [
  put('w', '1'),
  put('w', '2'),
  { path: '/v3/watch', body: create({}), lines: 1 },
  { path: '/v3/watch', body: create({ start_revision: '5' }), lines: 2 },
  { path: '/v3/watch', body: create({ startRevision: 5, prev_kv: true }), lines: 2 },
  { path: '/v3/watch', body: create({ start_revision: 5, filters: ['NOPUT'] }), lines: 1 },
  { path: '/v3/watch', body: create({ watch_id: 12 }), lines: 1 },
  { path: '/v3/watch', body: create({ watch_id: -3 }), lines: 1 },
  { path: '/v3/watch', body: create({ start_revision: 1 }), lines: 2 },
  { path: '/v3/watch', body: create({ start_revision: -7 }), lines: 1 },
  { path: '/v3/watch', body: `${create({ watch_id: 1 })}${create({ watch_id: 1 })}`, lines: 2 },
  { path: '/v3/watch', body: `${create({})}\n{"cancel_request":{"watch_id":0}}`, lines: 2 },
  { path: '/v3/watch', body: `${create({})}{"cancel_request":{"watch_id":44}}`, lines: 2 },
  { path: '/v3/watch', body: '{"create_request":{},"cancel_request":{}}', lines: 1 },
  { path: '/v3/watch', body: '{"create_request":{}}', lines: 1 },
  { path: '/v3/watch', body: '{}', lines: 1 },
  { path: '/v3/watch', body: '', lines: 1 },
  { path: '/v3/watch', body: 'nonsense', lines: 1 },
  { path: '/v3/watch', body: `${create({})}nonsense`, lines: 2 },
  { note: 'deadline', path: '/v3/watch', body: create({}), headers: { 'grpc-timeout': '400m' } },
  { note: 'deadline', path: '/v3/watch', body: '', headers: { 'grpc-timeout': '300m' } },
];

export const clusterRequests: readonly GatewayStep[] = [
  { path: '/v3/cluster/member/list', body: '{}' },
  { path: '/v3/cluster/member/list', body: '{"linearizable":true}' },
  { path: '/v3/cluster/member/remove', body: '{"ID":"1"}' },
  { path: '/v3/cluster/member/promote', body: '{"ID":"1"}' },
  { path: '/v3/cluster/member/update', body: '{"ID":"1","peerURLs":["http://127.0.0.1:1"]}' },
  { path: '/v3/cluster/member/add', body: '{"peerURLs":["nonsense"]}' },
  { path: '/v3/cluster/member/add', body: '{"peerURLs":"http://127.0.0.1:1"}' },
  { path: '/v3/maintenance/status', body: '{}' },
  { path: '/v3/maintenance/alarm', body: '{}' },
  { path: '/v3/maintenance/alarm', body: '{"action":"GET","alarm":"NOSPACE"}' },
  { path: '/v3/maintenance/alarm', body: '{"action":"ACTIVATE","alarm":1}' },
  put('under-alarm', 'x'),
  { path: '/v3/maintenance/status', body: '{}' },
  { path: '/v3/maintenance/alarm', body: '{"action":2,"alarm":"NOSPACE"}' },
  // An action that there is not is not asked: etcd ends.
  { path: '/v3/maintenance/defragment', body: '{}' },
  { path: '/v3/maintenance/hash', body: '{}' },
  { path: '/v3/maintenance/hashkv', body: '{"revision":"0"}' },
  { path: '/v3/maintenance/hashkv', body: '{"revision":"99999"}' },
  { path: '/v3/maintenance/snapshot', body: '{"x"' },
  { path: '/v3/maintenance/snapshot', body: '[]' },
  { path: '/v3/maintenance/transfer-leadership', body: '{"targetID":"77"}' },
  { path: '/v3/maintenance/transfer-leadership', body: '{"target_id":"77"}' },
  { path: '/v3/maintenance/downgrade', body: '{"action":"VALIDATE","version":"3.6.0"}' },
  { path: '/v3/maintenance/downgrade', body: '{"action":"VALIDATE","version":"3.1.0"}' },
  { path: '/v3/maintenance/downgrade', body: '{"action":"VALIDATE","version":"nonsense"}' },
  { path: '/v3/maintenance/downgrade', body: '{"action":"CANCEL"}' },
];
