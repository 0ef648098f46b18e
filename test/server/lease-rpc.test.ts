import { describe, expect, it } from 'vitest';
import { EtcdError, GrpcCode } from '../../src/common/index.js';
import {
  decodeLeaseGrantResponse,
  decodeLeaseKeepAliveResponse,
  decodeLeaseLeasesResponse,
  decodeLeaseTimeToLiveResponse,
  encodeLeaseGrantRequest,
  encodeLeaseKeepAliveRequest,
  encodeLeaseRevokeRequest,
  encodeLeaseTimeToLiveRequest,
} from '../../src/proto/index.js';
import { openAccess } from '../../src/server/access/index.js';
import { LeaseKeyRights } from '../../src/server/lease/key-rights.js';
import { Lessor, type RenewWaiter } from '../../src/server/lease/lessor.js';
import { type LeaderAnswers, type LeaseService, leaseMethods } from '../../src/server/lease/rpc.js';
import { SimClock, SimRandom } from '../../src/sim/index.js';
import type { MethodHandler } from '../../src/transport/index.js';
import { atOnce, LeasedKeys, revokeLease } from '../helpers/lessor.js';
import { FakeCall, FakeGate } from './watch-call.js';
import { testHeaders } from './watch-helpers.js';

const nowhere = { setMeta(): void {} };

/** A member of one that applies at once; renewals can be held back. */
class Service implements LeaseService, LeaderAnswers {
  readonly leaderLessor = this;
  readonly clock = new SimClock();
  readonly leader = new FakeGate();
  readonly access = openAccess;
  readonly random = new SimRandom(5);
  revision = 1;
  renewals: Array<() => void> | undefined;
  readonly keys = new LeasedKeys();
  readonly lessor = new Lessor({
    clock: this.clock,
    keys: this.keys,
    ttlSecondsMin: 2,
    checkpoints: false,
    proposeRevoke: () => {},
    proposeCheckpoints: () => {},
  });
  readonly keyRights = new LeaseKeyRights({
    permissions: openAccess,
    clock: this.clock,
    keys: { keysOf: (id) => this.keys.keysOf(id), lease: () => 0n },
  });
  readonly #methods: Map<string, MethodHandler>;

  constructor() {
    this.#methods = new Map(leaseMethods(this));
    this.lessor.promote(1, 0);
  }

  header(): Buffer {
    return testHeaders.header(this.revision, 3);
  }
  grant: LeaseService['grant'] = ({ id, ttlSeconds }, _call, done) => {
    try {
      done(undefined, this.lessor.applyGrant(nowhere, id, ttlSeconds));
    } catch (error) {
      done(error as Error, 0);
    }
  };
  revoke: LeaseService['revoke'] = ({ id }, _call, done) => {
    try {
      revokeLease(this.lessor, nowhere, id);
      done(undefined);
    } catch (error) {
      done(error as Error);
    }
  };
  renew(id: bigint, waiter: RenewWaiter): void {
    if (this.renewals === undefined) this.lessor.renew(id, waiter);
    else this.renewals.push(() => this.lessor.renew(id, waiter));
  }
  timeToLive: LeaderAnswers['timeToLive'] = ({ id, keys }, _call, done) => {
    done(undefined, atOnce(this.lessor.timeToLive(id, keys)));
  };

  call(method: string, request: Buffer): FakeCall {
    const call = new FakeCall();
    const handler = this.#methods.get(`/etcdserverpb.Lease/${method}`);
    if (handler?.kind !== 'unary') throw new Error(`no unary ${method}`);
    handler.handle(request, call);
    return call;
  }

  keepAlive(metadata: Readonly<Record<string, string>> = {}): FakeCall {
    const call = new FakeCall(metadata);
    const handler = this.#methods.get('/etcdserverpb.Lease/LeaseKeepAlive');
    if (handler?.kind !== 'bidi') throw new Error('no keepalive');
    handler.handle(call);
    return call;
  }
}

function only(call: FakeCall): Buffer {
  expect(call.ended).toBe('ended');
  expect(call.sent.length).toBe(1);
  return call.sent[0] as Buffer;
}

const alive = (id: bigint): Buffer => encodeLeaseKeepAliveRequest({ id });
const answers = (call: FakeCall): Array<readonly [bigint, number]> =>
  call.sent.map((bytes) => {
    const { id, ttlSeconds } = decodeLeaseKeepAliveResponse(bytes);
    return [id, ttlSeconds];
  });

describe('the Lease service', () => {
  it('grants: a given id, or a random positive one', () => {
    const service = new Service();
    const grant = (id: bigint, ttlSeconds: number) =>
      decodeLeaseGrantResponse(
        only(service.call('LeaseGrant', encodeLeaseGrantRequest({ id, ttlSeconds }))),
      );
    expect(grant(-7n, 100)).toMatchObject({ id: -7n, ttlSeconds: 100, error: '' });
    expect(grant(5n, 1)).toMatchObject({ id: 5n, ttlSeconds: 2 });
    const ids = Array.from({ length: 100 }, () => grant(0n, 10).id);
    expect(new Set(ids).size).toBe(100);
    expect(ids.every((id) => id > 0n && id < 2n ** 63n)).toBe(true);
    const again = service.call('LeaseGrant', encodeLeaseGrantRequest({ id: 5n, ttlSeconds: 1 }));
    expect(again.ended).toEqual({
      code: GrpcCode.FAILED_PRECONDITION,
      text: 'etcdserver: lease already exists',
    });
  });

  it('tells what is left, -1 for what is not there, and the keys if asked', () => {
    const service = new Service();
    service.lessor.applyGrant(nowhere, 5n, 100);
    service.keys.attach('b', 5n);
    service.keys.attach('a', 5n);
    const ask = (id: bigint, keys: boolean) =>
      decodeLeaseTimeToLiveResponse(
        only(service.call('LeaseTimeToLive', encodeLeaseTimeToLiveRequest({ id, keys }))),
      );
    const there = { id: 5n, ttlSeconds: 100, grantedTtlSeconds: 100 };
    expect(ask(5n, true)).toMatchObject({ ...there, keys: ['a', 'b'] });
    expect(ask(5n, false)).toMatchObject({ ...there, keys: [] });
    expect(ask(6n, true)).toMatchObject({ id: 6n, ttlSeconds: -1, grantedTtlSeconds: 0 });
  });

  it('lists and revokes', () => {
    const service = new Service();
    for (const id of [3n, -1n, 2n]) service.lessor.applyGrant(nowhere, id, 100 + Number(id));
    const list = (): readonly bigint[] =>
      decodeLeaseLeasesResponse(only(service.call('LeaseLeases', Buffer.alloc(0)))).leases;
    expect(list()).toEqual([-1n, 2n, 3n]);
    only(service.call('LeaseRevoke', encodeLeaseRevokeRequest({ id: 2n })));
    expect(list()).toEqual([-1n, 3n]);
    const gone = service.call('LeaseRevoke', encodeLeaseRevokeRequest({ id: 2n }));
    expect(gone.ended).toEqual({
      code: GrpcCode.NOT_FOUND,
      text: 'etcdserver: requested lease not found',
    });
  });

  it('answers a request that can not be decoded with INTERNAL', () => {
    const call = new Service().call('LeaseGrant', Buffer.from([0x08]));
    expect(call.ended).toMatchObject({ code: GrpcCode.INTERNAL });
  });
});

describe('a keepalive stream', () => {
  it('answers each request, 0 for leases that are gone', () => {
    const service = new Service();
    service.lessor.applyGrant(nowhere, 1n, 10);
    const call = service.keepAlive();
    for (const id of [1n, 2n, 1n]) call.onMessage?.(alive(id));
    expect(answers(call)).toEqual([
      [1n, 10],
      [2n, 0],
      [1n, 10],
    ]);
    call.onEnd?.();
    expect(call.ended).toBe('ended');
  });

  it('answers in the order of the requests, with the header from before the renewal', () => {
    const service = new Service();
    for (const id of [1n, 2n, 3n]) service.lessor.applyGrant(nowhere, id, Number(id) + 9);
    const held: Array<() => void> = [];
    service.renewals = held;
    const call = service.keepAlive();
    for (const id of [1n, 2n, 3n]) {
      service.revision += 1;
      call.onMessage?.(alive(id));
    }
    service.revision = 50;
    held[2]?.();
    held[1]?.();
    expect(call.sent).toEqual([]);
    call.onEnd?.();
    expect(call.ended).toBe('open');
    held[0]?.();
    expect(answers(call)).toEqual([
      [1n, 10],
      [2n, 11],
      [3n, 12],
    ]);
    const revisions = call.sent.map((b) => decodeLeaseKeepAliveResponse(b).header?.revision);
    expect(revisions).toEqual([2, 3, 4]);
    expect(call.ended).toBe('ended');
  });

  it('an expired lease is answered after its revoke, with 0 (L-17)', async () => {
    const service = new Service();
    service.lessor.applyGrant(nowhere, 1n, 5);
    const call = service.keepAlive();
    await service.clock.run(5500);
    call.onMessage?.(alive(1n));
    expect(call.sent).toEqual([]);
    revokeLease(service.lessor, nowhere, 1n);
    expect(answers(call)).toEqual([[1n, 0]]);
  });

  it('ends with the error when there is no leader to ask', () => {
    const service = new Service();
    service.renew = (_id, waiter) => waiter.renewed(new EtcdError('NO_LEADER'), 0);
    const call = service.keepAlive();
    call.onMessage?.(alive(1n));
    const noLeader = { code: GrpcCode.UNAVAILABLE, text: 'etcdserver: no leader' };
    expect(call.ended).toEqual(noLeader);
    const strict = service.keepAlive({ hasleader: 'true' });
    service.leader.lose();
    expect(strict.ended).toEqual(noLeader);
    expect(service.keepAlive({ hasleader: 'true' }).ended).toEqual(noLeader);
  });

  it('does not read on while too much waits', () => {
    const service = new Service();
    const held: Array<() => void> = [];
    service.renewals = held;
    const call = service.keepAlive();
    let requests = 0;
    for (; !call.paused && requests < 5000; requests += 1) call.onMessage?.(alive(1n));
    expect(requests).toBe(1024);
    for (const go of held) go();
    expect(call.paused).toBe(false);
    expect(call.sent.length).toBe(1024);
    service.renewals = undefined;
    call.stuck = true;
    call.onMessage?.(alive(1n));
    expect(call.paused).toBe(true);
    call.drain();
    expect(call.paused).toBe(false);
  });
});
