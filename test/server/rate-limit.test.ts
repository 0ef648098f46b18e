/** `--rate-limit`: its text, its buckets, and the guard that refuses or holds up. */

import { describe, expect, it } from 'vitest';
import { type Caller, GrpcCode, nobody, theMember } from '../../src/common/index.js';
import { TokenBuckets } from '../../src/server/guard/index.js';
import { Metrics } from '../../src/server/metrics/metrics.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { parseRateLimit } from '../../src/server/options/rate-limit.js';
import { RateGuard } from '../../src/server/rpc/index.js';
import { hostOf } from '../../src/server/rpc/rate-guard.js';
import { retryDetails } from '../../src/server/rpc/retry-info.js';
import { SimClock } from '../../src/sim/index.js';
import { FakeCall } from './watch-call.js';

describe('the text', () => {
  it('is a rate, and what may stand behind it', () => {
    expect(parseRateLimit('')).toBeUndefined();
    expect(parseRateLimit('500')).toEqual({ perSecond: 500, burst: 500, per: 'user' });
    expect(parseRateLimit('500/s, burst=1000, per=address')).toEqual({
      perSecond: 500,
      burst: 1000,
      per: 'address',
    });
    expect(parseRateLimit('30/m')).toEqual({ perSecond: 0.5, burst: 1, per: 'user' });
    expect(parseRateLimit('2.5')?.burst).toBe(3);
    expect(defaultConfig().rateLimit).toBeUndefined();
    expect(defaultConfig('--rate-limit', '7').rateLimit?.perSecond).toBe(7);
  });

  const wrong = ['x', '0', '-1', '5/d', '5,burst', '5,burst=0', '5,per=ip', '5,burst=1,burst=2'];
  it.each([...wrong, '9e9', '5,,', '2000000', '5,burst=99999999'])('%s is refused', (text) => {
    expect(() => parseRateLimit(text)).toThrow(/^--rate-limit: /);
  });
});

describe('buckets', () => {
  it('fill at the rate, up to the burst', async () => {
    const clock = new SimClock();
    const buckets = new TokenBuckets({ clock, perSecond: 10, burst: 5, keysMax: 10 });
    const taken = (): number => {
      let count = 0;
      while (buckets.take('a') === 0) count += 1;
      return count;
    };
    expect(taken()).toBe(5);
    expect(buckets.take('a')).toBeCloseTo(100);
    expect(buckets.take('b')).toBe(0);
    await clock.run(250);
    expect(taken()).toBe(2);
    await clock.run(1e9);
    expect(taken()).toBe(5);
  });

  it('lend what is to come, in order and not for ever', () => {
    const clock = new SimClock();
    const buckets = new TokenBuckets({ clock, perSecond: 10, burst: 1, keysMax: 10 });
    const waits = [0, 1, 2, 3].map(() => buckets.reserve('a', 250));
    expect(waits).toEqual([0, 100, 200, Number.POSITIVE_INFINITY]);
  });

  it('are bounded in memory, and those in use stay', () => {
    const clock = new SimClock();
    const buckets = new TokenBuckets({ clock, perSecond: 0.001, burst: 1, keysMax: 100 });
    expect(buckets.take('mine')).toBe(0);
    for (let i = 0; i < 10_000; i += 1) {
      buckets.take(`other ${i}`);
      if (i % 10 === 0) expect(buckets.take('mine')).toBeGreaterThan(0);
    }
    expect(buckets.size).toBeLessThanOrEqual(100);
  });
});

describe('whose requests they are', () => {
  const cases: ReadonlyArray<readonly [string, string]> = [
    ['10.1.2.3:4567', '10.1.2.3'],
    ['[::ffff:10.1.2.3]:4567', '10.1.2.3'],
    ['[::1]:4567', '::1'],
    ['[2001:db8:1:2:3:4:5:6]:1', '2001:db8:1:2'],
    ['[2001:db8:1:2::9]:1', '2001:db8:1:2'],
    ['[2001:0db8::9]:1', '2001:db8:0:0'],
    ['[fe80::1%eth0]:1', 'fe80::1%eth0'],
    ['unix', 'unix'],
  ];
  it.each(cases)('%s: %s', (address, host) => {
    expect(hostOf(address)).toBe(host);
  });
});

/** A call from an address, by a user if auth is on. */
function callFrom(address: string, caller?: Caller): FakeCall {
  const call = new FakeCall();
  Object.assign(call, { peer: { ...call.peer, address }, caller });
  return call;
}

const user = (name: string): Caller => ({ ...nobody, name, authRevision: 1 });

function setUp(text: string) {
  const clock = new SimClock();
  const metrics = new Metrics();
  const limit = parseRateLimit(text);
  if (limit === undefined) throw new Error('no limit');
  return { clock, metrics, guard: new RateGuard(limit, clock, metrics) };
}

const count = (metrics: Metrics, type: string): number =>
  [...metrics.rateLimited.rows()].find(({ labels }) => labels.type === type)?.value ?? 0;

describe('a call above the limit', () => {
  it('is refused and told when to come again; then it passes', async () => {
    const { clock, guard, metrics } = setUp('4,burst=2');
    const call = () => callFrom('10.0.0.1:1');
    expect([guard.refuses(call()), guard.refuses(call())]).toEqual([false, false]);
    const refused = callFrom('10.0.0.1:2');
    expect(guard.refuses(refused)).toBe(true);
    expect(refused.ended).toEqual({
      code: GrpcCode.RESOURCE_EXHAUSTED,
      text: 'kvorum: more requests than --rate-limit allows, come again in 250 ms',
    });
    expect(count(metrics, 'refused')).toBe(1);
    expect(guard.refuses(callFrom('10.0.0.2:1'))).toBe(false);
    await clock.run(250);
    expect(guard.refuses(call())).toBe(false);
  });

  it('counts by user while auth is on, from wherever; nobody as the address', () => {
    const { guard } = setUp('1,per=user');
    expect(guard.refuses(callFrom('10.0.0.1:1', user('eve')))).toBe(false);
    expect(guard.refuses(callFrom('10.0.0.2:1', user('eve')))).toBe(true);
    expect(guard.refuses(callFrom('10.0.0.1:1', user('bob')))).toBe(false);
    expect(guard.refuses(callFrom('10.0.0.1:1', nobody))).toBe(false);
    expect(guard.refuses(callFrom('10.0.0.1:1', nobody))).toBe(true);
    // A name that looks like an address is one of its own.
    expect(guard.refuses(callFrom('10.0.0.9:1', user('10.0.0.1')))).toBe(false);
    expect(guard.refuses(callFrom('10.0.0.9:1', theMember))).toBe(false);
    expect(guard.refuses(callFrom('10.0.0.9:1', theMember))).toBe(false);
  });

  it('counts by address if so wanted', () => {
    const { guard } = setUp('1,per=address');
    expect(guard.refuses(callFrom('10.0.0.1:1', user('eve')))).toBe(false);
    expect(guard.refuses(callFrom('10.0.0.1:9', user('bob')))).toBe(true);
  });

  it('is never one that keeps or ends leases, of members, maintenance or health', () => {
    const { guard } = setUp('1');
    const free = ['Lease/LeaseKeepAlive', 'Lease/LeaseRevoke', 'Cluster/MemberAdd'];
    free.push('Cluster/MemberList', 'Maintenance/Alarm', 'Maintenance/Status');
    for (const name of free) expect(guard.of(`/etcdserverpb.${name}`), name).toBeUndefined();
    expect(guard.of('/grpc.health.v1.Health/Check')).toBeUndefined();
    for (const name of ['KV/Range', 'KV/Put', 'Watch/Watch', 'Lease/LeaseGrant', 'Auth/UserAdd']) {
      expect(guard.of(`/etcdserverpb.${name}`), name).toBe(guard);
    }
  });
});

describe('messages of a stream above the limit', () => {
  const create = (i: number): Buffer => Buffer.from([0x0a, i]);
  const cancel = Buffer.from([0x12, 0]);

  it('wait their turn, in order, and the stream is not read meanwhile', async () => {
    const { clock, guard, metrics } = setUp('10,burst=2');
    const call = callFrom('10.0.0.1:1');
    const got: Array<readonly [number, number]> = [];
    call.onMessage = (message) => got.push([clock.nowMs(), message[1] ?? 0]);
    guard.pace(call);
    for (let i = 1; i <= 4; i += 1) call.onMessage?.(create(i));
    expect(got).toEqual([
      [0, 1],
      [0, 2],
    ]);
    expect(call.paused).toBe(true);
    await clock.run(1000);
    expect(got.slice(2)).toEqual([
      [100, 3],
      [200, 4],
    ]);
    expect(call.paused).toBe(false);
    expect(count(metrics, 'delayed')).toBe(2);
    expect(call.ended).toBe('open');
  });

  it.each([
    ['that give something up pass', '/etcdserverpb.Watch/Watch', cancel, 100],
    // The last member of a union counts: it is a watch that is created.
    [
      'that only begin like that do not',
      '/etcdserverpb.Watch/Watch',
      Buffer.concat([cancel, Buffer.from([0x0a, 0])]),
      1,
    ],
    ['that look like that elsewhere do not', '/test/Test', cancel, 1],
  ] as const)('%s', (_name, method, message, passed) => {
    const { guard } = setUp('1');
    const call = Object.assign(callFrom('10.0.0.1:1'), { method });
    let got = 0;
    call.onMessage = () => got++;
    guard.pace(call);
    for (let i = 0; i < 100; i += 1) call.onMessage?.(message);
    expect(got).toBe(passed);
  });

  it('that would wait too long end it, and its handler is told', () => {
    const { guard } = setUp('1/m');
    const call = callFrom('10.0.0.1:1');
    let told = 0;
    call.onMessage = () => {};
    call.onCancel = () => told++;
    guard.pace(call);
    call.onMessage?.(create(1));
    call.onMessage?.(create(2));
    expect(call.ended).toMatchObject({ code: GrpcCode.RESOURCE_EXHAUSTED });
    expect(told).toBe(1);
  });
});

it('what a refusal says is a google.rpc.Status with a RetryInfo', () => {
  // Fields by hand: 1 code, 2 message, 3 Any {1 type, 2 {1 Duration {1 seconds, 2 nanos}}}.
  const type = 'type.googleapis.com/google.rpc.RetryInfo';
  const duration = Buffer.from([0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]);
  const info = Buffer.concat([Buffer.from([0x0a, duration.length]), duration]);
  const any = Buffer.concat([
    Buffer.from([0x0a, type.length]),
    Buffer.from(type),
    Buffer.from([0x12, info.length]),
    info,
  ]);
  expect(retryDetails(GrpcCode.RESOURCE_EXHAUSTED, 'no', 1500)).toEqual(
    Buffer.concat([
      Buffer.from([0x08, 8, 0x12, 2]),
      Buffer.from('no'),
      Buffer.from([0x1a, any.length]),
      any,
    ]),
  );
});
