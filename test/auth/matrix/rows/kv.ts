/** Rows of the KV service. */

import { bytes, prefixEnd } from '../../../helpers/grpc.js';
import { type Row, type Step, stream, unary } from '../row.js';
import { leases } from '../world.js';

const KV = 'etcdserverpb.KV';
const keys: Step = (world) => world.resetKeys();
const keysAndLeases: Step = async (world) => {
  await world.resetKeys();
  await world.resetLeases();
};
const zero = Buffer.from([0]);

const key = (name: string) => ({ key: bytes(name) });
const span = (from: string, to: string) => ({ key: bytes(from), range_end: bytes(to) });
const prefix = (name: string) => ({ key: bytes(name), range_end: prefixEnd(name) });
const from = (name: string) => ({ key: bytes(name), range_end: zero });
const everything = { key: zero, range_end: zero };

const range = (form: string, request: object): Row =>
  unary(`${KV}/Range`, form, request, { before: keys });
const rangeRows: readonly Row[] = [
  range('`m/a`', key('m/a')),
  range('`m/x`, which part may not', key('m/x')),
  range('`n/a`, which only root may', key('n/a')),
  range('`m/a` to `m/b`', span('m/a', 'm/b')),
  range('`m/a` to `m/d`, over the end of part', span('m/a', 'm/d')),
  range('`m/z` to `m/b`, an empty range', span('m/z', 'm/b')),
  range('prefix `m/`', prefix('m/')),
  range('from `m/a` on (range_end `\\0`)', from('m/a')),
  range('all keys', everything),
  range('`m/` to `n/b`, over the end of full', span('m/', 'n/b')),
  range('prefix `m/`, serializable', { ...prefix('m/'), serializable: true }),
  range('from `m/a` on, serializable', { ...from('m/a'), serializable: true }),
  range('from `m/a` on, count only', { ...from('m/a'), count_only: true }),
  range('from `m/a` on, limit 1, keys only', { ...from('m/a'), limit: 1, keys_only: true }),
  range('`n/a` as it was', { ...key('n/a'), revision: 2 }),
  range('no key', {}),
];

const rangeStream = (form: string, request: object): Row =>
  stream(`${KV}/RangeStream`, form, request);
const rangeStreamRows: readonly Row[] = [
  rangeStream('`m/a`', key('m/a')),
  rangeStream('`n/a`', key('n/a')),
  rangeStream('prefix `m/`', prefix('m/')),
  rangeStream('from `m/a` on', from('m/a')),
  rangeStream('prefix `m/`, serializable', { ...prefix('m/'), serializable: true }),
  rangeStream('all keys, count only', { ...everything, count_only: true }),
];

const put = (form: string, request: object, before: Step = keys): Row =>
  unary(`${KV}/Put`, form, request, { before });
const value = bytes('new');
const putRows: readonly Row[] = [
  put('`m/a`', { ...key('m/a'), value }),
  put('`m/x`', { ...key('m/x'), value }),
  put('`n/a`', { ...key('n/a'), value }),
  put('`m/a` with prev_kv', { ...key('m/a'), value, prev_kv: true }),
  put('`n/a` with prev_kv', { ...key('n/a'), value, prev_kv: true }),
  put('`m/a` with ignore_value', { ...key('m/a'), ignore_value: true }),
  put('`m/a` to a lease without keys', { ...key('m/a'), lease: leases.free }, keysAndLeases),
  put('`m/a` to the lease of `m/l`', { ...key('m/a'), lease: leases.inside }, keysAndLeases),
  put('`m/a` to the lease of `n/l`', { ...key('m/a'), lease: leases.outside }, keysAndLeases),
  put('`m/a` to a lease of both', { ...key('m/a'), lease: leases.both }, keysAndLeases),
  put('`m/a` to no such lease', { ...key('m/a'), lease: leases.none }),
  put('`m/l` with ignore_lease', { ...key('m/l'), value, ignore_lease: true }, keysAndLeases),
  put('`m/k` with ignore_lease', { ...key('m/k'), value, ignore_lease: true }, keysAndLeases),
  put('`n/l` with ignore_lease', { ...key('n/l'), value, ignore_lease: true }, keysAndLeases),
  put('no key', { value }),
];

const del = (form: string, request: object): Row =>
  unary(`${KV}/DeleteRange`, form, request, { before: keys, after: keys });
const deleteRows: readonly Row[] = [
  del('`m/a`', key('m/a')),
  del('`n/a`', key('n/a')),
  del('`m/a` to `m/b`', span('m/a', 'm/b')),
  del('`m/a` to `m/d`', span('m/a', 'm/d')),
  del('prefix `m/`', prefix('m/')),
  del('from `m/a` on', from('m/a')),
  del('all keys', everything),
  del('`m/a` with prev_kv', { ...key('m/a'), prev_kv: true }),
  del('prefix `m/` with prev_kv', { ...prefix('m/'), prev_kv: true }),
  del('from `m/a` on with prev_kv', { ...from('m/a'), prev_kv: true }),
];

/** The operation inside of three transactions, each in the other branch of the one around it. */
const nested = (op: object): object => {
  const third = { success: [], failure: [op] };
  const second = { success: [{ request_txn: third }], failure: [] };
  return { success: [], failure: [{ request_txn: second }] };
};
const get = (request: object) => ({ request_range: request });
const write = (request: object) => ({ request_put: { value, ...request } });
const remove = (request: object) => ({ request_delete_range: request });
const compare = (request: object) => ({ target: 0, result: 0, version: 1, ...request });

const txn = (form: string, request: object, before: Step = keys): Row =>
  unary(`${KV}/Txn`, form, request, { before });
const txnRows: readonly Row[] = [
  txn('nothing', {}),
  txn('compare `m/a`', { compare: [compare(key('m/a'))] }),
  txn('compare `n/a`', { compare: [compare(key('n/a'))] }),
  txn('compare prefix `m/`', { compare: [compare(prefix('m/'))] }),
  txn('compare from `m/a` on', { compare: [compare(from('m/a'))] }),
  txn('then get `m/a`', { success: [get(key('m/a'))] }),
  txn('then get `n/a`', { success: [get(key('n/a'))] }),
  txn('then get from `m/a` on', { success: [get(from('m/a'))] }),
  txn('then get `n/a`, serializable', { success: [get({ ...key('n/a'), serializable: true })] }),
  txn('else get `n/a`', { failure: [get(key('n/a'))] }),
  txn('then put `m/a`', { success: [write(key('m/a'))] }),
  txn('then put `n/a`', { success: [write(key('n/a'))] }),
  txn('else put `n/a`', { failure: [write(key('n/a'))] }),
  txn('compare and put `m/a`', {
    compare: [compare(key('m/a'))],
    success: [write(key('m/a'))],
  }),
  txn('put `m/a` and get it', { success: [write(key('m/a')), get(key('m/a'))] }),
  txn('then put `m/a` with prev_kv', { success: [write({ ...key('m/a'), prev_kv: true })] }),
  txn('else put `m/a` with prev_kv', { failure: [write({ ...key('m/a'), prev_kv: true })] }),
  txn(
    'then put `m/a` to the lease of `m/l`',
    { success: [write({ ...key('m/a'), lease: leases.inside })] },
    keysAndLeases,
  ),
  txn(
    'then put `m/a` to the lease of `n/l`',
    { success: [write({ ...key('m/a'), lease: leases.outside })] },
    keysAndLeases,
  ),
  txn('then delete `m/a`', { success: [remove(key('m/a'))] }),
  txn('then delete prefix `m/`', { success: [remove(prefix('m/'))] }),
  txn('then delete `m/a` with prev_kv', { success: [remove({ ...key('m/a'), prev_kv: true })] }),
  txn('then delete from `m/a` on', { success: [remove(from('m/a'))] }),
  txn('nested 3 deep: get `m/a`', nested(get(key('m/a')))),
  txn('nested 3 deep: get `n/a`', nested(get(key('n/a')))),
  txn('nested 3 deep: put `m/a`', nested(write(key('m/a')))),
  txn('nested 3 deep: put `n/a`', nested(write(key('n/a')))),
  txn('nested 3 deep: put `m/a` with prev_kv', nested(write({ ...key('m/a'), prev_kv: true }))),
  txn(
    'nested 3 deep: put `m/a` to the lease of `n/l`',
    nested(write({ ...key('m/a'), lease: leases.outside })),
    keysAndLeases,
  ),
  txn('nested 3 deep: delete `m/a`', nested(remove(key('m/a')))),
  txn('nested 3 deep: delete prefix `m/` with prev_kv', {
    ...nested(remove({ ...prefix('m/'), prev_kv: true })),
  }),
  txn('nested 3 deep: compare `n/a`', nested({ request_txn: { compare: [compare(key('n/a'))] } })),
];

const compactRows: readonly Row[] = [
  unary(`${KV}/Compact`, 'a revision that is to come', { revision: '1000000000000' }),
  unary(`${KV}/Compact`, 'revision 1', { revision: 1 }),
  unary(`${KV}/Compact`, 'revision 1 again, physically', { revision: 1, physical: true }),
];

export const kvRows: readonly Row[] = [
  ...rangeRows,
  ...rangeStreamRows,
  ...putRows,
  ...deleteRows,
  ...txnRows,
  ...compactRows,
];
