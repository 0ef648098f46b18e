/**
 * 64-bit numbers (L-19, R-33): every 64-bit field of every request at the
 * edges of what a double, and what an int64, can hold. Each has a defined answer; no number in an
 * answer is rounded, and the node lives. Requests and answers go through protobufjs, which keeps
 * all bits.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GrpcCode } from '../../src/common/index.js';
import { SimMachine } from '../crash/sim-node.js';
import type { Outcome } from '../helpers/in-process-call.js';
import { decodeReference, encodeReference } from '../proto/reference.js';
import { SimClient } from './sim.js';

const big = [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n - 1n] as const;
const negative = [-1n, -(2n ** 63n)] as const;
const values = [...big, ...negative];
const every = { key: Buffer.from('\0'), range_end: Buffer.from('\0') };

const future = [GrpcCode.OUT_OF_RANGE, 'etcdserver: mvcc: required revision is a future revision'];
const compacted = [GrpcCode.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted'];
const noLease = [GrpcCode.NOT_FOUND, 'etcdserver: requested lease not found'];

let client: SimClient;
let revision: bigint;

beforeEach(async () => {
  client = await SimClient.start(new SimMachine(5));
  await client.put('a', '1');
  await client.put('b', '2');
  revision = 3n;
});

afterEach(() => {
  expect(client.node.fatal).toEqual([]);
});

/** Calls `Service/Method` with a request of wire names; the answer, or code and text. */
async function call(method: string, request: object, type = messageOf(method)) {
  const outcome: Outcome = await client.call(
    method,
    encodeReference(`etcdserverpb.${type}Request`, request),
  );
  if (!outcome.ok) return [outcome.code, outcome.text];
  return decodeReference(`etcdserverpb.${type}Response`, outcome.message);
}

function messageOf(method: string): string {
  const name = method.split('/')[1] ?? '';
  return name === 'Put' || name === 'Range' || name === 'Txn' || name === 'DeleteRange'
    ? name
    : name === 'Compact'
      ? 'Compaction'
      : name;
}

describe('Range', () => {
  it.each(values)('limit %d: all keys', async (limit) => {
    const answer = await call('KV/Range', { ...every, limit });
    expect(answer).toMatchObject({ count: 2n, more: false, header: { revision } });
    expect(answer).toHaveProperty('kvs.length', 2);
  });

  it.each(big)('revision %d: in the future', async (asked) => {
    expect(await call('KV/Range', { ...every, revision: asked })).toEqual(future);
  });

  it.each(negative)('revision %d: the present', async (asked) => {
    expect(await call('KV/Range', { ...every, revision: asked })).toMatchObject({ count: 2n });
  });

  it.each(values)('filters at %d keep what is on the right side', async (bound) => {
    const found = async (field: string) => {
      const answer = await call('KV/Range', { ...every, [field]: bound });
      return Array.isArray(answer) ? answer : (answer.kvs as unknown[]).length;
    };
    const above = bound > 0n ? 0 : 2;
    expect(await found('min_mod_revision')).toBe(above);
    expect(await found('min_create_revision')).toBe(above);
    expect(await found('max_mod_revision')).toBe(2 - above);
    expect(await found('max_create_revision')).toBe(2 - above);
  });
});

describe('ids of leases', () => {
  it.each(values)('%d: not taken for another, and answered as they were sent', async (id) => {
    const put = { key: Buffer.from('leased'), value: Buffer.from('v'), lease: id };
    expect(await call('KV/Put', put)).toEqual(noLease);
    expect(await call('Lease/LeaseRevoke', { ID: id })).toEqual(noLease);
    expect(await call('Lease/LeaseTimeToLive', { ID: id })).toMatchObject({ ID: id, TTL: -1n });
    expect(await call('Lease/LeaseGrant', { ID: id, TTL: 100n })).toMatchObject({ ID: id });
    const neighbour = id === 2n ** 63n - 1n ? id - 1n : id + 1n;
    if (neighbour !== 0n)
      expect(await call('Lease/LeaseRevoke', { ID: neighbour })).toEqual(noLease);
    expect(await call('KV/Put', put)).toMatchObject({ header: { revision: revision + 1n } });
    const read = async () => call('KV/Range', { key: put.key });
    expect(await read()).toMatchObject({ kvs: [{ lease: id }] });
    const compare = (lease: bigint) => ({
      compare: [{ key: put.key, target: 4, result: 0, lease }],
    });
    expect(await call('KV/Txn', compare(id))).toMatchObject({ succeeded: true });
    expect(await call('KV/Txn', compare(neighbour))).toMatchObject({ succeeded: false });
    expect(await call('Lease/LeaseLeases', {})).toMatchObject({ leases: [{ ID: id }] });
    client = await client.restart();
    expect(await call('Lease/LeaseTimeToLive', { ID: id, keys: true })).toMatchObject({
      ID: id,
      grantedTTL: 100n,
      keys: ['leased'],
    });
    expect(await read()).toMatchObject({ kvs: [{ lease: id }] });
    const stream = client.stream('Lease/LeaseKeepAlive');
    stream.onMessage?.(encodeReference('etcdserverpb.LeaseKeepAliveRequest', { ID: id }));
    await client.pass(50);
    const [renewed] = stream.sent;
    expect(renewed).toBeDefined();
    if (renewed !== undefined) {
      expect(decodeReference('etcdserverpb.LeaseKeepAliveResponse', renewed)).toMatchObject({
        ID: id,
        TTL: 100n,
      });
    }
    stream.cancel();
    expect(await call('Lease/LeaseRevoke', { ID: id })).toMatchObject({ header: {} });
    expect(await read()).toMatchObject({ count: 0n });
  });
});

describe('LeaseGrant', () => {
  it.each(big)('TTL %d: too large', async (TTL) => {
    const text = 'etcdserver: too large lease TTL';
    expect(await call('Lease/LeaseGrant', { ID: 5n, TTL })).toEqual([GrpcCode.OUT_OF_RANGE, text]);
  });

  it.each(negative)('TTL %d: the shortest there is', async (TTL) => {
    expect(await call('Lease/LeaseGrant', { ID: 5n, TTL })).toMatchObject({ ID: 5n, TTL: 2n });
  });
});

describe('Compact and HashKV', () => {
  it.each(big)('revision %d: in the future', async (asked) => {
    expect(await call('KV/Compact', { revision: asked })).toEqual(future);
    expect(await call('Maintenance/HashKV', { revision: asked })).toEqual(future);
  });

  it.each(negative)('revision %d: compacted already; HashKV has nothing to hash', async (asked) => {
    expect(await call('KV/Compact', { revision: asked })).toEqual(compacted);
    const hash = await call('Maintenance/HashKV', { revision: asked });
    // As etcd 3.7.3: the hash of the name of the bucket alone.
    expect(hash).toMatchObject({ hash: 1084519789, compact_revision: -1n, header: { revision } });
    // Requests are saturated: the answer names the revision that was understood.
    const understood = asked < -(2n ** 53n) ? -(2n ** 53n - 1n) : asked;
    expect(hash).toHaveProperty('hash_revision', understood);
  });
});

describe('Compare', () => {
  const targets = [
    ['version', 0],
    ['create_revision', 1],
    ['mod_revision', 2],
  ] as const;
  for (const [field, target] of targets) {
    it.each(values)(`${field} %d: on the right side of what is there`, async (bound) => {
      const holds = async (result: number) => {
        const compare = [{ key: Buffer.from('a'), target, result, [field]: bound }];
        const answer = await call('KV/Txn', { compare });
        return Array.isArray(answer) ? answer : answer.succeeded;
      };
      const [equal, greater, less, notEqual] = [0, 1, 2, 3];
      expect(await holds(equal)).toBe(false);
      expect(await holds(notEqual)).toBe(true);
      expect(await holds(greater)).toBe(bound < 0n);
      expect(await holds(less)).toBe(bound > 0n);
    });
  }
});

describe('Watch', () => {
  const open = async (request: object) => {
    const stream = client.stream('Watch/Watch');
    stream.onMessage?.(encodeReference('etcdserverpb.WatchRequest', request));
    await client.pass(50);
    return stream;
  };
  const answers = (stream: Awaited<ReturnType<typeof open>>) =>
    stream.sent.map((bytes) => decodeReference('etcdserverpb.WatchResponse', bytes));

  it.each(big)('start revision %d: waits', async (start_revision) => {
    const stream = await open({ create_request: { ...every, start_revision } });
    await client.put('a', '2');
    await client.pass(200);
    expect(answers(stream)).toHaveLength(1);
    expect(answers(stream)[0]).toMatchObject({ created: true, canceled: false, events: [] });
    stream.cancel();
  });

  it.each(negative)('start revision %d: canceled as compacted', async (start_revision) => {
    const stream = await open({ create_request: { ...every, start_revision } });
    expect(answers(stream)[0]).toMatchObject({ created: true, canceled: true, watch_id: -1n });
    stream.cancel();
  });

  it.each(values)('watch id %d: kept as it is, or refused', async (watch_id) => {
    const stream = await open({ create_request: { ...every, watch_id } });
    const [created] = answers(stream);
    if (created?.canceled !== true) expect(created).toMatchObject({ created: true, watch_id });
    else expect([-1n, watch_id]).toContain(created.watch_id);
    stream.cancel();
  });

  it.each(values)('cancel of watch id %d: leaves others alone', async (watch_id) => {
    const stream = await open({ create_request: every });
    stream.onMessage?.(
      encodeReference('etcdserverpb.WatchRequest', { cancel_request: { watch_id } }),
    );
    await client.put('a', '2');
    await client.pass(200);
    const [, ...later] = answers(stream);
    expect(later.filter(({ canceled }) => canceled)).toEqual([]);
    expect(later).toHaveLength(1);
    stream.cancel();
  });
});

describe('ids of members', () => {
  const ids = [...big, 2n ** 63n, 2n ** 64n - 1n];
  it.each(ids)('%d: answered as it was sent', async (memberID) => {
    const wireId = BigInt.asIntN(64, memberID);
    const raise = { action: 1, memberID: wireId, alarm: 77 };
    const outcome = await client.call(
      'Maintenance/Alarm',
      encodeReference('etcdserverpb.AlarmRequest', raise),
    );
    if (!outcome.ok) throw new Error(outcome.text);
    const { alarms } = decodeReference('etcdserverpb.AlarmResponse', outcome.message);
    const [alarm] = alarms as ReadonlyArray<{ readonly memberID: bigint }>;
    expect(BigInt.asUintN(64, alarm?.memberID ?? 0n)).toBe(memberID);
    const unknown = await call('Maintenance/MoveLeader', { targetID: wireId });
    expect(unknown).toEqual([GrpcCode.FAILED_PRECONDITION, 'etcdserver: bad leader transferee']);
  });
});
