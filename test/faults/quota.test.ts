/**
 * No space left (L-28, L-29, C-6.3, C-6.4): what is refused, what still works, and how it
 * ends; the same for CORRUPT.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { GrpcCode } from '../../src/common/index.js';
import {
  AlarmAction,
  AlarmType,
  decodeLeaseKeepAliveResponse,
  decodeRangeResponse,
  encodeLeaseKeepAliveRequest,
  encodePutRequest,
  type RequestOp,
  rangeOf,
  statusResponse,
} from '../../src/proto/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, putOp, SimClient } from './sim.js';

const quotaBytes = 100_000;
const flags = ['--quota-backend-bytes', String(quotaBytes)];
const kilobyte = 'x'.repeat(1000);
const noSpace = {
  ok: false,
  code: GrpcCode.RESOURCE_EXHAUSTED,
  text: 'etcdserver: mvcc: database space exceeded',
};
const corrupt = { ok: false, code: GrpcCode.DATA_LOSS, text: 'etcdserver: corrupt cluster' };
const rangeOp: RequestOp = { type: 'range', request: rangeOf('k1') };
const deleteOp: RequestOp = {
  type: 'deleteRange',
  request: { key: 'k2', rangeEnd: '', prevKv: false },
};

let client: SimClient;

beforeEach(async () => {
  client = await SimClient.start(new SimMachine(3), ...flags);
});

/** Puts until one is refused; the number that were not. */
async function fill(): Promise<number> {
  for (let i = 0; i < 200; i++) {
    const outcome = await client.put(`k${i}`, kilobyte);
    if (outcome.ok) continue;
    expect(outcome).toEqual(noSpace);
    await client.pass(100);
    return i;
  }
  throw new Error('the quota was never reached');
}

async function keepAlive(id: bigint): Promise<number | undefined> {
  const call = client.stream('Lease/LeaseKeepAlive');
  call.onMessage?.(encodeLeaseKeepAliveRequest({ id }));
  await client.pass(50);
  const [answer] = call.sent;
  call.cancel();
  return answer === undefined ? undefined : decodeLeaseKeepAliveResponse(answer).ttlSeconds;
}

describe('at the quota (L-28)', () => {
  it('raises NOSPACE for this member, in the answers of Alarm and Status', async () => {
    const written = await fill();
    expect(written).toBeGreaterThan(80);
    const { memberId } = client.node.node;
    expect(await client.alarms()).toEqual([{ memberId, alarm: AlarmType.NOSPACE }]);
    const status = statusResponse.decode(
      ok(await client.call('Maintenance/Status', Buffer.alloc(0))),
    );
    expect(status.errors).toEqual([`memberID:${memberId} alarm:NOSPACE`]);
    expect(client.node.node.store.sizeBytes).toBeLessThan(quotaBytes);
    expect(status.dbSizeQuotaBytes).toBe(quotaBytes);
  });

  it('applies a write that only apply found too much, and answers it with the error', async () => {
    const requests = Array.from({ length: 150 }, (_, i) =>
      client.node.call(
        'KV/Put',
        encodePutRequest({ key: `at-once/${i}`, value: Buffer.from(kilobyte) }),
      ),
    );
    const outcomes = await client.machine.clock.runUntil(Promise.all(requests));
    await client.pass(100);
    const refused = outcomes.filter((outcome) => !outcome.ok);
    expect(refused.length).toBeGreaterThan(10);
    for (const outcome of refused) expect(outcome).toEqual(noSpace);
    const there = decodeRangeResponse(
      ok(await client.range({ key: 'at-once/', rangeEnd: 'at-once0' })),
    );
    expect(there.count).toBeGreaterThan(outcomes.length - refused.length);
    expect(await client.alarms()).toHaveLength(1);
    expect(await client.put('small', '')).toEqual(noSpace);
  });

  it('counts a write once: one of more than half of what is left is stored, and no alarm', async () => {
    const { store } = client.node.node;
    const left = quotaBytes - store.sizeBytes;
    ok(await client.put('large', 'x'.repeat(Math.floor(left * 0.7))));
    ok(await client.txn([putOp('rest', 'x'.repeat(Math.floor(left * 0.2)))]));
    await client.pass(100);
    expect(await client.alarms()).toEqual([]);
    // What does not fit is refused as before.
    expect(await client.put('more', 'x'.repeat(Math.floor(left * 0.2)))).toEqual(noSpace);
  });

  it('refuses whatever adds data, however little', async () => {
    ok(await client.grant(5n, 100));
    await fill();
    expect(await client.put('small', '')).toEqual(noSpace);
    expect(await client.put('k1', '', { ignoreLease: true })).toEqual(noSpace);
    expect(await client.grant(6n, 100)).toEqual(noSpace);
    expect(await client.txn([putOp('small', '')])).toEqual(noSpace);
    expect(await client.txn([rangeOp], [putOp('small', '')])).toEqual(noSpace);
    const nested: RequestOp = {
      type: 'txn',
      request: { compare: [], success: [deleteOp], failure: [putOp('small', '')] },
    };
    expect(await client.txn([nested])).toEqual(noSpace);
  });

  it('reads, deletes, compacts, defragments, revokes and renews as before', async () => {
    ok(await client.grant(5n, 100));
    ok(await client.grant(6n, 100));
    ok(await client.put('leased', 'v', { lease: 5n }));
    await fill();
    expect(decodeRangeResponse(ok(await client.range({ key: 'k1' }))).count).toBe(1);
    ok(await client.txn([rangeOp]));
    ok(await client.txn([deleteOp, rangeOp]));
    expect(decodeRangeResponse(ok(await client.range({ key: 'k2' }))).count).toBe(0);
    expect(await keepAlive(6n)).toBe(100);
    ok(await client.revoke(5n));
    expect(decodeRangeResponse(ok(await client.range({ key: 'leased' }))).count).toBe(0);
    const deleted = await client.deleteRange('k', 'l');
    const { revision } = client.node.node.store;
    ok(deleted);
    ok(await client.compact({ revision, physical: true }));
    ok(await client.call('Maintenance/Defragment', Buffer.alloc(0)));
  });

  it('expires leases all the same', async () => {
    ok(await client.grant(5n, 5));
    ok(await client.put('leased', 'v', { lease: 5n }));
    await fill();
    await client.pass(10_000);
    expect(decodeRangeResponse(ok(await client.range({ key: 'leased' }))).count).toBe(0);
  });

  it('goes on once space was made and the alarm disarmed, and not before both', async () => {
    await fill();
    const { memberId, store } = client.node.node;
    await client.alarm(AlarmAction.DEACTIVATE, memberId, AlarmType.NOSPACE);
    expect(await client.alarms()).toEqual([]);
    expect(await client.put('still too much', kilobyte)).toEqual(noSpace);
    await client.pass(100);
    expect(await client.alarms()).toHaveLength(1);
    ok(await client.deleteRange('k', 'l'));
    ok(await client.compact({ revision: store.revision, physical: true }));
    expect(await client.put('alarmed', '')).toEqual(noSpace);
    await client.alarm(AlarmAction.DEACTIVATE, memberId, AlarmType.NOSPACE);
    ok(await client.put('again', kilobyte));
    expect(await client.alarms()).toEqual([]);
  });
});

describe('the alarm rpc', () => {
  it('disarms the exact pair only: member 0 and type NONE stand for nothing', async () => {
    const { NOSPACE, CORRUPT, NONE } = AlarmType;
    const { ACTIVATE, DEACTIVATE, GET } = AlarmAction;
    const both = [
      { memberId: 7n, alarm: NOSPACE },
      { memberId: 8n, alarm: NOSPACE },
    ];
    expect(await client.alarm(ACTIVATE, 7n, NOSPACE)).toEqual([both[0]]);
    expect(await client.alarm(ACTIVATE, 8n, NOSPACE)).toEqual([both[1]]);
    expect(await client.alarm(ACTIVATE, 9n, NONE)).toEqual([]);
    expect(await client.alarm(DEACTIVATE, 0n, NOSPACE)).toEqual([]);
    expect(await client.alarm(DEACTIVATE, 0n, NONE)).toEqual([]);
    expect(await client.alarm(DEACTIVATE, 7n, NONE)).toEqual([]);
    expect(await client.alarm(DEACTIVATE, 7n, CORRUPT)).toEqual([]);
    expect(await client.alarms()).toEqual(both);
    expect(await client.alarm(GET, 7n, NOSPACE)).toEqual(both);
    expect(await client.alarm(GET, 0n, CORRUPT)).toEqual([]);
    expect(await client.alarm(DEACTIVATE, 7n, NOSPACE)).toEqual([both[0]]);
    expect(await client.put('k', 'v')).toEqual(noSpace);
    expect(await client.alarm(DEACTIVATE, 8n, NOSPACE)).toEqual([both[1]]);
    ok(await client.put('k', 'v'));
  });
});

describe('a restart (L-29)', () => {
  const states: ReadonlyArray<readonly [string, readonly number[]]> = [
    ['no alarm', []],
    ['NOSPACE', [AlarmType.NOSPACE]],
    ['CORRUPT', [AlarmType.CORRUPT]],
    ['both', [AlarmType.NOSPACE, AlarmType.CORRUPT]],
    ['an alarm of a type nobody knows', [77]],
  ];
  for (const [name, types] of states) {
    for (const settled of [false, true]) {
      it(`with ${name}, ${settled ? 'written' : 'only in the log'}`, async () => {
        ok(await client.put('before', 'v'));
        for (const type of types) await client.alarm(AlarmAction.ACTIVATE, 7n, type);
        expect(await client.alarms()).toHaveLength(types.length);
        if (settled) await client.machine.clock.runUntil(client.node.node.stop());
        client = await client.restart(...flags);
        expect((await client.alarms()).map(({ alarm }) => alarm)).toEqual(types);
        expect(decodeRangeResponse(ok(await client.range({ key: 'before' }))).count).toBe(1);
        const put = await client.put('after', 'v');
        if (types.includes(AlarmType.CORRUPT)) expect(put).toEqual(corrupt);
        else if (types.includes(AlarmType.NOSPACE)) expect(put).toEqual(noSpace);
        else ok(put);
        for (const type of types) await client.alarm(AlarmAction.DEACTIVATE, 7n, type);
        client = await client.restart(...flags);
        expect(await client.alarms()).toEqual([]);
        ok(await client.put('after', 'v'));
      });
    }
  }

  it('with a quota below what is there already', async () => {
    await fill();
    client = await client.restart('--quota-backend-bytes', '1000');
    expect(await client.put('k', 'v')).toEqual(noSpace);
    const { memberId } = client.node.node;
    await client.alarm(AlarmAction.DEACTIVATE, memberId, AlarmType.NOSPACE);
    client = await client.restart('--quota-backend-bytes', '-1');
    ok(await client.put('k', kilobyte));
  });
});

describe('CORRUPT', () => {
  it('refuses every change, and leaves reading and its own end', async () => {
    ok(await client.put('k1', 'v'));
    ok(await client.grant(5n, 100));
    await client.alarm(AlarmAction.ACTIVATE, 7n, AlarmType.CORRUPT);
    expect(await client.put('k1', 'w')).toEqual(corrupt);
    expect(await client.deleteRange('k1')).toEqual(corrupt);
    expect(await client.txn([putOp('k1', 'w')])).toEqual(corrupt);
    expect(await client.txn([deleteOp])).toEqual(corrupt);
    expect(await client.compact({ revision: 2, physical: false })).toEqual(corrupt);
    expect(await client.grant(6n, 100)).toEqual(corrupt);
    expect(await client.revoke(5n)).toEqual(corrupt);
    const { kvs } = decodeRangeResponse(ok(await client.range({ key: 'k1' })));
    expect(kvs.map(({ value }) => value.toString())).toEqual(['v']);
    await client.alarm(AlarmAction.DEACTIVATE, 7n, AlarmType.CORRUPT);
    ok(await client.put('k1', 'w'));
    expect(client.node.fatal).toEqual([]);
  });

  it('comes before NOSPACE', async () => {
    await client.alarm(AlarmAction.ACTIVATE, 7n, AlarmType.CORRUPT);
    ok(await client.call('Maintenance/Status', Buffer.alloc(0)));
    await client.alarm(AlarmAction.ACTIVATE, 7n, AlarmType.NOSPACE);
    expect(await client.deleteRange('k1')).toEqual(corrupt);
    expect(await client.put('k1', 'v')).toEqual(corrupt);
    expect(await client.grant(5n, 100)).toEqual(corrupt);
    expect(await client.txn([putOp('k1', 'v')])).toEqual(corrupt);
  });
});
