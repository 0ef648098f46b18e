/** Lock and Election, each step of them and each way out, on a whole member in memory (C-7). */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { GrpcCode, recipesWaitingBytesMax } from '../../src/common/index.js';
import { decodeRangeResponse, encodeLeaseTimeToLiveRequest } from '../../src/proto/index.js';
import { SimMachine } from '../crash/sim-node.js';
import { ok, SimClient } from '../faults/sim.js';
import * as call from './concurrency-calls.js';
import type { FakeCall } from './watch-call.js';

let client: SimClient;

beforeEach(async () => {
  client = await SimClient.start(new SimMachine(7));
  for (const id of [1n, 2n, 3n, 0x2an]) ok(await client.grant(id, 600));
});

afterEach(() => {
  expect(client.node.fatal).toEqual([]);
});

const unknown = (text: string) => ({ code: GrpcCode.UNKNOWN, text });

async function done(running: FakeCall, withinMs = 1000): Promise<FakeCall> {
  for (let ms = 0; ms < withinMs && running.ended === 'open'; ms += 20) await client.pass(20);
  return running;
}

async function keys(prefix: string): Promise<string[]> {
  const found = ok(await client.range({ key: prefix, rangeEnd: `${prefix}\xff` }));
  return decodeRangeResponse(found).kvs.map(({ key }) => key);
}

const watchers = (): number => client.node.node.watchHub.counters.watchers;

describe('Lock', () => {
  it('makes a key of name and lease, and answers at once if it is alone (C-7.1)', async () => {
    const held = call.locked(await done(call.lock(client, 'm', 0x2an)));
    expect(held).toMatchObject({ key: 'm/2a', header: { revision: 2 } });
    expect(await keys('m')).toEqual(['m/2a']);
  });

  it('waits for its turn, in the order of the create revisions (C-7.2)', async () => {
    const [first, second, third] = [1n, 2n, 3n].map((id) => call.lock(client, 'm', id));
    await client.pass(200);
    expect(first?.ended).toBe('ended');
    expect([second?.ended, third?.ended]).toEqual(['open', 'open']);
    ok(await client.deleteRange('m/1'));
    await client.pass(200);
    expect(call.locked(second as FakeCall)).toMatchObject({ key: 'm/2', header: { revision: 5 } });
    expect(third?.ended).toBe('open');
    call.unlock(client, 'm/2');
    await client.pass(200);
    expect(call.locked(third as FakeCall)).toMatchObject({ key: 'm/3', header: { revision: 6 } });
    expect(watchers()).toBe(0);
  });

  it('waits for keys that were not made by this service', async () => {
    ok(await client.put('m/by-hand', ''));
    const waiting = call.lock(client, 'm', 1n);
    await client.pass(200);
    expect(waiting.ended).toBe('open');
    ok(await client.deleteRange('m/by-hand'));
    await done(waiting);
    expect(call.locked(waiting)).toMatchObject({ key: 'm/1' });
  });

  it('the same lease again is the same lock (C-7.3)', async () => {
    await done(call.lock(client, 'm', 1n));
    const other = call.lock(client, 'm', 2n);
    const again = await done(call.lock(client, 'm', 1n));
    expect(call.locked(again)).toMatchObject({ key: 'm/1', header: { revision: 3 } });
    expect(other.ended).toBe('open');
  });

  it('cancelling the second call of a lease that owns leaves the lock alone', async () => {
    await done(call.lock(client, 'm', 1n));
    call.lock(client, 'm', 2n);
    await client.pass(100);
    for (let steps = 0; steps < 8; steps += 1) {
      const again = call.lock(client, 'm', 1n);
      for (let step = 0; step < steps; step += 1) await Promise.resolve();
      again.cancel();
      await client.pass(100);
    }
    expect(await keys('m')).toEqual(['m/1', 'm/2']);
  });

  it('cancelling deletes the key, whenever it comes (C-7.3)', async () => {
    await done(call.lock(client, 'm', 1n));
    for (let ms = 0; ms < 30; ms += 1) {
      const waiting = call.lock(client, 'm', 2n);
      await client.pass(ms);
      waiting.cancel();
      await client.pass(300);
      expect(await keys('m')).toEqual(['m/1']);
    }
    expect(watchers()).toBe(0);
  });

  it('a lock whose lease ran out while waiting (L-21)', async () => {
    await done(call.lock(client, 'm', 1n));
    const waiting = call.lock(client, 'm', 2n);
    await client.pass(100);
    ok(await client.revoke(2n));
    await client.pass(100);
    expect(waiting.ended).toBe('open');
    ok(await client.deleteRange('m/1'));
    await done(waiting);
    expect(call.locked(waiting)).toEqual(unknown('mutex: session is expired'));
  });

  it('a key that was made anew meanwhile is not the one that waited', async () => {
    await done(call.lock(client, 'm', 1n));
    const waiting = call.lock(client, 'm', 2n);
    await client.pass(100);
    call.lock(client, 'm', 3n);
    ok(await client.deleteRange('m/2'));
    ok(await client.put('m/2', '', { lease: 2n }));
    ok(await client.deleteRange('m/1'));
    await done(waiting);
    expect(call.locked(waiting)).toEqual(unknown('mutex: session is expired'));
    expect(await keys('m')).toEqual(['m/2', 'm/3']);
  });

  it('without a lease it gets one of 60 seconds that nobody renews (C-7.4)', async () => {
    const held = await done(call.lock(client, 'm', 0n));
    const [key = ''] = await keys('m');
    expect(call.locked(held)).toMatchObject({ key });
    const id = BigInt(`0x${key.slice(2)}`);
    const request = encodeLeaseTimeToLiveRequest({ id, keys: true });
    ok(await client.call('Lease/LeaseTimeToLive', request));
    await client.pass(62_000);
    expect(await keys('m')).toEqual([]);
  });

  it('a call without a lease that ends early gives the lease back', async () => {
    await done(call.lock(client, 'm', 1n));
    const waiting = call.lock(client, 'm', 0n);
    await client.pass(100);
    expect(client.node.node.lessor.size).toBe(5);
    waiting.cancel();
    await client.pass(300);
    expect(client.node.node.lessor.size).toBe(4);
    expect(await keys('m')).toEqual(['m/1']);
  });

  it('fails with the words of etcd and without their codes (C-8.2)', async () => {
    const failures: readonly [FakeCall, string][] = [
      [call.lock(client, 'm', 77n), 'etcdserver: requested lease not found'],
      [call.lock(client, 'm', -1n), 'etcdserver: requested lease not found'],
      [call.lock(client, 'n'.repeat(400_000), 1n), 'etcdserver: request is too large'],
      [call.unlock(client, ''), 'etcdserver: key is not provided'],
    ];
    for (const [running, text] of failures) {
      await done(running);
      expect(call.locked(running)).toEqual(unknown(text));
    }
  });

  it('an empty name is a name; unlocking what is not locked is fine', async () => {
    expect(call.locked(await done(call.lock(client, '', 1n)))).toMatchObject({ key: '/1' });
    const answer = call.unlocked(await done(call.unlock(client, 'nothing')));
    expect(answer).toMatchObject({ header: { revision: 2 } });
  });

  it('bytes that are no request', async () => {
    const running = call.begin(client, 'Lock/Lock', Buffer.from([10, 100, 1]));
    await done(running);
    expect(running.ended).toMatchObject({ code: GrpcCode.INTERNAL });
  });

  it('goes on if what it would watch was compacted', async () => {
    await done(call.lock(client, 'm', 1n));
    const waiting = call.lock(client, 'm', 2n);
    await client.pass(50);
    for (let i = 0; i < 5; i += 1) ok(await client.put('x', `${i}`));
    ok(await client.compact({ revision: client.node.node.store.revision, physical: true }));
    ok(await client.deleteRange('m/1'));
    await done(waiting);
    expect(call.locked(waiting)).toMatchObject({ key: 'm/2' });
  });

  it('a member that stops says so, and leaves the place to be found again', async () => {
    await done(call.lock(client, 'm', 1n));
    const waiting = call.lock(client, 'm', 2n);
    await client.pass(100);
    for (const feature of client.node.node.features) feature.retire?.();
    await client.pass(100);
    expect(waiting.ended).toEqual({
      code: GrpcCode.UNAVAILABLE,
      text: 'etcdserver: server stopped',
    });
    expect(await keys('m')).toEqual(['m/1', 'm/2']);
    expect(call.locked(await done(call.lock(client, 'n', 1n)))).toMatchObject({
      text: 'etcdserver: server stopped',
    });
  });
});

describe('many', () => {
  it('have one watch between them, and are handed the lock one after the other', async () => {
    const count = 300;
    const running: FakeCall[] = [];
    for (let id = 100; id < 100 + count; id += 1) {
      ok(await client.grant(BigInt(id), 600));
      running.push(call.lock(client, 'm', BigInt(id)));
    }
    await client.pass(500);
    expect(watchers()).toBe(1);
    for (let at = 0; at < count; at += 1) {
      const held = call.locked(await done(running[at] as FakeCall));
      expect(held).toMatchObject({ key: `m/${(100 + at).toString(16)}` });
      expect(running.filter(({ ended }) => ended === 'open')).toHaveLength(count - at - 1);
      ok(await client.deleteRange(`m/${(100 + at).toString(16)}`));
    }
    expect(watchers()).toBe(0);
  });

  it('those in the middle may leave', async () => {
    const running = [1n, 2n, 3n, 0x2an].map((id) => call.lock(client, 'm', id));
    await client.pass(100);
    running[1]?.cancel();
    running[2]?.cancel();
    await client.pass(100);
    expect(await keys('m')).toEqual(['m/1', 'm/2a']);
    ok(await client.deleteRange('m/1'));
    expect(call.locked(await done(running[3] as FakeCall))).toMatchObject({ key: 'm/2a' });
  });

  it('no more than there may be', async () => {
    // Each counts with its bytes, so that long names do not add up to more than the bound.
    const name = 'n'.repeat(1_400_000);
    const count = Math.floor(recipesWaitingBytesMax / name.length);
    const running: FakeCall[] = [];
    for (let i = 0; i < count; i += 1) {
      running.push(call.observe(client, name));
      // The reads of all at once would be more than may wait as well.
      await client.pass(10);
    }
    expect(running.filter(({ ended }) => ended === 'open')).toHaveLength(count);
    const last = await done(call.observe(client, name));
    expect(call.locked(last)).toEqual(unknown('etcdserver: too many requests'));
    for (const each of running) each.cancel();
    await client.pass(100);
    expect(call.locked(await done(call.lock(client, 'n', 2n)))).toMatchObject({ key: 'n/2' });
  });
});

describe('Election', () => {
  it('elects, proclaims, resigns (C-7.5)', async () => {
    const first = call.elected(await done(call.campaign(client, 'e', 1n, 'one')));
    const leader = { name: 'e', key: 'e/1', rev: 2, lease: 1n };
    expect(first).toMatchObject({ header: { revision: 2 }, leader });
    const second = call.campaign(client, 'e', 2n, 'two');
    await client.pass(100);
    expect(call.led(await done(call.leader(client, 'e')))).toMatchObject({
      header: { revision: 3 },
      kv: { key: 'e/1', value: Buffer.from('one'), createRevision: 2, lease: 1n },
    });
    const again = await done(call.proclaim(client, leader, 'one again'));
    expect(call.proclaimed(again)).toMatchObject({ header: { revision: 4 } });
    expect(second.ended).toBe('open');
    const gone = await done(call.resign(client, leader));
    expect(call.resigned(gone)).toMatchObject({ header: { revision: 5 } });
    // The header is that of the transaction with which it entered.
    expect(call.elected(await done(second))).toMatchObject({
      header: { revision: 3 },
      leader: { name: 'e', key: 'e/2', rev: 3, lease: 2n },
    });
    const late = await done(call.proclaim(client, leader, 'late'));
    expect(call.proclaimed(late)).toEqual(unknown('election: not leader'));
    // That it did not lead makes no difference.
    expect(call.resigned(await done(call.resign(client, leader)))).toMatchObject({
      header: { revision: 5 },
    });
  });

  it('campaigning again with another value proclaims it', async () => {
    await done(call.campaign(client, 'e', 1n, 'one'));
    const again = await done(call.campaign(client, 'e', 1n, 'other'));
    expect(call.elected(again)).toMatchObject({ header: { revision: 2 }, leader: { rev: 2 } });
    expect(call.led(await done(call.leader(client, 'e')))).toMatchObject({
      kv: { value: Buffer.from('other'), createRevision: 2, modRevision: 3 },
    });
    await done(call.campaign(client, 'e', 1n, 'other'));
    expect(client.node.node.store.revision).toBe(3);
  });

  it('what is missing, and who does not lead', async () => {
    const failures: readonly [FakeCall, string][] = [
      [call.leader(client, 'e'), 'election: no leader'],
      [call.proclaim(client, undefined, 'x'), '"leader" field must be provided'],
      [call.resign(client, undefined), '"leader" field must be provided'],
      [call.proclaim(client, {}, 'x'), 'etcdserver: key is not provided'],
      [call.resign(client, { lease: 1n }), 'etcdserver: key is not provided'],
      [call.proclaim(client, { key: 'e/1', rev: 5, lease: 1n }, 'x'), 'election: not leader'],
      [
        call.proclaim(client, { key: 'e/77', rev: 0, lease: 77n }, 'x'),
        'etcdserver: requested lease not found',
      ],
      [call.campaign(client, 'e', 77n, 'x'), 'etcdserver: requested lease not found'],
    ];
    for (const [running, text] of failures) {
      await done(running);
      expect(running.ended).toEqual(unknown(text));
    }
  });

  it('a candidate that is gone is not elected', async () => {
    await done(call.campaign(client, 'e', 1n, 'one'));
    const waiting = call.campaign(client, 'e', 2n, 'two');
    await client.pass(100);
    ok(await client.revoke(2n));
    ok(await client.deleteRange('e/1'));
    await done(waiting);
    expect(waiting.ended).toEqual(unknown('election: not leader'));
  });

  it('cancelling resigns, whenever it comes', async () => {
    await done(call.campaign(client, 'e', 1n, 'one'));
    for (let ms = 0; ms < 20; ms += 1) {
      const waiting = call.campaign(client, 'e', 2n, 'two');
      await client.pass(ms);
      waiting.cancel();
      await client.pass(300);
      expect(await keys('e')).toEqual(['e/1']);
    }
  });
});

describe('Observe', () => {
  it('tells the leader, what it says, and the next ones (C-7.5)', async () => {
    const seen = call.observe(client, 'e');
    await client.pass(100);
    expect(call.told(seen)).toEqual([]);
    await done(call.campaign(client, 'e', 1n, 'one'));
    await done(call.proclaim(client, { key: 'e/1', rev: 2, lease: 1n }, 'one again'));
    call.campaign(client, 'e', 2n, 'two');
    await client.pass(100);
    ok(await client.deleteRange('e/1'));
    await client.pass(100);
    ok(await client.deleteRange('e/2'));
    await client.pass(100);
    ok(await client.put('e/2', 'two again'));
    await client.pass(100);
    expect(call.told(seen)).toEqual(['one@2', 'one again@3', 'two@5', 'two again@7']);
    expect(seen.ended).toBe('open');
    const later = call.observe(client, 'e');
    await client.pass(100);
    expect(call.told(later)).toEqual(['two again@7']);
    seen.cancel();
    later.cancel();
    await client.pass(100);
    expect(watchers()).toBe(0);
  });

  it('goes on over a compaction, and tells nothing twice', async () => {
    await done(call.campaign(client, 'e', 1n, 'one'));
    const seen = call.observe(client, 'e');
    await client.pass(100);
    for (let i = 0; i < 5; i += 1) ok(await client.put('x', `${i}`));
    ok(await client.compact({ revision: client.node.node.store.revision, physical: true }));
    await done(call.proclaim(client, { key: 'e/1', rev: 2, lease: 1n }, 'later'));
    await client.pass(100);
    expect(call.told(seen)).toEqual(['one@2', `later@${client.node.node.store.revision}`]);
  });

  it('one that does not read holds its watch back, and misses nothing', async () => {
    await done(call.campaign(client, 'e', 1n, '0'));
    const seen = call.observe(client, 'e');
    await client.pass(100);
    seen.stuck = true;
    for (let i = 1; i <= 400; i += 1) ok(await client.put('e/1', 'v'.repeat(20_000) + i));
    await client.pass(100);
    expect(seen.sent.length).toBeLessThan(5);
    seen.drain();
    await client.pass(500);
    const values = call.told(seen).map((each) => Number(/(\d+)@/.exec(each)?.[1]));
    expect(values).toEqual(Array.from({ length: 401 }, (_, i) => i));
  });

  it('needs a leader if it says so, and ends without one', async () => {
    const seen = call.observe(client, 'e', { hasleader: 'true' });
    await client.pass(100);
    expect(seen.ended).toBe('open');
    for (const feature of client.node.node.features) feature.retire?.();
    await client.pass(100);
    expect(seen.ended).toMatchObject({ code: GrpcCode.UNAVAILABLE });
  });
});
