/**
 * Bugs that others had (docs/lessons.md), against a whole node, through its rpc handlers. Those
 * that are about damage, faults and space are in test/faults; those about crashes in test/crash.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GrpcCode } from '../../src/common/index.js';
import {
  decodeLeaseKeepAliveResponse,
  decodeRangeResponse,
  decodeTxnResponse,
  decodeWatchResponse,
  encodeCompactionRequest,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
  encodePutRequest,
  encodeTxnRequest,
  encodeWatchCancelRequest,
  encodeWatchCreateRequest,
  encodeWatchProgressRequest,
  hashKvRequest,
  hashKvResponse,
  type RequestOp,
  rangeOf,
  type WatchCreateRequest,
} from '../../src/proto/index.js';
import { type SimProcessClock, SimRandom } from '../../src/sim/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, putOp, SimClient } from '../faults/sim.js';
import { lock, locked } from '../server/concurrency-calls.js';

const everything = { key: '\0', rangeEnd: '\0' };
const compacted = {
  ok: false,
  code: GrpcCode.OUT_OF_RANGE,
  text: 'etcdserver: mvcc: required revision has been compacted',
};

let client: SimClient;

beforeEach(async () => {
  client = await SimClient.start(new SimMachine(9));
});

afterEach(() => {
  expect(client.node.fatal).toEqual([]);
});

function watch(request: Partial<WatchCreateRequest> = {}) {
  const stream = client.stream('Watch/Watch');
  stream.onMessage?.(encodeWatchCreateRequest({ ...everything, ...request }));
  const answers = () => stream.sent.map((bytes) => decodeWatchResponse(bytes));
  const events = () =>
    answers().flatMap((answer) =>
      answer.events.map(
        ({ type, kv }) => `${type === 0 ? 'put' : 'delete'} ${kv?.key} @${kv?.modRevision}`,
      ),
    );
  return { stream, answers, events };
}

function rangeAt(revision: number): RequestOp {
  return { type: 'range', request: { ...rangeOf('a'), revision } };
}

describe('watch', () => {
  it('the delete at the compacted revision reaches one that starts there (L-6)', async () => {
    ok(await client.put('a', '1'));
    ok(await client.deleteRange('a'));
    ok(await client.compact({ revision: 3, physical: true }));
    const { events } = watch({ startRevision: 3 });
    await client.pass(200);
    expect(events()).toEqual(['delete a @3']);
  });

  it('and one that starts there with later events behind it, after a restart (L-7)', async () => {
    ok(await client.put('a', '1'));
    ok(await client.deleteRange('a'));
    ok(await client.put('b', '1'));
    ok(await client.compact({ revision: 3, physical: true }));
    client = await client.restart();
    const { events } = watch({ startRevision: 3 });
    await client.pass(200);
    expect(events()).toEqual(['delete a @3', 'put b @4']);
  });

  it('a progress answer is never ahead of events that were not sent (L-9)', async () => {
    for (let i = 0; i < 300; i++) ok(await client.put(`k${i}`, 'v'));
    const { stream, answers } = watch({ startRevision: 2 });
    let seen = 1;
    for (let i = 0; i < 40; i++) {
      stream.onMessage?.(encodeWatchProgressRequest());
      await client.pass(1);
    }
    await client.pass(500);
    for (const { events, header, created } of answers()) {
      for (const { kv } of events) seen = Math.max(seen, kv?.modRevision ?? 0);
      if (events.length === 0 && !created)
        expect(seen).toBeGreaterThanOrEqual(header?.revision ?? 0);
    }
    expect(seen).toBe(301);
    const progress = answers().filter(({ events, created }) => events.length === 0 && !created);
    expect(progress.length).toBeGreaterThan(0);
  });

  it('one that can not send for a second gets everything, in order (L-10)', async () => {
    const { stream, events } = watch();
    await client.pass(20);
    stream.stuck = true;
    const puts = Array.from({ length: 2000 }, (_, i) =>
      client.node.call('KV/Put', encodePutRequest({ key: 'a', value: Buffer.from(`${i}`) })),
    );
    await client.machine.clock.runUntil(Promise.all(puts));
    await client.pass(1000);
    stream.drain();
    await client.pass(1000);
    expect(events()).toEqual(puts.map((_, i) => `put a @${i + 2}`));
  });

  it('no event comes twice, though transactions touch the same keys (L-11)', async () => {
    const random = new SimRandom(4);
    const early = watch({ startRevision: 1 });
    for (let i = 0; i < 300; i++) {
      const [a, b] = [`k${random.below(3)}`, `k${3 + random.below(3)}`];
      const remove: RequestOp = {
        type: 'deleteRange',
        request: { key: b, rangeEnd: '', prevKv: false },
      };
      ok(await client.txn([putOp(a, `${i}`), random.chance(0.5) ? remove : putOp(b, `${i}`)]));
    }
    const late = watch({ startRevision: 1 });
    await client.pass(500);
    expect(new Set(early.events()).size).toBe(early.events().length);
    expect(late.events()).toEqual(early.events());
    expect(early.events().length).toBeGreaterThan(400);
  });

  it('a start in the future sees nothing older (L-12)', async () => {
    const { events } = watch({ startRevision: 60 });
    for (let i = 0; i < 70; i++) ok(await client.put('a', `${i}`));
    await client.pass(200);
    expect(events()[0]).toBe('put a @60');
    expect(events()).toHaveLength(71 - 59);
  });

  it('id 0 is canceled like any other, and an unknown id cancels nothing (L-13)', async () => {
    const { stream, answers } = watch();
    stream.onMessage?.(encodeWatchCreateRequest({ key: 'b' }));
    stream.onMessage?.(encodeWatchCancelRequest(77));
    stream.onMessage?.(encodeWatchCancelRequest(0));
    await client.pass(50);
    ok(await client.put('b', '1'));
    await client.pass(50);
    expect(answers().map(({ watchId, canceled }) => [watchId, canceled])).toEqual([
      [0, false],
      [1, false],
      [0, true],
      [1, false],
    ]);
  });

  it('stops in order while one is still reading history', async () => {
    for (let i = 0; i < 400; i++) ok(await client.put(`k${i}`, 'x'.repeat(500)));
    client = await client.restart();
    for (let i = 0; i < 5; i++) watch({ startRevision: 2 });
    await client.machine.clock.runUntil(client.node.node.stop());
    expect(client.node.node.watchHub.counters.watchers).toBe(0);
    await client.pass(5000);
  });

  it('nobody sees a write whose log record is not durable (L-37)', async () => {
    ok(await client.put('a', 'old'));
    const { events } = watch();
    await client.pass(50);
    const { disk } = client.machine;
    disk.slowDown(100_000);
    void client.node.call('KV/Put', encodePutRequest({ key: 'a', value: Buffer.from('new') }));
    await client.pass(50);
    const read = decodeRangeResponse(ok(await client.range({ key: 'a', serializable: true })));
    expect(read.kvs.map(({ value }) => value.toString())).toEqual(['old']);
    expect(events()).toEqual([]);
    disk.slowDown(1);
    client = await client.restart();
  });
});

describe('leases', () => {
  const grant = (id: bigint) => encodeLeaseGrantRequest({ id, ttlSeconds: 60 });

  it('a renewal that races with the revoke never says that a dead lease lives (L-17)', async () => {
    for (let gap = 0; gap < 12; gap++) {
      ok(await client.call('Lease/LeaseGrant', grant(5n)));
      const stream = client.stream('Lease/LeaseKeepAlive');
      let revoked = false;
      const revoking = client.node.call('Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id: 5n }));
      void revoking.then(() => {
        revoked = true;
      });
      await client.pass(gap);
      const wasRevoked = revoked;
      stream.onMessage?.(encodeLeaseKeepAliveRequest({ id: 5n }));
      await client.pass(200);
      const ttl = stream.sent.map((bytes) => decodeLeaseKeepAliveResponse(bytes).ttlSeconds);
      expect(ttl).toHaveLength(1);
      if (wasRevoked) expect(ttl).toEqual([0]);
      stream.cancel();
    }
  });

  it('a lease can be renewed as soon as its grant is answered (L-18)', async () => {
    const stream = client.stream('Lease/LeaseKeepAlive');
    void client.node.call('Lease/LeaseGrant', grant(5n)).then(() => {
      stream.onMessage?.(encodeLeaseKeepAliveRequest({ id: 5n }));
    });
    await client.pass(500);
    expect(stream.sent.map((bytes) => decodeLeaseKeepAliveResponse(bytes).ttlSeconds)).toEqual([
      60,
    ]);
  });

  it('one that was deposed answers so, and goes on (L-16)', async () => {
    ok(await client.call('Lease/LeaseGrant', grant(5n)));
    client.node.node.lessor.demote();
    const request = encodeLeaseTimeToLiveRequest({ id: 5n, keys: false });
    // Nobody leads the leases now, so nobody knows; whoever asks again later gets an answer.
    const unavailable = { ok: false, code: GrpcCode.UNAVAILABLE };
    expect(await client.call('Lease/LeaseTimeToLive', request)).toMatchObject(unavailable);
    ok(await client.put('a', '1'));
  });

  it('a lock whose lease ran out while waiting is not granted (L-21)', async () => {
    for (const id of [5n, 6n]) ok(await client.call('Lease/LeaseGrant', grant(id)));
    const holder = lock(client, 'm', 5n);
    await client.pass(100);
    expect(locked(holder)).toMatchObject({ key: 'm/5' });
    const waiting = lock(client, 'm', 6n);
    await client.pass(100);
    ok(await client.call('Lease/LeaseRevoke', encodeLeaseRevokeRequest({ id: 6n })));
    ok(await client.deleteRange('m/5'));
    await client.pass(100);
    expect(locked(waiting)).toEqual({ code: GrpcCode.UNKNOWN, text: 'mutex: session is expired' });
  });
});

describe('storage', () => {
  it('the revision never goes back, wherever a compaction is cut off (L-5)', async () => {
    for (let cut = 0; cut < 40; cut += 2) {
      const machine = new SimMachine(cut, { loseAllUnsynced: cut % 4 === 0 });
      client = await SimClient.start(machine, '--compaction-batch-limit', '10');
      for (let i = 0; i < 60; i++) ok(await client.put(`k${i % 7}`, `${i}`));
      const { revision } = client.node.node.store;
      void client.node.call(
        'KV/Compact',
        encodeCompactionRequest({ revision: 55, physical: true }),
      );
      await client.pass(cut);
      client = await client.restart('--compaction-batch-limit', '10');
      expect(client.node.node.store.revision).toBe(revision);
      expect(decodeRangeResponse(ok(await client.range(everything))).count).toBe(7);
    }
  });

  it('reading a revision in a txn depends on the order in the log alone (L-14)', async () => {
    for (let i = 0; i < 5; i++) ok(await client.put('a', `${i}`));
    const txn = (name: string) =>
      encodeTxnRequest({ compare: [], success: [rangeAt(4), putOp(name, 'v')], failure: [] });
    const outcomes = await client.machine.clock.runUntil(
      Promise.all([
        client.node.call('KV/Txn', txn('before')),
        client.node.call('KV/Compact', encodeCompactionRequest({ revision: 5, physical: false })),
        client.node.call('KV/Txn', txn('after')),
      ]),
    );
    const [before, , after] = outcomes;
    const [range] = decodeTxnResponse(ok(before)).responses;
    expect(range?.type === 'range' && range.response.kvs[0]?.value.toString()).toBe('2');
    expect(after).toEqual(compacted);
    const state = async () => {
      const hash = ok(await client.call('Maintenance/HashKV', hashKvRequest.encode({})));
      const { kvs } = decodeRangeResponse(ok(await client.range(everything)));
      return [hashKvResponse.decode(hash).hash, kvs.map(({ key }) => key)];
    };
    const expected = await state();
    expect(expected[1]).toEqual(['a', 'before']);
    client = await client.restart();
    expect(await state()).toEqual(expected);
  });

  it('a first start that failed at any operation is a first start again (L-27)', async () => {
    const whole = new SimMachine(2);
    client = await SimClient.start(whole);
    const operations = whole.disk.operations;
    const { clusterId } = client.node.node;
    for (let at = 0; at < operations; at++) {
      const machine = new SimMachine(2);
      machine.disk.haltAt(at);
      await machine.start();
      machine.crash();
      client = await SimClient.start(machine);
      expect(client.node.node.clusterId).toBe(clusterId);
      ok(await client.put('a', '1'));
    }
  });

  it('transactions that were in flight over a pause of 5 s end, and the node lives (L-36)', async () => {
    for (let i = 0; i < 9; i++) ok(await client.put('a', `${i}`));
    ok(await client.compact({ revision: 5, physical: true }));
    const clock = client.node.node.ports.clock as SimProcessClock;
    const request = (revision: number) =>
      encodeTxnRequest({ compare: [], success: [rangeAt(revision), putOp('b', 'v')], failure: [] });
    const calls = [2, 6, 900].map((revision) => client.node.call('KV/Txn', request(revision)));
    await client.pass(0.1);
    clock.freeze();
    await client.pass(5000);
    clock.unfreeze();
    const [past, present, future] = await client.machine.clock.runUntil(Promise.all(calls));
    expect(past).toEqual(compacted);
    expect(present?.ok).toBe(true);
    expect(future).toMatchObject({ ok: false, code: GrpcCode.OUT_OF_RANGE });
    ok(await client.put('b', 'w'));
  });
});
